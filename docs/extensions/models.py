"""The table of the named architectures, where a page says {model-table}: made from `models.facts_of`."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

HEADER = ("name", "parameters", "multiply-adds", "images", "classes", "paper")


def rows() -> list[tuple[str, ...]]:
    """The cells of each architecture; the last is "authors year, address", or empty."""
    from xpcnn import models

    found = []
    for name in models.MODELS:
        facts = models.facts_of(name)
        size = "×".join(map(str, facts.input_shape))
        counts = _short(facts.parameters), _short(facts.multiply_adds)
        found.append((name, *counts, size, str(facts.num_classes), facts.paper))
    return found


def _short(number: int) -> str:
    for unit, name in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)


class ModelTable(Directive):
    """`.. model-table::`."""

    required_arguments: ClassVar[int] = 0

    def run(self) -> list[nodes.Node]:
        group = nodes.tgroup(cols=len(HEADER))
        group += [nodes.colspec(colwidth=1) for _ in HEADER]
        head, body = nodes.thead(), nodes.tbody()
        head += _row([nodes.Text(each) for each in HEADER])
        for name, *cells, paper in rows():
            authors, _, address = paper.rpartition(", ")
            link: nodes.Node = nodes.reference("", authors, refuri=address) if paper else nodes.Text("")
            body += _row([nodes.literal(name, name), *(nodes.Text(cell) for cell in cells), link])
        group += [head, body]
        return [nodes.table("", group)]


def _row(cells: list[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("model-table", ModelTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
