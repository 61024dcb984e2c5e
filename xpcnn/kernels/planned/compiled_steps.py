"""The rows of a compiled plan's table for each step: windows of all kinds, or Winograd's algorithm.

A fully connected layer is a window of one tap, whose positions are the items; the mean of an image is a window as large
as the image, with equal weights; a copy is the largest of one number, and a sum of two arrays a copy to which the other
is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...typing import NDArray, Shape
from ..batch_last import chunks
from ..compiled import conv_tiles
from ..compiled.program import CHANNELS, LARGEST, PRODUCT, TILES_IN, TILES_OUT
from ..compiled.winograd_kernels import transformed_kernel
from .buffer import NONE, Margin
from .compiled_table import Images, Prepared, Table, Value, places
from .conv import Convolution
from .elementwise import Affine, Concatenation, Flattening, Join, Rectifier, ZeroPadding
from .linear import Dense
from .pool import GlobalMean, Pooling
from .step import PlanStep

WEIGHTS = 10 << 20  # bytes of transformed weights, at most
POSITIONS = 100  # of output, at least: for fewer, reading four times as many weights takes longer than it saves
SCRATCH = 3 << 19  # bytes of transformed tiles


@dataclass
class Operation:
    """A step with what follows it: a sum with another value, and limits that cut its output off.

    Parameters
        shape : of its output; another one than that of the value that it writes, if that is flattened
    """

    step: PlanStep
    reads: tuple[int, ...]
    writes: int
    shape: Shape
    limits: tuple[float, float] = (-math.inf, math.inf)
    added: int | None = None

    @property
    def all_reads(self) -> set[int]:
        return {*self.reads} if self.added is None else {*self.reads, self.added}

    def cut_off(self, low: float, high: float) -> None:
        """Limits after those before."""
        self.limits = min(max(self.limits[0], low), high), min(max(self.limits[1], low), high)


def is_compiled(step: PlanStep, reads: list[Shape], y: Shape) -> bool:
    """Whether a table has rows for this step."""
    if not all(len(shape) in (2, 4) for shape in (*reads, y)):
        return False
    if isinstance(step, Pooling):
        return not (step.is_mean and any(step.place.pads)) and _every_window_reads(step)
    if isinstance(step, Join):
        return step.combine is np.add and len(reads) == 2 and reads[0] == reads[1] == y
    return isinstance(
        step, Convolution | Dense | GlobalMean | Affine | Rectifier | Flattening | Concatenation | ZeroPadding
    )


def margin(step: PlanStep, x: Shape, lanes: int, itemsize: int) -> Margin:
    """The zeros that a step reads around its input."""
    if not isinstance(step, Convolution):
        return NONE
    top, bottom, left, right = step.place.pads
    if is_tiled(step, x[0], lanes, itemsize):  # whole tiles
        height, width = step.place.out
        bottom = max(bottom, 4 * -(-height // 4) + 2 - x[1] - top)
        right = max(right, 4 * -(-width // 4) + 2 - x[2] - left)
    return top, bottom, left, right


def is_tiled(step: Convolution, images: int, lanes: int, itemsize: int) -> bool:
    """Whether Winograd's algorithm computes it."""
    c, f, (height, width) = step.channels, step.filters, step.place.out
    if c % lanes or f % lanes or 36 * c * f * itemsize > WEIGHTS or images * height * width < POSITIONS:
        return False
    return conv_tiles.applies(step.place, step.groups, c, f)


def add_rows(table: Table, operation: Operation, values: dict[int, Value]) -> None:
    """Add the rows of an operation to the table."""
    step, y = operation.step, values[operation.writes].seen_as(operation.shape)
    reads = [values[each].seen_as() for each in operation.reads]
    r = None if operation.added is None else values[operation.added].seen_as()
    limits = table.limits(operation.limits)
    if isinstance(step, Concatenation):
        begin = 0
        for x in reads:
            _copy(table, x, y._replace(start=y.start + begin), None, limits)
            begin += x.c
        return
    (x, *_) = reads
    if isinstance(step, ZeroPadding):
        top, left, channel = (0, 0, *step.before)[-3:]
        start = y.start + top * y.row + left * y.step + channel
        _copy(table, x, y._replace(start=start), None, limits)
    elif isinstance(step, Rectifier | Flattening | Join):
        _copy(table, x, y, r, limits)
    elif isinstance(step, Affine):
        _scaled(table, step, x, y, r, limits)
    elif isinstance(step, Dense):
        _dense(table, step, x, y, r, limits)
    elif isinstance(step, GlobalMean):
        _mean(table, (x.h, x.w), x, _as_items(y), None if r is None else _as_items(r), limits)
    elif isinstance(step, Pooling):
        _pool(table, step, x, y, r, limits)
    else:
        assert isinstance(step, Convolution)
        if is_tiled(step, x.n, table.lanes, table.dtype.itemsize):
            _tiled(table, step, x, y, r, limits)
        else:
            _convolution(table, step, x, y, r, limits)


def _convolution(table: Table, step: Convolution, x: Images, y: Images, r: Images | None, limits: int) -> None:
    window, (top, _, left, _) = step.place.window, step.place.pads
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    c, f = step.channels // step.groups, step.filters // step.groups
    by_channel = c == f == 1 < step.groups
    groups, f = (1, step.filters) if by_channel else (step.groups, f)
    taps = kh * kw * c
    whole = -(-f // table.lanes) * table.lanes
    w, b = table.constants(groups * whole * taps), table.constants(groups * whole)

    def write(constants: NDArray, weights: NDArray, scale: NDArray | None, shift: NDArray | None) -> None:
        if scale is not None:
            weights = weights * scale[:, None, None, None]
        for g, each in enumerate(weights.reshape(groups, f, taps)):
            constants[w + g * whole * taps :][: whole * taps] = table.arranged(each, y.w)
        bias = constants[b : b + groups * whole].reshape(groups, whole)
        bias[:, :f] = 0 if shift is None else shift.reshape(groups, f)

    table.prepared.append(Prepared(lambda: (step.weight(), *step.affine()), write))
    one_run = dw == 1 and step.groups == 1 and not by_channel  # the numbers that a row of taps reads
    table.windows(
        CHANNELS if by_channel else PRODUCT,
        y, r, channels=f, groups=groups,
        x=x.start - top * x.row - left * x.step, x_image=x.image, x_row=sh * x.row, x_step=sw * x.step,
        kh=kh, kw=1 if one_run else kw, count=kw * c if one_run else c, apart_h=dh * x.row, apart_w=dw * x.step,
        w=w, b=b, limits=limits,
    )  # fmt: skip


def _tiled(table: Table, step: Convolution, x: Images, y: Images, r: Images | None, limits: int) -> None:
    c, f, (top, _, left, _) = step.channels, step.filters, step.place.pads
    w, b, no_bias = (table.constants(size) for size in (36 * c * f, f, f))
    tiles = x.n * -(-y.h // 4) * -(-y.w // 4)
    most = max(8, SCRATCH // (36 * (c + f) * table.dtype.itemsize) // 8 * 8)
    unlimited = table.limits((-math.inf, math.inf))

    def write(constants: NDArray, weights: NDArray, scale: NDArray | None, shift: NDArray | None) -> None:
        u = transformed_kernel(weights if scale is None else weights * scale[:, None, None, None])  # (36, C, F)
        for p, each in enumerate(u):
            constants[w + p * c * f :][: c * f] = table.arranged(each.T, count)
        constants[b : b + f] = 0 if shift is None else shift

    groups = chunks(tiles, -(-tiles // -(-tiles // most)))
    count = groups[0].stop
    v, m = table.room(36 * count * c, 36 * count * f)
    table.prepared.append(Prepared(lambda: (step.weight(), *step.affine()), write))
    own = {"images": y.n, "height": y.h, "width": y.w}
    for group in groups:
        size = group.stop - group.start
        at = {"first": group.start, "filters": size, "rows": 2, "pieces": -(-size // 2)}
        table.add(
            kind=TILES_IN, **own, **at, channels=c, plane=size * c, y=v, r=-1,
            x=x.start - top * x.row - left * x.step, x_image=x.image, x_row=x.row, x_step=x.step,
        )  # fmt: skip
        many = Images(1, 36, size, f, m, 0, size * f, f)
        table.windows(
            PRODUCT, many, None, channels=f, positions=count,
            x=v, x_row=size * c, x_step=c, kh=1, kw=1, count=c, apart_h=0, apart_w=0,
            w=w, w_row=c * f, b=no_bias, limits=unlimited,
        )  # fmt: skip
        table.add(kind=TILES_OUT, **own, **at, channels=f, plane=size * f, x=m, b=b, limits=limits, **places(y, r))


def _dense(table: Table, step: Dense, x: Images, y: Images, r: Images | None, limits: int) -> None:
    whole = -(-y.c // table.lanes) * table.lanes
    w, b = table.constants(whole * x.c), table.constants(whole)

    def write(constants: NDArray, weights: NDArray, bias: NDArray | None) -> None:
        constants[w : w + whole * x.c] = table.arranged(weights, y.w)
        constants[b : b + y.c] = 0 if bias is None else bias

    table.prepared.append(Prepared(lambda: (step.weight(), step.bias()), write))
    _one_tap(table, PRODUCT, x, y, r, count=x.c, w=w, b=b, limits=limits)


def _scaled(table: Table, step: Affine, x: Images, y: Images, r: Images | None, limits: int) -> None:
    whole = -(-y.c // table.lanes) * table.lanes
    w, b = table.constants(whole), table.constants(whole)

    def write(constants: NDArray, scale: NDArray, shift: NDArray) -> None:
        constants[w : w + y.c], constants[b : b + y.c] = scale, shift

    table.prepared.append(Prepared(step.affine, write))
    _one_tap(table, CHANNELS, x, y, r, w=w, b=b, limits=limits)


def _copy(table: Table, x: Images, y: Images, r: Images | None, limits: int) -> None:
    _one_tap(table, LARGEST, x, y._replace(n=x.n, h=x.h, w=x.w, c=x.c), r, limits=limits, **_window(x))


def _one_tap(table: Table, kind: int, x: Images, y: Images, r: Images | None, **columns: int) -> None:
    one = {"kh": 1, "kw": 1, "apart_h": 0, "apart_w": 0}
    table.windows(kind, y, r, channels=y.c, x=x.start, x_image=x.image, x_row=x.row, x_step=x.step, **(one | columns))


def _as_items(rows: Images) -> Images:
    """Items that are rows of numbers, as images of one position instead of one row of positions."""
    return rows._replace(n=rows.w, w=1, image=rows.step)


def _window(x: Images) -> dict[str, int]:
    return {"x_height": x.h, "x_width": x.w, "step_h": 1, "step_w": 1, "dilation_h": 1, "dilation_w": 1}


def _pool(table: Table, step: Pooling, x: Images, y: Images, r: Images | None, limits: int) -> None:
    (kh, kw), (sh, sw), (dh, dw) = step.place.window.kernel, step.place.window.stride, step.place.window.dilation
    top, _, left, _ = step.place.pads
    columns = {
        "x_image": x.image,
        "x_row": sh * x.row,
        "x_step": sw * x.step,
        "apart_h": dh * x.row,
        "apart_w": dw * x.step,
    }
    if step.is_mean:
        _mean(table, (kh, kw), x, y, r, limits, **columns)
        return
    start = x.start - top * x.row - left * x.step
    window = {"top": top, "left": left, "x_height": x.h, "x_width": x.w}
    window |= {"step_h": sh, "step_w": sw, "dilation_h": dh, "dilation_w": dw}
    table.windows(LARGEST, y, r, channels=y.c, x=start, kh=kh, kw=kw, limits=limits, **columns, **window)


def _mean(
    table: Table, kernel: tuple[int, int], x: Images, y: Images, r: Images | None, limits: int, **columns: int
) -> None:
    (kh, kw), whole = kernel, -(-y.c // table.lanes) * table.lanes
    w, b = table.constants(whole * kh * kw), table.constants(whole)

    def write(constants: NDArray) -> None:
        constants[w : w + whole * kh * kw] = 1 / (kh * kw)

    table.prepared.append(Prepared(lambda: (), write))
    own = {"x_image": x.image, "x_row": x.row, "x_step": x.step, "apart_h": x.row, "apart_w": x.step}
    table.windows(
        CHANNELS, y, r, channels=y.c, x=x.start, kh=kh, kw=kw, w=w, b=b, limits=limits, **(own | columns)
    )  # fmt: skip


def _every_window_reads(step: Pooling) -> bool:
    """Whether each window has a tap inside the image."""
    window, pads = step.place.window, step.place.pads
    for axis in range(2):
        kernel, stride, apart = window.kernel[axis], window.stride[axis], window.dilation[axis]
        taps = np.arange(step.place.out[axis])[:, None] * stride + np.arange(kernel) * apart - pads[2 * axis]
        if not ((taps >= 0) & (taps < step.place.size[axis])).any(axis=1).all():
            return False
    return True
