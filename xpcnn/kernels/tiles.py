"""3×3 convolution on NumPy with stride 1, channels last, in a quarter of the multiplications (Winograd's algorithm).

Idea. `xpcnn.kernels.winograd` has the algorithm and its matrices for images with the batch last. There each tile has
its own products, with a column for each image, which are small if the images are few. Here, all tiles of a block of
images are the rows of 36 products, whatever the number of images. With d the 6×6 inputs of a tile, g the taps and y
its 4×4 outputs, for each channel c and filter f,

    V = Bᵀ d B,  U = G g Gᵀ,  M_pq = V_pq U_pq,  y = Aᵀ M A + b              V_pq (t, C), U_pq (C, F)       (1)
    dM = A dy Aᵀ,  dU_pq = V_pqᵀ dM_pq,  dg = Gᵀ dU G                                                       (2)
    db = Σ dy                                                                                               (3)
    dx = (1) of dy and the kernel rotated by 180°                                                           (4)

with the equation numbers of `xpcnn.ops.conv`. Each transform is two products with a small matrix: one along the
height, one along the width, with runs as long as the block. The weights are transformed at each call, which pays if
there are as many tiles as `TILES`, and not more weights than `WEIGHTS`.

An infinity or NaN spreads over its tile. Rounding errors are those of `winograd` with both axes.

Measured: 64 and 128 channels, with 8 and 16 images, take less time than with `winograd`, forward and backward.

Source: A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, 2015, equations 8 to 12.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.check import check_gradient
from ..ops.conv import check_conv2d
from ..ops.implementations import Implementation
from ..ops.window import Window
from ..typing import Cache, NDArray
from .batch_last import MANY, chunks, refuses_array
from .lowering import inside
from .memory import empty
from .padded import Block, share_count
from .threads import PARTS, PASS, parallel
from .winograd import A_T, B_T, POINTS, TILE, G

WORKSPACE = 1 << 20  # bytes of V for each thread
FEWEST = 64  # tiles, in any case, or one row of them
CHANNELS = 32  # at least, on both sides
WEIGHTS = 1 << 16  # C·F, at most
TILES = 32  # at least, of all images
LEAST_SAVING = 0.5  # of the multiplications

HALO = POINTS - TILE


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_array(x)
    if reason is not None:
        return reason
    if groups != 1:
        return "the convolution is grouped"
    if x.ndim != 4 or w.ndim != 4:
        return "the arrays are not those of a convolution"
    if window.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
        return "the kernel is not 3×3, or the stride is not 1"
    if min(w.shape[0], w.shape[3]) < CHANNELS:
        return f"there are fewer than {CHANNELS} channels"
    if w.shape[0] * w.shape[3] > WEIGHTS:
        return "there are too many weights to transform"
    if x.shape[0] >= MANY:
        return f"there are {MANY} images or more"
    place = window.place(x.shape[1], x.shape[2])
    positions, (rows, columns) = place.out[0] * place.out[1], _tiles(place.out)
    if rows * columns * x.shape[0] < TILES:
        return f"there are fewer than {TILES} tiles"
    if rows * columns * POINTS**2 > (1 - LEAST_SAVING) * 9 * positions:
        return f"{place.out[0]}×{place.out[1]} outputs fill the tiles badly"
    return None


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, tile by tile."""
    _, place = check_conv2d(x, w, b, window, groups)
    return _correlate(x, w, b, (place.pads[0], place.pads[2]), place.out), (x, w, b is not None, place)


def inference(
    x: NDArray,
    w: NDArray,
    b: NDArray | None = None,
    *,
    window: Window,
    groups: int = 1,
    scale: NDArray | None = None,
    relu: bool = False,
) -> NDArray:
    """`conv2d_inference`, tile by tile."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    filters = w if scale is None else w * scale[:, None, None, None]
    return _correlate(x, filters, b, (place.pads[0], place.pads[2]), place.out, relu)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, tile by tile."""
    x, w, _, place = cache
    check_gradient("Conv2d", dy, (x.shape[0], *place.out, w.shape[0]), w)
    dw, db = _weight_gradients(dy, cache) if weight_grad else (None, None)
    dx = None
    if input_grad:
        turned = w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0)  # (C, 3, 3, F)
        dx = _correlate(dy, turned, None, (2 - place.pads[0], 2 - place.pads[2]), x.shape[1:3])  # (4)
    return dx, dw, db


def _weight_gradients(dy: NDArray, cache: Cache) -> tuple[NDArray, NDArray | None]:
    """dw, and db or None."""
    x, w, has_bias, place = cache
    f, c = w.shape[0], w.shape[3]
    before = place.pads[0], place.pads[2]
    a, cost = np.ascontiguousarray(A_T.T.astype(dy.dtype)), _cost(dy.shape, c)
    blocks = _blocks(len(x), place.out, c + f, x.itemsize, cost)
    parts = min(len(blocks), PARTS if c * f * PARTS <= WEIGHTS else 2)
    du = empty((parts, POINTS**2, c, f), w.dtype)
    db = np.zeros((parts, f), w.dtype)

    def work(part: int) -> None:
        for number, block in enumerate(blocks[part::parts]):
            one, other, third = _rooms(3, block, place.out, max(c, f), x.dtype)
            v = _transformed_input(x, before, place.out, block, one, other)  # (36, t, C)
            given = _tiles_of(dy, block, third)  # (4, 4, t, F)
            if has_bias:
                run = given.reshape(-1, f)
                db[part] += np.ones(len(run), run.dtype) @ run  # (3)
            m = _transformed(a, given, other, third).reshape(POINTS**2, -1, f)  # (36, t, F)      (2)
            if number:
                du[part] += np.matmul(v.swapaxes(1, 2), m)  # (C, t) @ (t, F)                     (2)
            else:
                np.matmul(v.swapaxes(1, 2), m, out=du[part])  # (2)

    parallel(work, range(parts), cost)
    dw = np.empty((f, 3, 3, c), w.dtype)
    g_t = np.ascontiguousarray(G.T.astype(w.dtype))

    def finish(some: slice) -> None:
        total = np.ascontiguousarray(du[0, :, some])  # (36, c, F)
        for other in du[1:]:
            total = total + other[:, some]
        found = _transformed(g_t, total.reshape(POINTS, POINTS, -1, f))  # (v, u, c, F)           (2)
        dw[..., some] = found.transpose(3, 1, 0, 2)

    parallel(finish, chunks(c, -(-c // 2)), PASS * du.size)
    return dw, db.sum(axis=0) if has_bias else None


def _correlate(
    x: NDArray,
    w: NDArray,
    b: NDArray | None,
    before: tuple[int, int],
    out: tuple[int, ...],
    relu: bool = False,
) -> NDArray:
    """(1): (N, H, W, C), of which the kernel first reads the element −before, → (N, *out, F)."""
    f, c = w.shape[0], w.shape[3]
    y = empty((len(x), *out, f), x.dtype)
    u = _transformed_kernel(w)  # (36, C, F)
    a_t = A_T.astype(x.dtype)
    cost = _cost(y.shape, c)

    def work(block: Block) -> None:
        one, other = _rooms(2, block, out, max(c, f), x.dtype)
        v = _transformed_input(x, before, out, block, one, other)  # (36, t, C)
        m = _within(other, (POINTS, POINTS, v.shape[1], f))
        np.matmul(v, u, out=m.reshape(POINTS**2, -1, f))  # (t, C) @ (C, F)                       (1)
        found = _transformed(a_t, m, one, other)  # (4, 4, t, F)                                  (1)
        images, rows = block.images.stop - block.images.start, block.rows.stop - block.rows.start
        tiles = found.reshape(TILE, TILE, images, rows, -1, f).transpose(2, 3, 1, 4, 0, 5)  # (n, i, 4, j, 4, F)
        to = y[block.images, TILE * block.rows.start : TILE * block.rows.stop]  # (n, h, OW, F)
        height, width = TILE * rows, TILE * tiles.shape[3]
        if to.shape[1:3] == (height, width):
            target, tiles = to.reshape(tiles.shape), tiles
        else:
            target, tiles = to, tiles.reshape(images, height, width, f)[:, : to.shape[1], : to.shape[2]]
        if b is None:
            target[...] = tiles
        else:
            np.add(tiles, b, out=target)  # (1)
        if relu:
            np.maximum(to, 0, out=to)

    parallel(work, _blocks(len(x), out, max(c, f), x.itemsize, cost), cost)
    return y


def _transformed_kernel(w: NDArray) -> NDArray:
    """U of (1): (36, C, F)."""
    f, c = w.shape[0], w.shape[3]
    g = G.astype(w.dtype)
    u = empty((POINTS, POINTS, c, f), w.dtype)

    def work(some: slice) -> None:
        taps = np.ascontiguousarray(w[..., some].transpose(2, 1, 3, 0))  # (v, u, c, F)
        first = np.matmul(g, taps.reshape(3, -1)).reshape(POINTS, 3, -1)  # (1)
        np.matmul(g, first, out=u[:, :, some].reshape(POINTS, POINTS, -1))  # (1)

    parallel(work, chunks(c, -(-c // 2)), PASS * u.size)
    return u.reshape(-1, c, f)


def _transformed_input(
    x: NDArray, before: tuple[int, int], out: tuple[int, ...], block: Block, one: NDArray, other: NDArray
) -> NDArray:
    """V of (1), of the tiles of a block, in `one` of two rooms: (36, t, C)."""
    c, columns = x.shape[3], _tiles(out)[1]
    n, rows = block.images.stop - block.images.start, block.rows.stop - block.rows.start
    height = TILE * rows + HALO
    b_t = B_T.astype(x.dtype)
    gathered = _within(one, (POINTS, n, height, columns, c))  # of each tile the columns, with zeros around the image
    gathered[...] = 0
    p, h = inside(TILE * block.rows.start - before[0], 1, height, x.shape[1])
    for q in range(POINTS):
        j, w = inside(q - before[1], TILE, columns, x.shape[2])
        gathered[q, :, p, j] = x[block.images, h, w]
    along = _within(other, (POINTS, n, height, columns * c))
    np.matmul(b_t, gathered.reshape(POINTS, -1), out=along.reshape(POINTS, -1))  # along the width   (1)
    s_q, s_n, s_h, s_c = along.strides
    lines = as_strided(along, (POINTS, n, rows, POINTS, columns * c), (s_q, s_n, TILE * s_h, s_h, s_c), writeable=False)
    v = _within(one, (POINTS, POINTS, n, rows, columns * c))
    np.matmul(b_t, lines, out=v.transpose(0, 2, 3, 1, 4))  # along the height                     (1)
    return v.reshape(POINTS**2, -1, c)


def _tiles_of(dy: NDArray, block: Block, room: NDArray) -> NDArray:
    """The tiles of dy (N, OH, OW, F), with zeros beyond its edge: (4, 4, t, F), column and row first."""
    n, rows = block.images.stop - block.images.start, block.rows.stop - block.rows.start
    tiles = _within(room, (TILE, TILE, n, rows, _tiles(dy.shape[1:3])[1], dy.shape[3]))
    part = dy[block.images, TILE * block.rows.start : TILE * block.rows.stop]
    if part.shape[1:3] != (TILE * rows, TILE * tiles.shape[4]):
        tiles[...] = 0
    for q in range(TILE):
        for p in range(TILE):
            found = part[:, p::TILE, q::TILE]  # (n, i, j, F)
            tiles[q, p, :, : found.shape[1], : found.shape[2]] = found
    return tiles.reshape(TILE, TILE, -1, dy.shape[3])


def _transformed(matrix: NDArray, x: NDArray, *rooms: NDArray) -> NDArray:
    """matrix (p, r) times the first axis and the second of x (r, r, t, c): (p, p, t, c), in the second of two rooms."""
    p, r = matrix.shape
    shapes = (p, r, *x.shape[2:]), (p, p, *x.shape[2:])
    first, both = map(_within, rooms, shapes) if rooms else (np.empty(shape, x.dtype) for shape in shapes)
    np.matmul(matrix, x.reshape(r, -1), out=first.reshape(p, -1))
    np.matmul(matrix, first.reshape(p, r, -1), out=both.reshape(p, p, -1))
    return both


def _rooms(count: int, block: Block, out: tuple[int, ...], channels: int, dtype: Any) -> NDArray:
    """Memory for the numbers of a block's tiles, that many times."""
    n, rows = block.images.stop - block.images.start, block.rows.stop - block.rows.start
    lines = max(POINTS * rows, TILE * rows + HALO)
    return empty((count, POINTS * n * lines * _tiles(out)[1] * channels), dtype)


def _within(room: NDArray, shape: tuple[int, ...]) -> NDArray:
    return room[: math.prod(shape)].reshape(shape)


def _tiles(out: tuple[int, ...]) -> tuple[int, int]:
    """The number of tiles along each axis."""
    return -(-out[0] // TILE), -(-out[1] // TILE)


def _blocks(images: int, out: tuple[int, ...], channels: int, itemsize: int, cost: float) -> list[Block]:
    """Blocks of whole images if they are small, else of rows of tiles of one image."""
    rows, columns = _tiles(out)
    most = WORKSPACE // (POINTS**2 * columns * channels * itemsize)
    most = max(1, min(most, -(-images * rows // share_count(cost))), -(-FEWEST // columns))
    if most < rows:
        return [Block(slice(n, n + 1), part) for n in range(images) for part in chunks(rows, most)]
    return [Block(part, slice(0, rows)) for part in chunks(images, most // rows)]


def _cost(shape: tuple[int, ...], channels: int) -> float:
    """Of outputs (N, H, W, F): the products, and some 16 passes of transforms and copies."""
    n, height, width, f = shape
    rows, columns = _tiles((height, width))
    return float(n * rows * columns * POINTS**2 * (2 * channels * f + 16 * PASS * (channels + f)))


IMPLEMENTATION = Implementation("tiles", refuses, forward, backward)
INFERENCE = Implementation("tiles", refuses, inference, None)
