"""What the windows of pooling read, with the batch last in memory and in pieces that the threads share.

A piece is some rows, columns, and channels and images. These last two are one axis here: an array (H, W, C, N) is
(H, W, CN). Along an axis, position i reads at tap u the element i·S + u·D − P, so that all positions read a strided
slice. A piece is large enough for a pass over it to take longer than handing over the interpreter's lock, which
NumPy does at each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ..ops.window import Placement
from ..typing import Host
from .batch_last import spans

PIECE = 1 << 18  # elements

Part: TypeAlias = tuple[slice, slice]  # some rows and columns


class Piece(NamedTuple):
    """Part of an array (rows, columns, CN), which it indexes."""

    rows: slice
    columns: slice
    run: slice


class Meeting(NamedTuple):
    """What a tap reads."""

    tap: int
    there: Part  # of the array that the piece is not of
    here: Part  # of the piece


def pieces(rows: int, columns: int, length: int) -> list[Piece]:
    """An array (rows, columns, length) in pieces of at most `PIECE` elements: of whole rows, or of part of one."""
    return _pieces(rows, columns, length, PIECE)


def read_by(place: Placement, length: int) -> list[tuple[Piece, list[Meeting]]]:
    """For each piece of the output (OH, OW, length): the parts of the image (H, W, length) that its taps read."""
    return _read_by(place, length, PIECE)


def reading(place: Placement, length: int) -> list[tuple[Piece, list[Meeting]]]:
    """For each piece of the image (H, W, length): the parts of the output (OH, OW, length) whose taps read it."""
    return _reading(place, length, PIECE)


def _pieces(rows: int, columns: int, length: int, most: int) -> list[Piece]:
    run = min(length, most)
    wide = max(1, min(columns, most // run))
    high = max(1, most // (run * columns))
    return [
        Piece(some, part, stretch)
        for some in spans(rows, high)
        for part in spans(columns, wide)
        for stretch in spans(length, run)
    ]


@lru_cache(maxsize=64)  # the same again in each step; for one image it takes as long as the work itself
def _read_by(place: Placement, length: int, most: int) -> list[tuple[Piece, list[Meeting]]]:
    (kh, kw), (sh, sw), (dh, dw) = place.window.kernel, place.window.stride, place.window.dilation
    (height, width), (top, _, left, _) = place.size, place.pads
    found = []
    for piece in _pieces(*place.out, length, most):
        meetings = []
        for u in range(kh):
            at_rows, rows = _meet(u * dh - top, sh, piece.rows, slice(0, height))
            for v in range(kw):
                at_columns, columns = _meet(v * dw - left, sw, piece.columns, slice(0, width))
                if at_rows.stop > at_rows.start and at_columns.stop > at_columns.start:
                    at = _within(at_rows, piece.rows), _within(at_columns, piece.columns)
                    meetings.append(Meeting(u * kw + v, (rows, columns), at))
        found.append((piece, meetings))
    return found


@lru_cache(maxsize=64)
def _reading(place: Placement, length: int, most: int) -> list[tuple[Piece, list[Meeting]]]:
    (kh, kw), (sh, sw), (dh, dw) = place.window.kernel, place.window.stride, place.window.dilation
    (oh, ow), (top, _, left, _) = place.out, place.pads
    found = []
    for piece in _pieces(*place.size, length, most):
        meetings = []
        for u in range(kh):
            at_rows, rows = _meet(u * dh - top, sh, slice(0, oh), piece.rows)
            for v in range(kw):
                at_columns, columns = _meet(v * dw - left, sw, slice(0, ow), piece.columns)
                if at_rows.stop > at_rows.start and at_columns.stop > at_columns.start:
                    at = _within(rows, piece.rows), _within(columns, piece.columns)
                    meetings.append(Meeting(u * kw + v, (at_rows, at_columns), at))
        found.append((piece, meetings))
    return found


def tiled(dx: Host, place: Placement) -> Host | None:
    """dx (H, W, CN) as what the windows read, (OH, KH, OW, KW, CN), if they tile it; what remains is set to 0."""
    window = place.window
    (kh, kw), (oh, ow) = window.kernel, place.out
    if window.stride != window.kernel or window.dilation != (1, 1) or any(place.pads):
        return None
    dx[oh * kh :] = 0
    dx[:, ow * kw :] = 0
    return dx[: oh * kh, : ow * kw].reshape(oh, kh, ow, kw, -1)


def _meet(first: int, step: int, positions: slice, elements: slice) -> tuple[slice, slice]:
    """Those of the positions, and their elements first + i·step, for which the element is one of these."""
    start = max(positions.start, -((first - elements.start) // step))
    stop = min(positions.stop, -((first - elements.stop) // step))
    return slice(start, stop), slice(first + start * step, first + (stop - 1) * step + 1, step)


def _within(part: slice, whole: slice) -> slice:
    """The part, counted from the start of the whole."""
    return slice(part.start - whole.start, part.stop - whole.start, part.step)
