"""Winograd's algorithm for 3×3 kernels with the channels last in memory: a quarter of the multiplications.

Tile t of the output, 4×4 positions, reads 6×6 positions of the input. With d and g the numbers of a tile and a kernel,
for each channel and filter,

    y_t = Aᵀ [Σ_c (G g Gᵀ) ⊙ (Bᵀ d_t B)] A                  (1)
    dg  = Gᵀ [Σ_t (A dy_t Aᵀ) ⊙ (Bᵀ d_t B)] G               (2)

with the equation numbers of `xpcnn.ops.conv`. The sums are 36 products of matrices, (T, C) @ (C, F) for (1) and
(C, T) @ (T, F) for (2), and the transforms work on runs of C or F numbers. (4) is (1) of dy and the kernel rotated by
180°. What a tile has outside the image is 0, and what it computes outside the output is left out.

Arguments
    x : (N, H, W, C);  y, dy : (N, OH, OW, F);  u : (36, C, F), G g Gᵀ, from `transformed_kernel`
    bias : (m·F,), the bias m times, so that runs are long; or of size 0 to leave y = the sums
    relu : whether negative numbers become 0
    top, left : the padding
    first, last : a unit of work, some of the tiles of all images, row by row
    v, m : scratch (36, tiles of the unit, C) and (36, tiles of the unit, F)
    patch, half : scratch (6, 6 · max(C, F)) each

Sources
    A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, 2015, F(4×4, 3×3) → (1)
    see also `xpcnn.kernels.winograd`, which has the matrices
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import NDArray
from ..threads import one_blas_thread
from ..winograd import G
from .copying import clear, move
from .loop import In1, In3, In4, Out2, Out3, Out4, loop, part
from .product import add_product


def transformed_kernel(w: NDArray) -> NDArray:
    """G g Gᵀ of a kernel (F, 3, 3, C), as (36, C, F)."""
    g = G.astype(w.dtype)
    with one_blas_thread:
        u = np.tensordot(g, np.tensordot(g, w, (1, 1)), (1, 2))  # (q, p, F, C)
    return np.ascontiguousarray(u.transpose(1, 0, 3, 2)).reshape(36, w.shape[3], w.shape[0])


def kernel_gradient(du: NDArray) -> NDArray:
    """Gᵀ du G: (36, C, F) → (F, 3, 3, C)."""
    g = G.astype(du.dtype)
    with one_blas_thread:
        dw = np.tensordot(g, np.tensordot(g, du.reshape(6, 6, *du.shape[1:]), (0, 0)), (0, 1))  # (v, u, C, F)
    return np.ascontiguousarray(dw.transpose(3, 1, 0, 2))


@part
def finish(y: Any, start: int, stop: int, bias: Any, relu: bool) -> None:
    """The end of (1), in numbers `start` to `stop` of y: the bias is added, then `relu` cuts off."""
    zero, long = y.dtype.type(0), len(bias)
    for k in range(start, stop, long):
        out = y[k : min(k + long, stop)]
        if relu:
            for f in range(len(out)):
                s = out[f] + bias[f]
                out[f] = zero if s <= 0 else s
        else:
            for f in range(len(out)):
                out[f] += bias[f]


@part
def input_transform(d: Any, i: int, step: int, v: Any, o: int, gap: int, count: int) -> None:
    """Bᵀ d: the six runs of v, `gap` apart from o on, of the six of d, `step` apart from i on."""
    d0, d1, d2 = d[i : i + count], d[i + step : i + step + count], d[i + 2 * step : i + 2 * step + count]
    i += 3 * step
    d3, d4, d5 = d[i : i + count], d[i + step : i + step + count], d[i + 2 * step : i + 2 * step + count]
    v0, v1, v2 = v[o : o + count], v[o + gap : o + gap + count], v[o + 2 * gap : o + 2 * gap + count]
    o += 3 * gap
    v3, v4, v5 = v[o : o + count], v[o + gap : o + gap + count], v[o + 2 * gap : o + 2 * gap + count]
    two, four, five = d.dtype.type(2), d.dtype.type(4), d.dtype.type(5)
    for k in range(count):
        odd, even = d3[k] - four * d1[k], d4[k] - four * d2[k]
        odd2, even2 = two * (d3[k] - d1[k]), d4[k] - d2[k]
        v0[k] = four * d0[k] - five * d2[k] + d4[k]
        v5[k] = four * d1[k] - five * d3[k] + d5[k]
        v1[k] = even + odd
        v2[k] = even - odd
        v3[k] = even2 + odd2
        v4[k] = even2 - odd2


@part
def output_transform(m: Any, i: int, step: int, y: Any, o: int, gap: int, count: int) -> None:
    """Aᵀ m: four runs of y, `gap` apart from o on, of the six of m, `step` apart from i on."""
    m0, m1, m2 = m[i : i + count], m[i + step : i + step + count], m[i + 2 * step : i + 2 * step + count]
    i += 3 * step
    m3, m4, m5 = m[i : i + count], m[i + step : i + step + count], m[i + 2 * step : i + 2 * step + count]
    y0, y1 = y[o : o + count], y[o + gap : o + gap + count]
    o += 2 * gap
    y2, y3 = y[o : o + count], y[o + gap : o + gap + count]
    two, four, eight = m.dtype.type(2), m.dtype.type(4), m.dtype.type(8)
    for k in range(count):
        even, odd, even2, odd2 = m1[k] + m2[k], m1[k] - m2[k], m3[k] + m4[k], m3[k] - m4[k]
        y0[k] = m0[k] + even + even2
        y1[k] = odd + two * odd2
        y2[k] = even + four * even2
        y3[k] = odd + eight * odd2 + m5[k]


@part
def gradient_transform(g: Any, i: int, step: int, m: Any, o: int, gap: int, count: int) -> None:
    """A g: six runs of m, `gap` apart from o on, of the four of g, `step` apart from i on."""
    g0, g1 = g[i : i + count], g[i + step : i + step + count]
    i += 2 * step
    g2, g3 = g[i : i + count], g[i + step : i + step + count]
    m0, m1, m2 = m[o : o + count], m[o + gap : o + gap + count], m[o + 2 * gap : o + 2 * gap + count]
    o += 3 * gap
    m3, m4, m5 = m[o : o + count], m[o + gap : o + gap + count], m[o + 2 * gap : o + 2 * gap + count]
    two, four, eight = g.dtype.type(2), g.dtype.type(4), g.dtype.type(8)
    for k in range(count):
        even, odd = g0[k] + g2[k], g1[k] + g3[k]
        even2, odd2 = g0[k] + four * g2[k], two * g1[k] + eight * g3[k]
        m0[k] = g0[k]
        m1[k] = even + odd
        m2[k] = even - odd
        m3[k] = even2 + odd2
        m4[k] = even2 - odd2
        m5[k] = g3[k]


@part
def cut(x: Any, shape: Any, n: int, i: int, j: int, size: int, patch: Any) -> None:
    """Rows i to i + size and as many columns from j on of image n, with zeros outside: patch (size, size·C), flat."""
    _, high, wide, c = shape
    for a in range(size):
        for b in range(size):
            to = (a * size + b) * c
            if 0 <= i + a < high and 0 <= j + b < wide:
                move(x, ((n * high + i + a) * wide + j + b) * c, patch, to, c)
            else:
                clear(patch, to, c)


@part
def input_tiles(
    x: Any, shape: Any, top: int, left: int, across: int, per_image: int, first: int, last: int,
    v: Any, patch: Any, half: Any,
) -> None:  # fmt: skip
    """v[:, t] ← Bᵀ d B of tiles `first` to `last`; x, v, patch and half are flat."""
    _, high, wide, c = shape
    plane = (last - first) * c
    for tile in range(first, last):
        n, k = tile // per_image, tile % per_image
        i, j = 4 * (k // across) - top, 4 * (k % across) - left
        if i >= 0 and j >= 0 and i + 6 <= high and j + 6 <= wide:
            input_transform(x, ((n * high + i) * wide + j) * c, wide * c, half, 0, 6 * c, 6 * c)
        else:
            cut(x, shape, n, i, j, 6, patch)
            input_transform(patch, 0, 6 * c, half, 0, 6 * c, 6 * c)
        for p in range(6):
            input_transform(half, p * 6 * c, c, v, 6 * p * plane + (tile - first) * c, plane, c)


@loop
def correlate_tiles(
    x: In4, u: In3, bias: In1, relu: bool, top: int, left: int, first: int, last: int,
    v: Out3, m: Out3, patch: Out2, half: Out2, y: Out4,
) -> None:  # fmt: skip
    """(1), for tiles `first` to `last` of those of all images."""
    _, height, width, f = y.shape
    count, across, down = last - first, (width + 3) // 4, (height + 3) // 4
    flat_v, flat_m = v.reshape(v.size), m.reshape(m.size)
    flat_patch, flat_half, flat_y = patch.reshape(patch.size), half.reshape(half.size), y.reshape(y.size)
    input_tiles(
        x.reshape(x.size), x.shape, top, left, across, across * down, first, last, flat_v, flat_patch, flat_half
    )
    for p in range(36):
        add_product(v[p, :count], u[p], m[p, :count], 0.0)  # (1)
    plane = count * f
    for tile in range(first, last):
        n, k = tile // (across * down), tile % (across * down)
        i, j = 4 * (k // across), 4 * (k % across)
        for p in range(6):
            output_transform(flat_m, 6 * p * plane + (tile - first) * f, plane, flat_half, p * 4 * f, f, f)
        output_transform(flat_half, 0, 4 * f, flat_patch, 0, 4 * f, 4 * f)
        run = min(4, width - j) * f
        for a in range(min(4, height - i)):
            to = ((n * height + i + a) * width + j) * f
            move(flat_patch, a * 4 * f, flat_y, to, run)
            if len(bias) > 0:
                finish(flat_y, to, to + run, bias, relu)


@loop
def tile_gradients(
    x: In4, dy: In4, top: int, left: int, first: int, last: int, v: Out3, m: Out3, patch: Out2, half: Out2, du: Out3
) -> None:
    """Adds the sums of (2) to du (36, C, F), for tiles `first` to `last` of those of all images."""
    _, height, width, f = dy.shape
    count, across, down = last - first, (width + 3) // 4, (height + 3) // 4
    flat_v, flat_m = v.reshape(v.size), m.reshape(m.size)
    flat_patch, flat_half, given = patch.reshape(patch.size), half.reshape(half.size), dy.reshape(dy.size)
    input_tiles(
        x.reshape(x.size), x.shape, top, left, across, across * down, first, last, flat_v, flat_patch, flat_half
    )
    plane = count * f
    for tile in range(first, last):
        n, k = tile // (across * down), tile % (across * down)
        i, j = 4 * (k // across), 4 * (k % across)
        if i + 4 <= height and j + 4 <= width:
            at = ((n * height + i) * width + j) * f
            gradient_transform(given, at, width * f, flat_half, 0, 4 * f, 4 * f)
        else:
            cut(given, dy.shape, n, i, j, 4, flat_patch)
            gradient_transform(flat_patch, 0, 4 * f, flat_half, 0, 4 * f, 4 * f)
        for p in range(6):
            gradient_transform(flat_half, p * 4 * f, f, flat_m, 6 * p * plane + (tile - first) * f, plane, f)
    for p in range(36):
        add_product(v[p, :count].T, m[p, :count], du[p], 1.0)  # (2)
