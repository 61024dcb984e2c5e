"""A file whose readers allocate at most as many bytes as the file has, however many they ask for."""

from __future__ import annotations

import io
import os
from pathlib import Path

_SMALL = 2**16  # bytes; smaller reads are passed on unchanged


class WholeFile(io.BufferedReader):
    """A file opened for reading. (Python's own allocates the requested bytes before it looks how many there are.)"""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.path, self.size = path, os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _SMALL:
            size = min(size, max(0, self.size - self.tell()))
        return super().read(size)

    def __repr__(self) -> str:  # Pillow's errors contain it
        return repr(str(self.path))
