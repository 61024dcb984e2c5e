"""The elements that pooling windows read, with the batch last in memory, in pieces that the threads share.

A piece is some rows, some columns, and some channels and images. The last two are one axis here: an array (H, W, C, N)
is (H, W, CN). Along an axis, position i reads at tap u the element i·S + u·D − P, so that all positions read a strided
slice. NumPy hands over the interpreter's lock in each pass over a piece. Pieces are large enough for a pass to take
longer than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ..ops.window import Placement
from ..typing import NDArray
from .batch_last import chunks

PIECE = 1 << 18  # elements

Part: TypeAlias = tuple[slice, slice]  # some rows and columns


class Piece(NamedTuple):
    """Part of an array (rows, columns, CN), which it indexes."""

    rows: slice
    columns: slice
    run: slice


class TapOverlap(NamedTuple):
    """The positions of a tap and the elements that it reads, for a piece of the output or a piece of the image."""

    tap: int
    there: Part  # in the other array
    here: Part  # in the piece


def pieces(rows: int, columns: int, length: int) -> list[Piece]:
    """Cut an array (rows, columns, length) into pieces of at most `PIECE` elements: whole rows, or part of one."""
    return _pieces(rows, columns, length, PIECE)


def read_by(place: Placement, length: int) -> list[tuple[Piece, list[TapOverlap]]]:
    """For each piece of the output (OH, OW, length): the parts of the image (H, W, length) that its taps read."""
    return _read_by(place, length, PIECE)


def reading(place: Placement, length: int) -> list[tuple[Piece, list[TapOverlap]]]:
    """For each piece of the image (H, W, length): the parts of the output (OH, OW, length) whose taps read it."""
    return _reading(place, length, PIECE)


def _pieces(rows: int, columns: int, length: int, most: int) -> list[Piece]:
    run = min(length, most)
    wide = max(1, min(columns, most // run))
    high = max(1, most // (run * columns))
    return [
        Piece(some, part, stretch)
        for some in chunks(rows, high)
        for part in chunks(columns, wide)
        for stretch in chunks(length, run)
    ]


@lru_cache(maxsize=64)  # each step asks for the same; for one image it takes as long as the work itself
def _read_by(place: Placement, length: int, most: int) -> list[tuple[Piece, list[TapOverlap]]]:
    image = slice(0, place.size[0]), slice(0, place.size[1])
    return [
        (piece, [TapOverlap(tap, read, _within(at, piece)) for tap, at, read in _taps(place, piece[:2], image)])
        for piece in _pieces(*place.out, length, most)
    ]


@lru_cache(maxsize=64)
def _reading(place: Placement, length: int, most: int) -> list[tuple[Piece, list[TapOverlap]]]:
    output = slice(0, place.out[0]), slice(0, place.out[1])
    return [
        (piece, [TapOverlap(tap, at, _within(read, piece)) for tap, at, read in _taps(place, output, piece[:2])])
        for piece in _pieces(*place.size, length, most)
    ]


def _taps(place: Placement, positions: Part, elements: Part) -> Iterator[tuple[int, Part, Part]]:
    """The taps that read any of the elements at any of the positions: (tap, these positions, these elements)."""
    (kh, kw), (sh, sw), (dh, dw) = place.window.kernel, place.window.stride, place.window.dilation
    top, _, left, _ = place.pads
    for u in range(kh):
        at_rows, rows = _meet(u * dh - top, sh, positions[0], elements[0])
        for v in range(kw):
            at_columns, columns = _meet(v * dw - left, sw, positions[1], elements[1])
            if at_rows.stop > at_rows.start and at_columns.stop > at_columns.start:
                yield u * kw + v, (at_rows, at_columns), (rows, columns)


def tiled(dx: NDArray, place: Placement) -> NDArray | None:
    """dx (H, W, CN) as windows (OH, KH, OW, KW, CN) if they tile it, else None; sets elements outside them to 0."""
    window = place.window
    (kh, kw), (oh, ow) = window.kernel, place.out
    if window.stride != window.kernel or window.dilation != (1, 1) or any(place.pads):
        return None
    dx[oh * kh :] = 0
    dx[:, ow * kw :] = 0
    return dx[: oh * kh, : ow * kw].reshape(oh, kh, ow, kw, -1)


def _meet(first: int, step: int, positions: slice, elements: slice) -> tuple[slice, slice]:
    """The positions i whose element first + i·step is among `elements`, and these elements."""
    start = max(positions.start, -((first - elements.start) // step))
    stop = min(positions.stop, -((first - elements.stop) // step))
    return slice(start, stop), slice(first + start * step, first + (stop - 1) * step + 1, step)


def _within(part: Part, piece: Piece) -> Part:
    """The part, counted from the start of the piece."""
    rows, columns = (
        slice(each.start - whole.start, each.stop - whole.start, each.step)
        for each, whole in zip(part, piece[:2], strict=True)
    )
    return rows, columns
