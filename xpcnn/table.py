"""Rows of cells as a text table, with a header and, if given, a last row below a rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .errors import printable


def columns(
    header: Sequence[str], body: Sequence[Sequence[str]], total: Sequence[str] = (), *, left: Collection[int] = (0,)
) -> str:
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
    return "\n".join([lines[0], rule, *lines[1:], *closing])
