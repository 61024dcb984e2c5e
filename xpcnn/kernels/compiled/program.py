"""A network's inference as one compiled loop over a table of steps: see `xpcnn.kernels.planned.compiled_program`.

Each row of the table is a step, whose columns are named here. All values, with zeros around images, are in one array
`memory`, and weights as they are read in another, `constants`; the table has offsets and distances in them. A step is
divided into pieces, which depend on sizes alone, write to different places, and may run in any order.

    PRODUCT, CHANNELS, LARGEST      outputs of windows, by (1), (2) and (3) of `block`
    TILES_IN, TILES_OUT             Winograd's transforms, (1) and (2) of `tiles`; the 36 products between them are a
                                    PRODUCT of 36 rows, each with weights of its own
"""

from __future__ import annotations

from typing import Any

from .block import channels_block, largest_block, product_block
from .loop import In1, InInts2, Out1, OutInts1, loop, part
from .tickets import APART, LOOKS, add, leave_processor, look
from .tiles import tile_in, tile_out

PRODUCT, CHANNELS, LARGEST, TILES_IN, TILES_OUT = range(5)
COUNTERS = 4  # of a step

COLUMNS = (
    "kind", "pieces", "rows", "filters",  # of a piece
    "images", "height", "width", "channels", "groups", "lanes", "wide", "long",  # of the output; of a group
    "x", "x_image", "x_row", "x_step", "kh", "kw", "count", "apart_h", "apart_w",
    "w", "w_row", "b", "limits",
    "y", "y_image", "y_row", "y_step", "r", "r_image", "r_row", "r_step",
    "top", "left", "x_height", "x_width", "step_h", "step_w", "dilation_h", "dilation_w",  # of LARGEST
    "first", "plane",  # of tiles
)  # fmt: skip
(
    KIND, PIECES, ROWS, FILTERS, IMAGES, HEIGHT, WIDTH, CHANNELS_OF_GROUP, GROUPS, LANES, MOST_WIDE, MOST_LONG,
    X, X_IMAGE, X_ROW, X_STEP, KH, KW, COUNT, APART_H, APART_W, W, W_ROW, B, LIMITS,
    Y, Y_IMAGE, Y_ROW, Y_STEP, R, R_IMAGE, R_ROW, R_STEP,
    TOP, LEFT, X_HEIGHT, X_WIDTH, STEP_H, STEP_W, DILATION_H, DILATION_W, FIRST, PLANE,
) = range(len(COLUMNS))  # fmt: skip


@part
def largest_of_line(
    row: Any, i: int, wide: int, x: int, y: int, r: int, last: int, constants: Any, memory: Any
) -> None:
    """A row of maxima, without the taps that are outside the image: (3) of `block`."""
    p, width = i * row[STEP_H] - row[TOP], row[WIDTH]
    u = max(0, (row[DILATION_H] - 1 - p) // row[DILATION_H])  # the first tap that is inside
    rows = min(row[KH], (row[X_HEIGHT] - 1 - p) // row[DILATION_H] + 1) - u
    j = 0
    while j < width:
        q = j * row[STEP_W] - row[LEFT]
        v = max(0, (row[DILATION_W] - 1 - q) // row[DILATION_W])
        columns = min(row[KW], (row[X_WIDTH] - 1 - q) // row[DILATION_W] + 1) - v
        long = 1
        if columns == row[KW]:  # and so it is for those until here
            reach = row[X_WIDTH] - 1 + row[LEFT] - (row[KW] - 1) * row[DILATION_W]
            long = max(1, min(row[MOST_LONG], width - j, reach // row[STEP_W] + 1 - j))
        largest_block(
            wide, long, memory, constants, x + j * row[X_STEP] + u * row[APART_H] + v * row[APART_W], row[X_STEP],
            rows, columns, row[COUNT], row[APART_H], row[APART_W], 0, 0,
            y + j * row[Y_STEP], row[Y_STEP], r + j * row[R_STEP] if r >= 0 else -1, row[R_STEP], row[LIMITS], last,
        )  # fmt: skip
        j += long


@part
def windows(row: Any, piece: int, constants: Any, memory: Any) -> None:
    """Some rows of output and some of the filters of each group."""
    kind, lines, width, channels = row[KIND], row[IMAGES] * row[HEIGHT], row[WIDTH], row[CHANNELS_OF_GROUP]
    parts = (lines + row[ROWS] - 1) // row[ROWS]
    first, begin = piece % parts * row[ROWS], piece // parts * row[FILTERS]
    until, end = min(first + row[ROWS], lines), min(begin + row[FILTERS], channels)
    lanes, taps = row[LANES], row[KH] * row[KW] * row[COUNT]
    whole = (channels + lanes - 1) // lanes * lanes  # filters of a group, with what fills up the last vector
    blocks = (width + row[MOST_LONG] - 1) // row[MOST_LONG]
    for g in range(row[GROUPS]):
        f = begin
        while f < end:
            vectors, wide = (end - f + lanes - 1) // lanes, row[MOST_WIDE]
            while wide > vectors:
                wide //= 2
            last = min(lanes, end - f - (wide - 1) * lanes)
            shift = g * row[COUNT] if kind == PRODUCT else f
            for line in range(first, until):
                n, i = line // row[HEIGHT], line % row[HEIGHT]
                x = row[X] + n * row[X_IMAGE] + i * row[X_ROW] + shift
                y = row[Y] + n * row[Y_IMAGE] + i * row[Y_ROW] + g * channels + f
                r = row[R] + n * row[R_IMAGE] + i * row[R_ROW] + g * channels + f if row[R] >= 0 else -1
                w = row[W] + i * row[W_ROW] + (g * whole + f) * taps
                b = row[B] + g * whole + f
                if kind == LARGEST:
                    largest_of_line(row, i, wide, x, y, r, last, constants, memory)
                else:
                    for k in range(blocks):
                        j, after = width * k // blocks, width * (k + 1) // blocks
                        more = r + j * row[R_STEP] if r >= 0 else -1
                        if kind == PRODUCT:
                            product_block(
                                wide, after - j, memory, constants, x + j * row[X_STEP], row[X_STEP],
                                row[KH], row[KW], row[COUNT], row[APART_H], row[APART_W], w, b,
                                y + j * row[Y_STEP], row[Y_STEP], more, row[R_STEP], row[LIMITS], last,
                            )  # fmt: skip
                        else:
                            channels_block(
                                wide, after - j, memory, constants, x + j * row[X_STEP], row[X_STEP],
                                row[KH], row[KW], row[COUNT], row[APART_H], row[APART_W], w, b,
                                y + j * row[Y_STEP], row[Y_STEP], more, row[R_STEP], row[LIMITS], last,
                            )  # fmt: skip
            f += wide * lanes


@part
def tiles(row: Any, piece: int, constants: Any, memory: Any) -> None:
    """Some tiles of all images: a piece is ROWS of the FILTERS tiles, from FIRST on, that are in the scratch."""
    across, down = (row[WIDTH] + 3) // 4, (row[HEIGHT] + 3) // 4
    count, channels = row[ROWS], row[CHANNELS_OF_GROUP]
    begin = row[FIRST] + piece * count
    for tile in range(begin, min(begin + count, row[FIRST] + row[FILTERS])):
        n, k = tile // (across * down), tile % (across * down)
        i, j, at = 4 * (k // across), 4 * (k % across), (tile - row[FIRST]) * channels
        if row[KIND] == TILES_IN:
            x = row[X] + n * row[X_IMAGE] + i * row[X_ROW] + j * row[X_STEP]
            tile_in(memory, constants, x, row[X_ROW], row[X_STEP], row[Y] + at, row[PLANE], channels)
        else:
            y = row[Y] + n * row[Y_IMAGE] + i * row[Y_ROW] + j * row[Y_STEP]
            r = row[R] + n * row[R_IMAGE] + i * row[R_ROW] + j * row[R_STEP] if row[R] >= 0 else -1
            tile_out(
                memory, constants, row[X] + at, row[PLANE], row[B], y, row[Y_ROW], row[Y_STEP],
                r, row[R_ROW], row[R_STEP], row[LIMITS], row[HEIGHT] - i, row[WIDTH] - j, channels,
            )  # fmt: skip


@part
def wait_for(counters: Any, at: int, count: int) -> None:
    """Until the counter is that large."""
    looks = 0
    while look(counters, at, 0) < count:
        looks += 1
        if looks > LOOKS:
            leave_processor()


@loop
def run_steps(
    table: InInts2, first: int, last: int, constants: In1, memory: Out1, counters: OutInts1, shared: bool, side: int
) -> None:
    """Steps `first` to `last`; if they are shared, together with other threads that call it with the same arrays.

    counters : for each step `COUNTERS`, of pieces that are done, and that were begun: all, from the front and from the
        back. All are 0 before
    side : 0 takes pieces from the front, 1 from the back; so neighbouring pieces of all steps are in the same caches
    """
    for s in range(first, last):
        row, done = table[s], 0
        pieces, begun = row[PIECES], COUNTERS * APART * (s - first)
        while (add(counters, begun + APART, 1) if shared else done) < pieces:
            own = add(counters, begun + (2 + side) * APART, 1) if shared else done
            piece = pieces - 1 - own if side == 1 else own
            if row[KIND] <= LARGEST:
                windows(row, piece, constants, memory)
            else:
                tiles(row, piece, constants, memory)
            done += 1
        if shared:
            add(counters, begun, done)
            wait_for(counters, begun, pieces)
