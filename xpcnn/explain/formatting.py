"""Formats arrays as small tables around the numbers that are worked out, and formats numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..typing import NDArray
from .explanation import Explanation, Index, NamedArray, Piece, Ref, Step, Worked

MOST_DECIMALS = 9
Box: TypeAlias = list[tuple[int, int]]  # the first and the last index of each axis


class Numbers:
    """Formats the numbers of one array: all with the same decimals, except those that would then be 0.

    Parameters
        precision : significant digits of the largest number

    >>> write = Numbers(np.array([-12.5, 0.75, 0.0]), 3)
    >>> write(-12.5), write(0.75), write(-0.00042), write(0.0), Numbers(np.array([1.0, 2.0]), 3)(2.0)
    ('−12.5', '0.8', '−0.00042', '0', '2')
    """

    def __init__(self, values: NDArray, precision: int) -> None:
        finite = np.abs(values[np.isfinite(values)]).astype(np.float64)
        size = float(finite.max(initial=0.0))
        self.precision = precision
        self.whole = size < 1e7 and bool((finite == np.floor(finite)).all())
        self.decimals = precision - 1 - (math.floor(math.log10(size)) if size else 0)

    def __call__(self, value: float) -> str:
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        if value == 0:
            return "0"
        if self.whole:
            text = f"{value:.0f}"
        elif abs(value) <= 0.5 * 10.0**-self.decimals:
            text = f"{value:.2g}"
        elif self.decimals <= MOST_DECIMALS:
            text = f"{value:.{max(self.decimals, 0)}f}"
        else:
            text = f"{value:.{self.precision - 1}e}"
        return re.sub("e([+−])0", r"e\1", text.replace("-", "−"))


def equation_line(line: str) -> str:
    """A line of an equation, with less space before its number.

    >>> equation_line("y = a + b              (1), (2)")
    'y = a + b    (1), (2)'
    """
    return re.sub(r"\s{5,}(?=(\(\d+\)(, )?)+$)", "    ", line)


def expression(
    pieces: Iterable[Piece],
    write: Callable[[Ref], str],
    *,
    mark: Callable[[Ref, str], str] = lambda ref, number: number,
    words: Callable[[str], str] = str,
) -> str:
    """The pieces with `write(ref)` for each reference, in brackets if a minus follows an operator.

    Parameters
        mark : applied to each written reference
        words : applied to the words between them

    >>> expression((Ref("a", ()), "·", Ref("b", ()), " + max(", Ref("c", ()), ", 0)"), lambda ref: "−" + ref.array)
    '−a·(−b) + max(−c, 0)'
    """
    made, last = [], ""
    for piece in pieces:
        if isinstance(piece, str):
            made.append(words(piece))
            last = piece.rstrip()[-1:]
        else:
            number = write(piece)
            made.append(mark(piece, f"({number})" if number[0] == "−" and last in OPERATORS else number))
            last = ""
    return "".join(made)


OPERATORS = ("·", "+", "−", "/")


@dataclass(frozen=True)
class Table:
    """A part of an array as a table.

    Parameters
        title : which part, such as "c = 1"
        rows, columns : letter and indices of the axes; no indices if an array has too few axes
        cells : the index of each number, row by row
    """

    title: str
    rows: tuple[str, tuple[int, ...]]
    columns: tuple[str, tuple[int, ...]]
    cells: tuple[tuple[Index, ...], ...]


def tables(array: NamedArray, box: Box, *, rows: int, columns: int, pages: int) -> list[Table]:
    """The array around the box: at most `pages` tables of at most `rows` × `columns`.

    >>> image = NamedArray("x", "", ("n", "i", "j", "c"), np.zeros((1, 9, 9, 5)))
    >>> shown = tables(image, [(0, 0), (4, 6), (0, 2), (1, 1)], rows=5, columns=4, pages=2)
    >>> [(each.title, each.rows, each.columns[1]) for each in shown]
    [('c = 1', ('i', (3, 4, 5, 6, 7)), (0, 1, 2, 3)), ('c = 2', ('i', (3, 4, 5, 6, 7)), (0, 1, 2, 3))]
    """
    shape, axes = array.values.shape, array.axes
    across = len(shape) - 1 if len(shape) != 4 else 2
    down = across - 1
    page = None
    if len(shape) == 4:  # a table for each element of the axis along which the box is longer, the last if none is
        page = 0 if box[0][1] - box[0][0] > box[3][1] - box[3][0] else 3
    fixed = [axis for axis in range(len(shape)) if axis not in (down, across, page)]

    def shown(axis: int | None, most: int) -> tuple[int, ...]:
        return () if axis is None or axis < 0 else around(box[axis], shape[axis], most)

    row_range, column_range, page_range = shown(down, rows), shown(across, columns), shown(page, pages)
    made = []
    for number in page_range or (None,):
        at = {axis: box[axis][0] for axis in fixed} | ({} if page is None or number is None else {page: number})
        said = [f"{axes[axis]} = {at[axis]}" for axis in sorted(at) if shape[axis] > 1]
        cells = tuple(
            tuple(tuple((at | {down: i, across: j})[axis] for axis in range(len(shape))) for j in column_range or (0,))
            for i in row_range or (0,)
        )
        names = tuple(axes[axis] if axis >= 0 else "" for axis in (down, across))
        made.append(Table(", ".join(said), (names[0], row_range), (names[1], column_range), cells))
    return made


def around(box: tuple[int, int], size: int, most: int) -> tuple[int, ...]:
    """At most `most` neighbouring indices below `size`, with the box in the middle.

    >>> around((4, 6), 9, 5), around((0, 0), 9, 3), around((8, 8), 9, 3), around((2, 8), 9, 3)
    ((3, 4, 5, 6, 7), (0, 1, 2), (6, 7, 8), (2, 3, 4))
    """
    count = min(size, most)
    low, high = box
    start = low if high - low >= count else low - (count - (high - low + 1)) // 2
    start = max(0, min(start, size - count))
    return tuple(range(start, start + count))


def boxes(page: Explanation, step: Step) -> dict[str, Box]:
    """For each array of the step, the box around the numbers from which its focus is computed."""
    refs = worked(step).refs() if step.work else [Ref(step.makes, step.focus)]
    found: dict[str, Box] = {}
    for ref in refs:
        box = found.setdefault(ref.array, [(k, k) for k in ref.at])
        found[ref.array] = [(min(low, k), max(high, k)) for (low, high), k in zip(box, ref.at, strict=True)]
    for name in (*step.reads, step.makes):
        if name not in found:
            alike = [other for other in found if page.arrays[other].axes == page.arrays[name].axes]
            shape = page.arrays[name].values.shape
            known = found[alike[0]] if alike else [(0, 0)] * len(shape)
            found[name] = [
                (min(low, size - 1), min(high, size - 1)) for (low, high), size in zip(known, shape, strict=True)
            ]
    return found


def worked(step: Step) -> Worked:
    """The step's focus, worked out."""
    assert step.work is not None
    return step.work(step.focus)


def statistics(array: NamedArray, precision: int) -> str:
    """A summary of its numbers in one line.

    >>> statistics(NamedArray("x", "", ("i",), np.array([0.0, 1.0, 5.0])), 3)
    '3 numbers, 0 … 5, mean 2, 33 % zeros'
    """
    values = array.values.astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return f"{values.size} numbers, none finite"
    write = Numbers(finite, precision)
    mean = f"{finite.mean():.{precision}g}".replace("-", "−")
    said = [f"{values.size} numbers", f"{write(float(finite.min()))} … {write(float(finite.max()))}", f"mean {mean}"]
    if zeros := np.mean(values == 0):
        said.append(f"{zeros:.0%}".replace("%", " % zeros"))
    if finite.size < values.size:
        said.append(f"{values.size - finite.size} not finite")
    return ", ".join(said)


def cut(array: NamedArray, shown: list[Table]) -> str:
    """Says which part of the array is shown, or nothing if all of it is.

    >>> image = NamedArray("x", "", ("n", "i", "j", "c"), np.zeros((1, 9, 2, 1)))
    >>> cut(image, tables(image, [(0, 0)] * 4, rows=5, columns=4, pages=2))
    'shown: i 0–4 of 9'
    """
    indices = [index for table in shown for row in table.cells for index in row]
    said = []
    for axis, (letter, size) in enumerate(zip(array.axes, array.values.shape, strict=True)):
        seen = sorted({index[axis] for index in indices})
        if len(seen) < size:
            span = f"{seen[0]}–{seen[-1]}" if len(seen) > 1 else str(seen[0])
            said.append(f"{letter} {span} of {size}")
    return "shown: " + ", ".join(said) if said else ""
