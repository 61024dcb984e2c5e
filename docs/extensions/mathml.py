"""Formulas as MathML, which browsers draw by themselves: no script, no font and no network, when built or when read.

Docutils translates them. `\\tag{2}` at the end of a display puts (2) at its right, the number that the code has for it.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

_TAG = re.compile(r"\\tag\{([^}]*)\}\s*$")
_logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_translated(node, as_block=False))
    raise nodes.SkipNode


def _display(self: Any, node: nodes.math_block) -> None:
    tag = _TAG.search(node.astext())
    number = f'<span class="equation-number">({tag[1]})</span>' if tag else ""
    self.body.append(f'<div class="equation">{_translated(node, as_block=True)}{number}</div>\n')
    raise nodes.SkipNode


def _translated(node: nodes.math | nodes.math_block, *, as_block: bool) -> str:
    text = _TAG.sub("", node.astext()).strip()
    try:
        return str(tex2mathml(text, as_block=as_block))
    except MathError as error:
        _logger.warning("formula %r: %s", text, error, location=node)
        return f"<code>{escape(text)}</code>"
