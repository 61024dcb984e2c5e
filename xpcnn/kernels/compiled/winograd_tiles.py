"""Winograd's algorithm for 3×3 kernels with the channels last in memory: a quarter of the multiplications.

Tile t of the output, 4×4 positions, reads 6×6 positions of the input. With d and g the numbers of a tile and a kernel,
for each channel and filter,

    y_t = Aᵀ [Σ_c (G g Gᵀ) ⊙ (Bᵀ d_t B)] A                  (1)
    dg  = Gᵀ [Σ_t (A dy_t Aᵀ) ⊙ (Bᵀ d_t B)] G               (2)

with the equation numbers of `xpcnn.ops.conv`. The sums are 36 products of matrices, (T, C) @ (C, F) for (1) and
(C, T) @ (T, F) for (2), and the transforms work on runs of C or F numbers. (4) is (1) of dy and the kernel rotated by
180°. What a tile has outside the image is 0, and what it computes outside the output is left out.

Arguments
    x : (N, H, W, C);  y, dy : (N, OH, OW, F);  u : (36, C, F), G g Gᵀ, from `winograd_kernels`
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

from .copying import clear, move
from .loop import In1, In3, In4, Out2, Out3, Out4, loop, part
from .product import add_product
from .winograd_points import gradient_points, input_points, outputs, part_of


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
    input_points(
        part_of(d, i, step, 0, count), part_of(d, i, step, 1, count), part_of(d, i, step, 2, count),
        part_of(d, i, step, 3, count), part_of(d, i, step, 4, count), part_of(d, i, step, 5, count),
        part_of(v, o, gap, 0, count), part_of(v, o, gap, 1, count), part_of(v, o, gap, 2, count),
        part_of(v, o, gap, 3, count), part_of(v, o, gap, 4, count), part_of(v, o, gap, 5, count),
    )  # fmt: skip


@part
def output_transform(m: Any, i: int, step: int, y: Any, o: int, gap: int, count: int) -> None:
    """Aᵀ m: four runs of y, `gap` apart from o on, of the six of m, `step` apart from i on."""
    outputs(
        part_of(m, i, step, 0, count), part_of(m, i, step, 1, count), part_of(m, i, step, 2, count),
        part_of(m, i, step, 3, count), part_of(m, i, step, 4, count), part_of(m, i, step, 5, count),
        m.dtype.type(0), False,
        part_of(y, o, gap, 0, count), part_of(y, o, gap, 1, count),
        part_of(y, o, gap, 2, count), part_of(y, o, gap, 3, count),
    )  # fmt: skip


@part
def gradient_transform(g: Any, i: int, step: int, m: Any, o: int, gap: int, count: int) -> None:
    """A g: six runs of m, `gap` apart from o on, of the four of g, `step` apart from i on."""
    gradient_points(
        part_of(g, i, step, 0, count), part_of(g, i, step, 1, count),
        part_of(g, i, step, 2, count), part_of(g, i, step, 3, count),
        part_of(m, o, gap, 0, count), part_of(m, o, gap, 1, count), part_of(m, o, gap, 2, count),
        part_of(m, o, gap, 3, count), part_of(m, o, gap, 4, count), part_of(m, o, gap, 5, count),
    )  # fmt: skip


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
