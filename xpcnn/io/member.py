"""A file within an uncompressed archive, read from its place in it."""

from __future__ import annotations

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
