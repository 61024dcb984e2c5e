"""The drawings of an operation or derivation, where a page says {drawings}: made from `xpcnn.explain.drawings`."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx


class Drawings(Directive):
    """`.. drawings:: NAME …`; in the colour of the text, so that they suit a light and a dark page."""

    required_arguments: ClassVar[int] = 1
    final_argument_whitespace: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        from xpcnn.explain.drawings import DRAWINGS, drawings

        names = self.arguments[0].split()
        if unknown := [name for name in names if name not in DRAWINGS]:
            raise self.error(f"no drawings of {', '.join(unknown)}")
        svg = "\n".join(drawing.svg() for name in names for drawing in drawings(name))
        return [nodes.raw("", f'<div class="drawings">{svg}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("drawings", Drawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
