"""Files that are no files of the system: within an uncompressed archive, read from its place in it, or in memory."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import FormatError


@dataclass(frozen=True)
class Member:
    """A member of a tar archive.

    Parameters
        archive : its path;  name : of the member;  offset, size : of its contents, in bytes
    """

    archive: Path
    name: str
    offset: int
    size: int

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def exists(self) -> bool:
        return self.archive.exists()

    def is_file(self) -> bool:
        return self.archive.is_file()

    def stat(self) -> os.stat_result:
        return self.archive.stat()

    def __fspath__(self) -> str:
        return os.path.join(self.archive, self.name)

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def contents(self) -> bytes:
        """Its bytes.

        Raises
            FormatError : the archive ends before;  OSError : it cannot be read
        """
        with self.archive.open("rb", buffering=0) as file:
            file.seek(self.offset)
            found = file.read(min(self.size, max(0, os.fstat(file.fileno()).st_size - self.offset)))
        if len(found) < self.size:
            raise FormatError(str(self), f"{self.size} bytes", str(len(found)), "the archive has become shorter")
        return found


@dataclass(frozen=True)
class InMemory:
    """A file in memory.

    Parameters
        name : for errors;  data : its bytes
    """

    name: str
    data: bytes

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def exists(self) -> bool:
        return True

    def is_file(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.name

    def contents(self) -> bytes:
        return self.data


class Opened(io.BytesIO):
    """A file of one of these kinds, opened for reading."""

    def __init__(self, file: Member | InMemory) -> None:
        super().__init__(file.contents())
        self.file = file

    def __repr__(self) -> str:  # Pillow's errors contain it
        return repr(str(self.file))
