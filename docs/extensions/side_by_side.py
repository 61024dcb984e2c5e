"""Code of two libraries beside each other, on the pages of docs/coming_from.

A paragraph that is nothing but **PyTorch**, **Keras**, **scikit-learn** or **xpcnn** names the code below it; one such
part and the next one are a row. On a narrow page, they stand below each other.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

NAMES = ("PyTorch", "Keras", "scikit-learn", "xpcnn")


class Rows(SphinxTransform):
    default_priority = 200

    def apply(self, **options: Any) -> None:
        if self.env.current_document.docname.startswith("coming_from/"):
            for section in list(self.document.findall(nodes.section)):
                _arrange(section)


def _arrange(section: nodes.section) -> None:
    children, row, column = list(section.children), None, None
    section.clear()
    for child in children:
        if isinstance(child, nodes.paragraph) and child.astext() in NAMES:
            if row is None or len(row) == 2:
                row = nodes.container(classes=["side-by-side"])
                section += row
            column = nodes.container("", child, classes=["column"])
            row += column
        elif column is not None and isinstance(child, nodes.literal_block | nodes.comment):
            column += child
        else:
            row = column = None
            section += child


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(Rows)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
