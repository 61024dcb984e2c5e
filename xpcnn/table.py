"""Rows of cells as a text table, with a header and, if given, a last row below a rule; in a notebook, as HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from . import html
from .errors import printable


class Table(str):
    """A text that a console shows as it prints, and a notebook as a table.

    Parameters
        text : the lines
        as_html : the same as HTML
    """

    def __new__(cls, text: str, as_html: str = "") -> Table:
        made = super().__new__(cls, text)
        made._html = as_html
        return made

    _html: str

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str | None:
        return html.panel("", html.Html(self._html)) if self._html else None

    def and_line(self, line: str) -> Table:
        """The table with one more line below it."""
        return Table(f"{self}\n{line}", self._html + html.note(line))


class Tabular(ABC):
    """A value that is shown as its table, by a console as by a notebook."""

    @abstractmethod
    def table(self) -> Table:
        """The table."""

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str | None:
        return self.table()._repr_html_()


def screenful(lines: Sequence[str], most: int = 30) -> str:
    """The lines, or if there are more than `most`, the first and the last of them.

    >>> print(screenful(["a", "b", "c", "d", "e"], 3))
    a
    … 3 more …
    e
    """
    if len(lines) > most:
        end = (most - 1) // 2
        lines = [*lines[: most - 1 - end], f"… {len(lines) - most + 1} more …", *lines[len(lines) - end :]]
    return "\n".join(lines)


def columns(
    header: Sequence[str], body: Sequence[Sequence[str]], total: Sequence[str] = (), *, left: Collection[int] = (0,)
) -> Table:
    """The table as lines of text, without a newline at its end.

    Parameters
        header, total : a cell for each column, made `printable`; an empty total omits the last row
        body : rows with the same number of cells
        left : indices of the left-aligned columns, for text; the others, for numbers, are right-aligned

    >>> print(columns(("Layer", "ms"), [("0", "1.25"), ("12", "0.5")]))
    Layer    ms
    -----------
    0      1.25
    12      0.5
    """
    rows = [[printable(cell) for cell in row] for row in (header, *body, *([total] if total else []))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [line(row) for row in rows]
    closing = [rule, lines.pop()] if total else []
    text = "\n".join([lines[0], rule, *lines[1:], *closing])
    return Table(text, html.table(header, body, total, left=left))
