"""A file whose readers get no more memory than it has bytes, whatever number of bytes they ask for."""

from __future__ import annotations

import io
import os
from pathlib import Path

_SMALL = 2**16  # bytes, which are read as they are asked for


class WholeFile(io.BufferedReader):
    """A file opened to be read. Python makes room for what a reader asks for before it looks what there is."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.path, self.size = path, os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _SMALL:
            size = min(size, max(0, self.size - self.tell()))
        return super().read(size)

    def __repr__(self) -> str:  # by which Pillow calls it in its errors
        return repr(str(self.path))
