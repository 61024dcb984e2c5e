"""Loops over arrays as runs of numbers, for work that does not depend on an element's position; see `elementwise`."""

from __future__ import annotations

from typing import Any

from ...typing import NDArray
from ..batch_last import chunks
from ..elementwise import as_run
from ..memory import empty_like
from ..threads import PASS, parallel
from .loop import Loop, contiguous

BLOCK = 1 << 16  # elements


def run(loop: Loop, made: tuple[NDArray, ...], reads: tuple[NDArray, ...], *options: Any, passes: int = 2) -> None:
    """Call loop(*reads, first, last, *made, *options), block by block.

    Parameters
        made : arrays without gaps, of the memory order of the first
        reads : arrays of their shape, in any order
        passes : over memory, which say how many threads pay
    """
    like = made[0]
    runs = [contiguous(as_run(each, like)) for each in reads]  # (size,) each
    written = [each.ravel(order="K") for each in made]  # views

    def work(at: slice) -> None:
        loop(*runs, at.start, at.stop, *written, *options)

    parallel(work, chunks(like.size, BLOCK), passes * PASS * like.size)


def made_by(loop: Loop, like: NDArray, *reads: NDArray, options: tuple[Any, ...] = (), passes: int = 2) -> NDArray:
    """What the loop makes of these arrays, in the memory order of `like`."""
    made = empty_like(like)
    run(loop, (made,), reads, *options, passes=passes)
    return made
