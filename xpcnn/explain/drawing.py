"""Pictures of what an operation reads and where its gradients go, made from the same rules as its formulas.

Each row is one step: the elements that one number is made of, and that number. Cells of padding are dashed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import asarray, to_numpy
from ..errors import OptionError
from ..io.atomic import write_atomically
from ..nn import Conv2d, Layer
from ..nn.layer import check_layer
from ..nn.sequences import SequenceLayer, as_images
from ..ops.window import Window
from ..options import as_flag, as_names, as_path, as_shape
from ..typing import Array, NDArray, Shape
from .explain_layer import explain
from .explanation import Explanation, Index, NamedArray, Ref, Step
from .formatting import Table, boxes, tables
from .rules import letters_of

CELL, GAP, LINE = 18, 26, 16
ABOVE, BELOW = "#e07a1f", "#2c7bc8"  # what is read, and what is made
MOST_CELLS, MOST_PAGES, MOST_STEPS = 9, 4, 8
MOST_NUMBERS = 10_000
SPACE = ' xmlns="http://www.w3.org/2000/svg"'  # which a file needs
DARK = "<style>@media (prefers-color-scheme: dark) { svg { color: #f1f3f6; background: #14171c; } }</style>"


@dataclass(frozen=True)
class Drawing:
    """A picture; in a notebook it shows by itself, in the colour of the text around it.

    Parameters
        body : the inside of the SVG
        size : width and height
        title : for who does not see it

    >>> from xpcnn.explain import draw
    >>> from xpcnn.ops import Window
    >>> drawing = draw(Window(3, stride=2), (5, 5, 1), steps=("y",))
    >>> drawing.svg()[:4]
    '<svg'
    """

    body: str
    size: tuple[int, int]
    title: str

    def svg(self, *, alone: bool = False) -> str:
        """The SVG; one that stands alone, such as a file, has its own colours for light and dark."""
        width, height = self.size
        return (
            f'<svg{SPACE if alone else ""} class="drawing" viewBox="0 0 {width} {height}" width="{width}" '
            f'role="img" aria-label="{escape(self.title)}" style="max-width: 100%; height: auto" fill="currentColor" '
            f'font-family="system-ui, sans-serif" font-size="13">{DARK if alone else ""}{self.body}</svg>'
        )

    def save(self, path: str | Path) -> None:
        """Write an SVG file."""
        write_atomically(as_path("Drawing.save", path), self.svg(alone=True).encode())

    def _repr_svg_(self) -> str:
        return self.svg(alone=True)

    def _repr_html_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"Drawing({self.title})"


def draw(
    layer: Layer | Window,
    input_shape: Shape,
    *,
    at: Iterable[int] | None = None,
    steps: Iterable[str] = (),
    numbers: bool = False,
) -> Drawing:
    """Draw what each number of a layer is made of: the output, and the gradients.

    Parameters
        layer : a layer, or a Window: that of a convolution of one channel
        input_shape : of one item; small ones are easier to see
        at : the element of the output; None for one in the middle
        steps : names of the arrays whose making is drawn, such as "y" or "dx"; all by default
        numbers : write the numbers into the cells
    Raises
        OptionError : the layer has no such step, or more cells than can be drawn;  ShapeError

    >>> from xpcnn.nn import MaxPool2d
    >>> draw(MaxPool2d(2), (4, 4, 1))
    Drawing(MaxPool2d: y, t, dx)
    """
    own = _convolution(layer) if isinstance(layer, Window) else layer
    check_layer("draw", own)
    given, wanted = as_shape("draw", input_shape), as_names("draw", "steps", steps)
    numbers = as_flag("draw", "numbers", numbers)
    if isinstance(own, SequenceLayer):  # of images of height 1
        own, given = as_images(own), (1, *given)
    if math.prod(given) > MOST_NUMBERS:
        raise OptionError("draw", f"at most {MOST_NUMBERS} numbers", f"input_shape {given}", "draw a smaller item")
    x = _items(given)
    shape = tuple(own.output_shape(given))
    middle = (0, *(size // 2 for size in shape)) if at is None else at
    dy = asarray(np.arange(1.0, 1 + np.prod((x.shape[0], *shape))).reshape(x.shape[0], *shape).astype("float32"))
    page = explain(own, "", asarray(x), dy=dy, at=middle)
    return picture(page, type(own).__name__, wanted, numbers, partial(_read, own, asarray(x)))


def _convolution(window: Window) -> Layer:
    options: Any = {"stride": window.stride, "padding": window.padding, "dilation": window.dilation}
    return Conv2d(1, 1, window.kernel, rng=0, **options)


def picture(
    page: Explanation,
    title: str,
    steps: tuple[str, ...] = (),
    numbers: bool = False,
    read: Callable[[Step], list[Ref]] = lambda step: [],
) -> Drawing:
    """The steps of an explanation as rows.

    Parameters
        steps : names of the arrays whose making is drawn; all by default
        read : what a step without formulas reads
    Raises
        OptionError : there is no such step
    """
    chosen = [each for each in page.steps if each.makes in steps or not steps]
    if missing := set(steps) - {each.makes for each in chosen}:
        made = ", ".join(each.makes for each in page.steps)
        raise OptionError("draw", f"steps among {made}", ", ".join(sorted(missing)))
    body, y, width = "", 4, 0
    for each in chosen[:MOST_STEPS]:
        terms = each.work(each.focus).refs()[1:] if each.work else read(each)
        drawn, (wide, deep) = _step(page, each, terms, y, numbers)
        body, y, width = body + drawn, y + deep + 14, max(width, wide)
    makes = ", ".join(each.makes for each in chosen[:MOST_STEPS])
    return Drawing(body, (width + 8, y), f"{title}: {makes}")


def _read(layer: Layer, x: Array, step: Step) -> list[Ref]:
    """What an element of the output depends on, or which elements of dy an input's gradient does: by backward."""
    y, cache = layer.forward(x)
    shape = tuple(y.shape)

    def slope(place: Index) -> NDArray:
        one = np.zeros(shape, "float32")
        one[place] = 1
        dx, _ = layer.backward(asarray(one), cache)
        return to_numpy(dx)

    if step.makes == "y":
        return [Ref("x", tuple(map(int, place))) for place in np.argwhere(slope(step.focus))]
    if step.makes == "dx":
        return [Ref("dy", place) for place in np.ndindex(shape) if slope(place)[step.focus]]
    return []


def _items(input_shape: Shape) -> NDArray:
    """A batch of one item, whose numbers are all different; of rows, one of four."""
    shape = (1 if len(input_shape) > 1 else 4, *input_shape)
    rng = np.random.default_rng(3)
    size = int(np.prod(shape))
    return rng.permutation(size).reshape(shape).astype("float32") / np.float32(1 if size < 100 else size)


def _step(page: Explanation, step: Step, terms: list[Ref], top: int, numbers: bool) -> tuple[str, tuple[int, int]]:
    """The row of a step: the arrays that it reads, with what it reads of them, and the one that it makes."""
    around = boxes(page, step)
    if terms and step.work is None:
        name = terms[0].array
        around[name] = [(min(each), max(each)) for each in zip(*(ref.at for ref in terms), strict=True)]
    title = f'<text x="4" y="{top + 12}" font-weight="600">{escape(step.title)}</text>'
    label = f'<tspan font-family="monospace">{escape(str(Ref(step.makes, step.focus)))}</tspan>'
    title = title.replace("</text>", f'</text><text x="4" y="{top + 30}" opacity=".75">what {label} is made of</text>')
    named = [name for name in step.reads if any(ref.array == name for ref in terms)] or list(step.reads)
    body, x, deep = "", 4, 0
    for name in (*named, step.makes):
        array = page.arrays[name]
        if name == step.makes:
            body += f'<text x="{x}" y="{top + 82}" font-size="18">→</text>'
            x += GAP
        shown = tables(array, around[name], rows=MOST_CELLS, columns=2 * MOST_CELLS, pages=MOST_PAGES)
        marks = {ref.at: "term" for ref in terms if ref.array == name}
        if name == step.makes:
            marks[step.focus] = "target"
        drawn, (wide, tall) = _array(page, array, shown, marks, (x, top + 40), numbers)
        body, x, deep = body + drawn, x + wide + GAP, max(deep, tall)
    return f"<g>{title}{body}</g>", (max(x, 8 * len(step.title)), deep + 44)


def _array(
    page: Explanation,
    array: NamedArray,
    shown: list[Table],
    marks: dict[Index, str],
    corner: tuple[int, int],
    numbers: bool,
) -> tuple[str, tuple[int, int]]:
    """An array as one grid of cells, or as several beside each other."""
    x, y = corner
    sizes = "×".join(
        f"{letter} {size}" for letter, size in zip(array.axes, array.values.shape, strict=True) if size > 1
    )
    body = f'<text x="{x}" y="{y + 10}"><tspan font-weight="600">{escape(array.name)}</tspan>'
    body += f'<tspan font-size="11" opacity=".75" dx="5">{escape(sizes)}</tspan></text>'
    left, deep = x, 0
    for table in shown:
        sheet = ", ".join(part for part in table.title.split(", ") if not all(part in each.title for each in shown))
        body += f'<text x="{left}" y="{y + 24}" font-size="10" opacity=".75">{escape(sheet)}</text>' if sheet else ""
        cells = ""
        for i, row in enumerate(table.cells):
            for j, index in enumerate(row):
                place = (left + j * CELL, y + 28 + i * CELL)
                cells += _cell(page, array, index, marks.get(index, ""), place, numbers)
        body += cells
        left += CELL * len(table.cells[0]) + 10
        deep = max(deep, CELL * len(table.cells))
    body = f'<g data-array="{escape(array.name)}">{body}</g>'
    return body, (max(left - 10 - x, 7 * len(f"{array.name} {sizes}")), deep + 34)


def _cell(page: Explanation, array: NamedArray, index: Index, mark: str, place: tuple[int, int], numbers: bool) -> str:
    x, y = place
    outside = bool(array.of) and not _inside(page, array, index)
    fill = {"term": f'fill="{ABOVE}" fill-opacity=".6"', "target": f'fill="{BELOW}" fill-opacity=".75"'}.get(mark, "")
    line = 'stroke-opacity=".35" stroke-dasharray="2 2"' if outside else f'stroke-opacity="{".9" if mark else ".4"}"'
    name = f' class="{mark or "plain"}" data-i="{",".join(map(str, index))}"'
    drawn = (
        f'<rect{name} x="{x}" y="{y}" width="{CELL}" height="{CELL}" {fill or "fill=" + chr(34) + "none" + chr(34)} '
    )
    drawn += f'stroke="currentColor" {line}/>'
    value = float(array.values[index])
    if numbers and np.isfinite(value) and not outside:
        drawn += (
            f'<text x="{x + CELL / 2}" y="{y + CELL / 2 + 3.5}" font-size="9.5" text-anchor="middle">{value:.3g}</text>'
        )
    return drawn


def _inside(page: Explanation, array: NamedArray, index: Index) -> bool:
    """Whether the number stands in the array that this one is a padded copy of."""
    at = letters_of(array, index)
    source, _, places = array.of.partition("[")
    sizes = page.arrays["dx" if source == "x" else "y"].values.shape
    return all(0 <= eval(each, {}, at) < size for each, size in zip(places.rstrip("]").split(","), sizes, strict=True))
