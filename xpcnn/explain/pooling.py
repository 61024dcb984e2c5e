"""Pooling: the element that won, and the path of the gradient."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..backend import array_namespace, to_numpy
from ..nn.pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from ..ops.pool import max_pool2d_forward, tap_counts
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .rules import Largest, Sum
from .run import Visit
from .sums import largest
from .windows import readers, reads

LARGE, SMALL = ("n", "p", "q", "c"), ("n", "i", "j", "c")  # images before and after pooling


def max_pooling(page: Explanation, visit: Visit, layer: MaxPool2d, at: Index) -> None:
    """The largest element of each window; dy goes to the one that won."""
    n, i, j, c = at
    place = layer.window.place(visit.x.shape[1], visit.x.shape[2])
    (kh, kw), (top, _, left, _) = layer.window.kernel, place.pads
    xp = array_namespace(visit.x)
    _, (winner, *_) = max_pool2d_forward(visit.x, window=layer.window)  # the reference's cache holds t
    meaning = f"input{', padded with −∞' if any(place.pads) else ''}"
    inner, padded = f"x[n, p - {top}, q - {left}, c]", to_numpy(place.pad(visit.x, xp, -math.inf))
    page.add("x̂", meaning, LARGE, padded, of=inner, outside=-math.inf)
    page.add("t", f"the tap that won: number u·{kw} + v", SMALL, to_numpy(winner).astype(np.int64))
    visit.show(page, LARGE, SMALL, x=False)
    x_hat, t = page.arrays["x̂"].values, page.arrays["t"].values

    taken = _taken(layer)
    output = Largest(f"x̂[n, {taken}, c] | u<{kh}, v<{kw}")
    row, column = _readers(layer, top, left)
    share = Sum(f"dy[n, {row}, {column}, c] | u<{kh}, v<{kw} | t[n, {row}, {column}, c] = u*{kw} + v")

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
        worked, wins = share.worked(page, "dx", index), int((t[n, i, j, c] == u * kw + v).sum())
        seen = f"{len(i)} window{'s' * (len(i) != 1)} read it, it won in {wins}"
        return replace(worked, remarks=((seen, (), worked.value),))

    page.add_step("Forward: the largest element under the window", quoted("pool", 1), ("x̂",), "y", at, output)
    page.add_step("Who won", quoted("pool", 2), ("x̂",), "t", at, winning_tap)
    first = int(t[at])
    rows, columns = reads(place, i, j)
    won = (n, int(rows[first // kw, 0]) - top, int(columns[0, first % kw]) - left, c)
    inside = 0 <= won[1] < place.size[0] and 0 <= won[2] < place.size[1]
    focus = won if inside else largest(page.arrays["dx"].values, (n,))
    title = "Backward: the winner gets all of dy"
    page.add_step(title, quoted("pool", 4), ("dy", "t"), "dx", focus, input_gradient, rule=share)


def average_pooling(page: Explanation, visit: Visit, layer: AvgPool2d, at: Index) -> None:
    """The mean of each window; dy is divided among its elements."""
    n, _, _, c = at
    place = layer.window.place(visit.x.shape[1], visit.x.shape[2])
    top, _, left, _ = place.pads
    xp = array_namespace(visit.x)
    counts = tap_counts(place, layer.count_include_pad, visit.x, xp)
    r = np.full(place.out, counts) if isinstance(counts, int) else to_numpy(counts)[..., 0]
    meaning = f"input{', padded with zeros' if any(place.pads) else ''}"
    inner = f"x[n, p - {top}, q - {left}, c]"
    page.add("x̂", meaning, LARGE, to_numpy(place.pad(visit.x, xp)), of=inner)
    page.add("r", "how many taps count", ("i", "j"), r)
    visit.show(page, LARGE, SMALL, x=False)

    (kh, kw), (row, column) = layer.window.kernel, _readers(layer, top, left)
    output = Sum(f"x̂[n, {_taken(layer)}, c] | u<{kh}, v<{kw}", over="r[i,j]")
    input_gradient = Sum(f"dy[n, {row}, {column}, c] / r[{row}, {column}] | u<{kh}, v<{kw}")
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

    output = Largest(f"x[n,p,q,c] | p<{height}, q<{width}")
    first = [[winner(n, c) for c in range(x.shape[3])] for n in range(len(x))]
    page.add("t", f"where its first maximum stands: p·{width} + q", ("n", "c"), np.array(first) @ [width, 1])
    share = Sum(f"dy[n,c] | | t[n,c] = p*{width} + q")

    def input_gradient(index: Index) -> Worked:
        n, _, _, c = index
        worked, (p, q) = share.worked(page, "dx", index), winner(n, c)
        return replace(worked, remarks=((f"the first maximum of channel {c} stands at ({p}, {q})", (), worked.value),))

    page.add_step("Forward: the largest element of the channel", quoted("global_pool", 1), ("x",), "y", at, output)
    focus = (n, *winner(n, c), c)
    title = "Backward: the winner gets all of dy"
    page.add_step(title, quoted("global_pool", 3), ("dy", "t"), "dx", focus, input_gradient, rule=share)


def global_average_pooling(page: Explanation, visit: Visit, layer: GlobalAvgPool2d, at: Index) -> None:
    """The mean of each channel."""
    n, c = at
    visit.show(page, LARGE, ("n", "c"))
    height, width = visit.x.shape[1:3]
    output = Sum(f"x[n,p,q,c] | p<{height}, q<{width}", over=str(height * width))
    input_gradient = Sum("dy[n,c]", over=str(height * width))
    page.add_step("Forward: the mean of the channel", quoted("global_pool", 2), ("x",), "y", at, output)
    focus = (n, height // 2, width // 2, c)
    page.add_step("Backward: an equal share for each", quoted("global_pool", 4), ("dy",), "dx", focus, input_gradient)


def adaptive_average_pooling(page: Explanation, visit: Visit, layer: AdaptiveAvgPool2d, at: Index) -> None:
    """The means of bins."""
    n, _, _, c = at
    visit.show(page, LARGE, SMALL)
    forward, backward, elements, bins = [], [], [], []
    for axis, (name, i, p, u) in enumerate((("A", "i", "p", "u"), ("B", "j", "q", "v"))):
        size, count = visit.x.shape[1 + axis], layer.output_size[axis]
        matrix = np.zeros((count, size))
        for row in range(count):
            start, stop = row * size // count, -(-(row + 1) * size // count)
            matrix[row, start:stop] = 1 / (stop - start)
        page.add(name, f"bins of the {('height', 'width')[axis]}", (i, p), matrix)
        element, own = f"({i}*{size}//{count} + {u})", f"({p}*{count}//{size} + {u})"  # of a bin; its bins
        # an element that is not in the bin has a row outside of the matrix, so that its term is left out
        forward.append(
            (f"{name}[{i} + {count}*({element}//((({i} + 1)*{size} + {count - 1})//{count})), {element}]", element)
        )
        backward.append((f"{name}[{own} + {count}*(({own}*{size}//{count})//({p} + 1)), {p}]", own))
        elements.append(f"{u}<{(matrix > 0).sum(axis=1).max()}")
        bins.append(f"{u}<{(matrix > 0).sum(axis=0).max()}")
    (a, p), (b, q) = forward
    output = Sum(f"{a}·{b}·x[n, {p}, {q}, c] | {', '.join(elements)}")
    (a, i), (b, j) = backward
    input_gradient = Sum(f"{a}·{b}·dy[n, {i}, {j}, c] | {', '.join(bins)}")
    page.add_step("Forward: the mean of a bin", quoted("adaptive_pool", 1, 2), ("A", "B", "x"), "y", at, output)
    focus = largest(page.arrays["dx"].values, (n, slice(None), slice(None), c))
    page.add_step("Backward: the transpose", quoted("adaptive_pool", 3), ("A", "B", "dy"), "dx", focus, input_gradient)


def _taken(layer: MaxPool2d | AvgPool2d) -> str:
    """The padded row and column that tap (u, v) reads at (i, j), (2) of `xpcnn.ops.window`."""
    (sh, sw), (dh, dw) = layer.window.stride, layer.window.dilation
    return f"i*{sh} + u*{dh}, j*{sw} + v*{dw}"


def _readers(layer: MaxPool2d | AvgPool2d, top: int, left: int) -> tuple[str, str]:
    """The row and the column from which tap (u, v) reads (p, q)."""
    (sh, sw), (dh, dw) = layer.window.stride, layer.window.dilation
    return f"(p + {top} - u*{dh})/{sh}", f"(q + {left} - v*{dw})/{sw}"
