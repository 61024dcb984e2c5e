"""Read a file's bytes into an array in pieces, so that there is no second copy of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np

from ..typing import NDArray

if TYPE_CHECKING:
    from gzip import GzipFile

PIECE = 2**20  # bytes


class TooShortError(Exception):
    """The file ends before the array is full."""


def read_into(array: NDArray, file: BinaryIO | GzipFile | IO[bytes]) -> Iterator[memoryview]:
    """Fill a contiguous array from the file, and yield each piece once it is read.

    Raises
        TooShortError
    """
    whole = array.reshape(-1).view(np.uint8).data
    for at in range(0, len(whole), PIECE):
        piece = whole[at : at + PIECE]
        if file.readinto(piece) != len(piece):  # type: ignore[union-attr]
            raise TooShortError
        yield piece


def difference(array: NDArray, file: BinaryIO | GzipFile | IO[bytes]) -> str:
    """Fill the array; return "fewer" or "more" if the file has fewer or more bytes, else ""."""
    try:
        for _ in read_into(array, file):
            pass
    except TooShortError:
        return "fewer"
    return "more" if file.read(1) else ""
