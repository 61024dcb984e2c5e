"""The loop of convolution with the batch last in memory and stride 1, for a part of a batch.

With L as in `xpcnn.kernels.rows`, which has KH rows of the image next to each other,

    L[q,u,c,n]  = x[i + u − P, q − P, c, n]                 q a padded column, of row i of output
    y[i,j,f,n]  = b[f] + Σ_{v,u,c} W[f,(v,u,c)] L[j:j+KW][(v,u,c),n]                        (1)

with the equation number of `xpcnn.ops.conv`. The sums of some filters and one or two vectors of images are a tile of
`microkernel`: L is read where it is, and y is written once. BLAS, which rearranges both factors first, takes up to
twice as long for such small products.
"""

from __future__ import annotations

from .copying import clear, move
from .loop import In2, In4, InInts1, Out1, Out4, loop
from .microkernel import add_tile, address


@loop
def correlate_part(
    x: In4, w: In2, bias: In2, floor: float, reads: InInts1, kh: int, kw: int, top: int, left: int,
    lanes: int, most: int, lowered: Out1, y: Out4,
) -> None:  # fmt: skip
    """(1), and `floor` where y is less.

    Parameters
        x, y : (H, W, C, n), (OH, OW, F, n); n at least `lanes`
        w : W, (F, K);  reads : 0, 1, … K − 1
        bias : (F, n)
        lanes, most : of a vector; filters of a tile of two
        lowered : L of one row of output
    """
    height, width, channels, n = x.shape
    oh, ow, filters, _ = y.shape
    taps, run, blocks = w.shape[1], channels * n, (filters + most - 1) // most
    flat_x, flat_w, flat_bias, flat_y = x.reshape(x.size), w.reshape(w.size), bias.reshape(bias.size), y.reshape(y.size)
    for i in range(oh):
        for q in range(ow + kw - 1):
            column = q - left
            for u in range(kh):
                row, to = i + u - top, (q * kh + u) * run
                if 0 <= row < height and 0 <= column < width:
                    move(flat_x, (row * width + column) * run, lowered, to, run)
                else:
                    clear(lowered, to, run)
        for j in range(ow):
            k = 0
            while k < n:
                vectors = 2 if k + 2 * lanes <= n else 1
                k = min(k, n - vectors * lanes)  # the last vector may repeat some of the one before
                f = 0
                for block in range(blocks):
                    size = (filters - f + blocks - block - 1) // (blocks - block)
                    add_tile(
                        address(flat_w, f * taps), taps, address(reads, 0), taps,
                        address(lowered, j * kh * run + k), n, address(flat_bias, f * n + k), n, floor,
                        address(flat_y, ((i * ow + j) * filters + f) * n + k), n, size, vectors,
                    )  # (1)  # fmt: skip
                    f += size
                k += vectors * lanes
