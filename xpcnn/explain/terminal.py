"""An explanation as text for a terminal."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from ..errors import printable
from .explanation import Explanation, NamedArray, Ref, Step, Worked, check_page
from .formatting import Box, Numbers, Table, boxes, cut, equation_line, expression, statistics, tables, worked

if TYPE_CHECKING:
    from rich.text import Text

WIDTH = 100
ROWS, PAGES = 8, 3
LEAST_COLUMNS = 5  # of tables side by side
GAP, GUTTER = 3, 7  # between tables, and before the names of their rows
MARGIN = "   "
TOGETHER = "\u00a0"  # a space at which no line breaks


def text(page: Explanation, *, precision: int = 4) -> str:
    """The explanation as plain text with at most 100 columns.

    Parameters
        precision : significant digits

    >>> import numpy as np
    >>> from xpcnn.explain import explain
    >>> from xpcnn.nn import ReLU
    >>> print("\\n".join(text(explain(ReLU(), "", np.array([[-1.0, 2.0]], np.float32))).splitlines()[:5]))
    ReLU()
    layers: [ ReLU] → loss CrossEntropyLoss
    A training pass of one item, forward and backward; the network is left as it was.
    Loss: cross-entropy 0.1269. Probability of the target 1: 0.8808; in this pass, the network says 1
    with 0.8808.
    """
    return styled(page, precision=precision).plain


def styled(page: Explanation, *, precision: int = 4) -> Text:
    """The same with colours, for `rich`, which omits them if they are not supported."""
    check_page("explain.text", page, precision)
    return _Writer(page, precision).write()


class _Writer:
    def __init__(self, page: Explanation, precision: int) -> None:
        from rich.text import Text

        self.page, self.precision = page, precision
        self.out = Text()
        self.numbers = {name: Numbers(array.values, precision) for name, array in page.arrays.items()}

    def write(self) -> Text:
        page = self.page
        self.lines(page.title, "bold")
        if len(page.path) > 1:
            here = [f"{name}{TOGETHER}{kind}" for name, kind in page.path]
            here = [f"[{each}]" if name == page.name else each for each, (name, _) in zip(here, page.path, strict=True)]
            self.lines("layers: " + " → ".join(here))
        for note in page.notes:
            self.lines(note)
        if page.source.startswith("xpcnn.ops"):
            self.lines(f"The equations are those of {page.source}.")
        for number, step in enumerate(page.steps, 1):
            self.step(number, step)
        self.out.rstrip()
        return self.out

    def step(self, number: int, step: Step) -> None:
        self.out.append("\n")
        self.lines(f"{number}. {step.title}", "bold")
        for equation in step.equations:
            for line in equation.lines:
                line = equation_line(line)
                fits = len(MARGIN + line) <= WIDTH or len(equation.lines) > 1
                self.lines(MARGIN + (line if fits else re.sub(r"\s{4,}", "   ", line)), "cyan")
        for note in step.notes:
            self.lines(MARGIN + note)
        refs = []
        if step.work is not None:
            self.out.append("\n")
            done = worked(step)
            self.worked(done)
            refs = done.refs()
        around = boxes(self.page, step)
        for name in (*step.reads, step.makes):
            self.array(self.page.arrays[name], around[name], refs)

    def worked(self, done: Worked) -> None:
        value = self.numbers[done.target.array](self.page.value(done.target))
        left = MARGIN + str(done.target)
        gap = " " * _width(left)
        symbols, numbers = expression(done.pieces, str), expression(done.pieces, self.number)
        self.lines(f"{left} = {symbols}", hanging=gap + "   ")
        if numbers not in (symbols, value):
            self.lines(f"{gap} = {numbers}", hanging=gap + "   ")
        self.lines(f"{gap} = {value}", "bold")
        for label, pieces, amount in done.remarks:
            if pieces:
                size = Numbers(self.page.arrays[done.target.array].values, self.precision)
                said = f"{label}: {expression(pieces, str)} = {expression(pieces, self.number)} = {size(amount)}"
            else:
                said = label
            self.lines(MARGIN + said, hanging=MARGIN + "  ")

    def number(self, ref: Ref) -> str:
        return self.numbers[ref.array](self.page.value(ref))

    def array(self, array: NamedArray, box: Box, refs: list[Ref]) -> None:
        shape = ", ".join(f"{letter} {size}" for letter, size in zip(array.axes, array.values.shape, strict=True))
        shown, width = self.fitting(array, box)
        self.out.append("\n")
        self.lines(f"{MARGIN}{array.name}: {array.meaning}" + (f" ({shape})" if shape else ""))
        left_out = cut(array, shown)
        if left_out:
            self.lines(f"{MARGIN}{statistics(array, self.precision)}; {left_out}", "dim")
        blocks = [self.table(array, table, width, refs) for table in shown]
        while blocks:
            beside: list[list[Text]] = []
            used = len(MARGIN)
            while blocks and (not beside or used + blocks[0][0].cell_len <= WIDTH):
                used += blocks[0][0].cell_len + GAP
                beside.append(blocks.pop(0))
            for lines in zip(*beside, strict=True):
                self.out.append(MARGIN)
                for k, line in enumerate(lines):
                    self.out.append(" " * GAP if k else "")
                    self.out.append_text(line)
                self.out.append("\n")

    def fitting(self, array: NamedArray, box: Box) -> tuple[list[Table], int]:
        """As many tables as fit side by side with all numbers of the formula, and the width of a number in them."""
        write = self.numbers[array.name]
        columns = WIDTH
        for pages in range(PAGES, 0, -1):
            shown = tables(array, box, rows=ROWS, columns=columns, pages=pages)
            cells = [write(float(array.values[index])) for each in shown for row in each.cells for index in row]
            width = max(map(len, cells)) + 2  # with space for the marks
            count = len(shown)
            most = ((WIDTH - len(MARGIN) + GAP) // count - GAP - GUTTER) // width
            needed = min(len(shown[0].columns[1]), max(LEAST_COLUMNS, _extent(shown[0], box)))
            if count == 1 or most >= needed:
                break
        return tables(array, box, rows=ROWS, columns=most, pages=count), width

    def table(self, array: NamedArray, table: Table, width: int, refs: list[Ref]) -> list[Text]:
        """Lines of equal length, with the numbers of the formula in brackets."""
        from rich.text import Text

        (row_name, rows), (column_name, columns) = table.rows, table.columns
        corner = f"{row_name}\\{column_name}" if row_name else column_name
        labels = [str(row) for row in rows] or [""]
        gutter = max(_width(corner), *map(len, labels))
        lines = []
        if table.title:
            lines.append(Text(table.title, "italic"))
        if corner:
            heading = "".join(f"{column:>{width - 1}} " for column in columns)
            lines.append(Text(" " * (gutter - _width(corner)) + corner + heading, "dim"))
        for label, row in zip(labels, table.cells, strict=True):
            line = Text(f"{label:>{gutter}}", "dim")
            for index in row:
                line.append_text(self.cell(array, index, width, refs))
            lines.append(line)
        longest = max(line.cell_len for line in lines)
        for line in lines:
            line.append(" " * (longest - line.cell_len))
        return lines

    def cell(self, array: NamedArray, index: tuple[int, ...], width: int, refs: list[Ref]) -> Text:
        from rich.text import Text

        number = self.numbers[array.name](float(array.values[index]))
        ref = Ref(array.name, index)
        if ref not in refs:
            return Text(f"{number:>{width - 1}} ", "dim" if number == "0" else "")
        return Text(f"{'[' + number:>{width - 1}}]", "bold green" if ref == refs[0] else "bold yellow")

    def lines(self, said: str, style: str = "", hanging: str = "") -> None:
        """Add lines of printable text: names come from files, and no other characters may reach a terminal."""
        said = TOGETHER.join(map(printable, said.split(TOGETHER)))
        margin = said[: len(said) - len(said.lstrip(" "))]
        for line in textwrap.wrap(said, WIDTH, subsequent_indent=hanging or margin, break_on_hyphens=False):
            self.out.append(line.replace(TOGETHER, " ").rstrip() + "\n", style)


def _extent(table: Table, box: Box) -> int:
    """The number of the table's columns in the box."""
    axis = len(box) - 1 if len(box) != 4 else 2
    return box[axis][1] - box[axis][0] + 1 if table.columns[1] else 1


def _width(said: str) -> int:
    from rich.cells import cell_len

    return cell_len(said)
