"""Pooling: the element that won, and the path of the gradient."""

from __future__ import annotations

import math

import numpy as np

from ..backend import array_namespace, to_numpy
from ..nn.pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from ..ops.pool import max_pool2d_forward, tap_counts
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .run import Visit
from .sums import Factor, largest, total
from .windows import readers, reads

LARGE, SMALL = ("n", "p", "q", "c"), ("n", "i", "j", "c")  # images before and after pooling


def max_pooling(page: Explanation, visit: Visit, layer: MaxPool2d, at: Index) -> None:
    """The largest element of each window; dy goes to the one that won."""
    n, i, j, c = at
    place = layer.window.place(visit.x.shape[1], visit.x.shape[2])
    (_, kw), (top, _, left, _) = layer.window.kernel, place.pads
    xp = array_namespace(visit.x)
    _, (winner, *_) = max_pool2d_forward(visit.x, window=layer.window)  # the reference's cache holds t
    meaning = f"input{', padded with −∞' if any(place.pads) else ''}"
    page.add("x̂", meaning, LARGE, to_numpy(place.pad(visit.x, xp, -math.inf)))
    page.add("t", f"the tap that won: number u·{kw} + v", SMALL, to_numpy(winner).astype(np.int64))
    visit.show(page, LARGE, SMALL, x=False)
    x_hat, t = page.arrays["x̂"].values, page.arrays["t"].values

    def output(index: Index) -> Worked:
        n, i, j, c = index
        rows, columns = np.broadcast_arrays(*reads(place, i, j))
        return _maximum(page, Ref("y", index), [(n, p, q, c) for p, q in zip(rows.flat, columns.flat, strict=True)])

    def winning_tap(index: Index) -> Worked:
        n, i, j, c = index
        rows, columns = reads(place, i, j)
        values = x_hat[n, rows, columns, c].ravel()  # (KH·KW,)
        first = int(np.argmax(np.isnan(values))) if np.isnan(values).any() else int(values.argmax())
        won = Ref("x̂", (n, int(rows[first // kw, 0]), int(columns[0, first % kw]), c))
        return Worked(Ref("t", index), (f"{first // kw}·{kw} + {first % kw}, where ", won, " stands"), first)

    def input_gradient(index: Index) -> Worked:
        n, p, q, c = index
        i, j, u, v = (part.ravel() for part in np.broadcast_arrays(*readers(place, p + top, q + left)))
        wins = t[n, i, j, c] == u * kw + v
        worked = total(page, Ref("dx", index), [Factor("dy", (n, i[wins], j[wins], c))])
        seen = f"{len(i)} window{'s' * (len(i) != 1)} read it, it won in {int(wins.sum())}"
        return Worked(worked.target, worked.pieces, worked.value, ((seen, (), worked.value),))

    page.add_step("Forward: the largest element under the window", quoted("pool", 1), ("x̂",), "y", at, output)
    page.add_step("Who won", quoted("pool", 2), ("x̂",), "t", at, winning_tap)
    first = int(t[at])
    rows, columns = reads(place, i, j)
    won = (n, int(rows[first // kw, 0]) - top, int(columns[0, first % kw]) - left, c)
    inside = 0 <= won[1] < place.size[0] and 0 <= won[2] < place.size[1]
    focus = won if inside else largest(page.arrays["dx"].values, (n,))
    page.add_step("Backward: the winner gets all of dy", quoted("pool", 4), ("dy", "t"), "dx", focus, input_gradient)


def average_pooling(page: Explanation, visit: Visit, layer: AvgPool2d, at: Index) -> None:
    """The mean of each window; dy is divided among its elements."""
    n, _, _, c = at
    place = layer.window.place(visit.x.shape[1], visit.x.shape[2])
    top, _, left, _ = place.pads
    xp = array_namespace(visit.x)
    counts = tap_counts(place, layer.count_include_pad, visit.x, xp)
    r = np.full(place.out, counts) if isinstance(counts, int) else to_numpy(counts)[..., 0]
    meaning = f"input{', padded with zeros' if any(place.pads) else ''}"
    page.add("x̂", meaning, LARGE, to_numpy(place.pad(visit.x, xp)))
    page.add("r", "how many taps count", ("i", "j"), r)
    visit.show(page, LARGE, SMALL, x=False)

    def output(index: Index) -> Worked:
        n, i, j, c = index
        rows, columns = reads(place, i, j)
        return total(page, Ref("y", index), [Factor("x̂", (n, rows, columns, c))], over=Ref("r", (i, j)))

    def input_gradient(index: Index) -> Worked:
        n, p, q, c = index
        i, j, u, v = readers(place, p + top, q + left)
        i, j, *_ = np.broadcast_arrays(i, j, u, v)
        return total(page, Ref("dx", index), [Factor("dy", (n, i, j, c)), Factor("r", (i, j), divides=True)])

    page.add_step("Forward: the mean of the elements under the window", quoted("pool", 3), ("x̂", "r"), "y", at, output)
    focus = largest(page.arrays["dx"].values, (n, slice(None), slice(None), c))
    page.add_step("Backward: every tap has its share", quoted("pool", 5), ("dy", "r"), "dx", focus, input_gradient)


def global_max_pooling(page: Explanation, visit: Visit, layer: GlobalMaxPool2d, at: Index) -> None:
    """The largest element of each channel."""
    n, c = at
    visit.show(page, LARGE, ("n", "c"))
    x = page.arrays["x"].values
    height, width = x.shape[1:3]

    def winner(n: int, c: int) -> tuple[int, int]:
        first = int(x[n, :, :, c].argmax())  # NaN comes before all
        return first // width, first % width

    def output(index: Index) -> Worked:
        n, c = index
        return _maximum(page, Ref("y", index), [(n, p, q, c) for p in range(height) for q in range(width)])

    def input_gradient(index: Index) -> Worked:
        n, p, q, c = index
        won = (p, q) == winner(n, c)
        remark = f"the first maximum of channel {c} stands at ({winner(n, c)[0]}, {winner(n, c)[1]})"
        target = Ref("dx", index)
        worked = total(page, target, [Factor("dy", (n, c))]) if won else Worked(target, ("0",), 0.0)
        return Worked(target, worked.pieces, worked.value, ((remark, (), worked.value),))

    page.add_step("Forward: the largest element of the channel", quoted("global_pool", 1), ("x",), "y", at, output)
    focus = (n, *winner(n, c), c)
    page.add_step("Backward: the winner gets all of dy", quoted("global_pool", 3), ("dy",), "dx", focus, input_gradient)


def global_average_pooling(page: Explanation, visit: Visit, layer: GlobalAvgPool2d, at: Index) -> None:
    """The mean of each channel."""
    n, c = at
    visit.show(page, LARGE, ("n", "c"))
    height, width = visit.x.shape[1:3]
    p, q = np.arange(height)[:, None], np.arange(width)[None, :]

    def output(index: Index) -> Worked:
        n, c = index
        return total(page, Ref("y", index), [Factor("x", (n, p, q, c))], over=str(height * width))

    def input_gradient(index: Index) -> Worked:
        return total(page, Ref("dx", index), [Factor("dy", (index[0], index[3]))], over=str(height * width))

    page.add_step("Forward: the mean of the channel", quoted("global_pool", 2), ("x",), "y", at, output)
    focus = (n, height // 2, width // 2, c)
    page.add_step("Backward: an equal share for each", quoted("global_pool", 4), ("dy",), "dx", focus, input_gradient)


def adaptive_average_pooling(page: Explanation, visit: Visit, layer: AdaptiveAvgPool2d, at: Index) -> None:
    """The means of bins."""
    n, _, _, c = at
    visit.show(page, LARGE, SMALL)
    for axis, (name, letters) in enumerate((("A", ("i", "p")), ("B", ("j", "q")))):
        size, count = visit.x.shape[1 + axis], layer.output_size[axis]
        matrix = np.zeros((count, size))
        for row in range(count):
            start, stop = row * size // count, -(-(row + 1) * size // count)
            matrix[row, start:stop] = 1 / (stop - start)
        page.add(name, f"bins of the {('height', 'width')[axis]}", letters, matrix)

    def output(index: Index) -> Worked:
        n, i, j, c = index
        p, q = (np.flatnonzero(page.arrays[name].values[at]) for name, at in (("A", i), ("B", j)))
        p, q = p[:, None], q[None, :]
        return total(page, Ref("y", index), [Factor("A", (i, p)), Factor("B", (j, q)), Factor("x", (n, p, q, c))])

    def input_gradient(index: Index) -> Worked:
        n, p, q, c = index
        i, j = (np.flatnonzero(page.arrays[name].values[:, at]) for name, at in (("A", p), ("B", q)))
        i, j = i[:, None], j[None, :]
        return total(page, Ref("dx", index), [Factor("A", (i, p)), Factor("B", (j, q)), Factor("dy", (n, i, j, c))])

    page.add_step("Forward: the mean of a bin", quoted("adaptive_pool", 1, 2), ("A", "B", "x"), "y", at, output)
    focus = largest(page.arrays["dx"].values, (n, slice(None), slice(None), c))
    page.add_step("Backward: the transpose", quoted("adaptive_pool", 3), ("A", "B", "dy"), "dx", focus, input_gradient)


MOST_CANDIDATES = 30


def _maximum(page: Explanation, target: Ref, candidates: list[tuple[int, ...]]) -> Worked:
    """The largest of the input's elements; if there are many, only the largest few are written out."""
    name = "x̂" if "x̂" in page.arrays else "x"
    values = [float(page.arrays[name].values[index]) for index in candidates]
    order = sorted(range(len(values)), key=lambda k: -math.inf if math.isnan(values[k]) else -values[k])
    kept = sorted(order[:MOST_CANDIDATES])
    pieces: list[str | Ref] = ["max("]
    for k in kept:
        pieces += [*([", "] if len(pieces) > 1 else []), Ref(name, tuple(map(int, candidates[k])))]
    rest = len(candidates) - len(kept)
    pieces.append(f", and {rest} smaller ones)" if rest else ")")
    return Worked(target, tuple(pieces), float(np.max(values)))
