"""The numbers of an array in a file, read where they are needed: a .npy, an uncompressed .npz, or a cache of pictures.

They are read, not mapped into memory: what is read from a map counts as the program's memory for as long as the system
likes, and the program is killed where a mapped file becomes shorter.
"""

from __future__ import annotations

import os
import weakref
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FileError, FormatError
from ..io.at_offset import read_at
from ..typing import NDArray, Shape
from .source import Source, item_bytes


class FileSource(Source):
    """Numbers in a file, in C order without gaps.

    Parameters
        offset : bytes before the first number
    Raises
        FileError : it cannot be opened
    """

    ahead = 0

    def __init__(self, path: Path, offset: int, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype
        try:
            self._file = FileIO(path)
            weakref.finalize(self, self._file.close)
            self._stat = os.fstat(self._file.fileno())
        except OSError as error:
            raise FileError.unreadable(path, error) from error

    def __getitem__(self, positions: NDArray) -> NDArray:
        items = np.empty((len(positions), *self.shape[1:]), self.dtype)
        rows = items.reshape(len(positions), -1).view(np.uint8)
        size = rows.shape[1]
        check_unwritten(self.path, self._file.fileno(), self._stat)
        first = 0
        while first < len(positions):  # each run of neighbours at once
            last = first + 1
            while last < len(positions) and positions[last] == positions[last - 1] + 1:
                last += 1
            self._fill(rows[first:last].reshape(-1).data, self.offset + int(positions[first]) * size)
            first = last
        return items.astype(self.dtype.newbyteorder("="), copy=False)

    def expect(self, positions: NDArray) -> None:
        if hasattr(os, "posix_fadvise"):  # the system reads ahead, without a thread that would take time from training
            size = item_bytes(self)
            for position in positions.tolist():
                begin = self.offset + position * size
                os.posix_fadvise(self._file.fileno(), begin, size, os.POSIX_FADV_WILLNEED)

    def _fill(self, place: memoryview, offset: int) -> None:
        try:
            count = read_at(self._file, place, offset)
        except OSError as error:
            raise FileError(str(self.path), "a file that can be read", error.strerror or str(error)) from error
        if count < len(place):
            remedy = "it has become shorter: get it again"
            raise FormatError(str(self.path), f"{offset + len(place)} bytes", f"{offset + count}", remedy)

    def facts(self) -> dict[str, Any]:
        return {"kind": "file", "path": str(self.path), "items": len(self), "bytes": self._stat.st_size}


def check_unwritten(path: Path, descriptor: int, at_first: os.stat_result) -> None:
    """Refuse an open file that was written since its `os.fstat` was this one.

    Raises
        DataError
    """
    if os.fstat(descriptor).st_mtime_ns != at_first.st_mtime_ns:
        remedy = "begin again with the new one, or put the old one back"
        raise DataError(str(path), "the file as it was at first", "one that was written since", remedy)
