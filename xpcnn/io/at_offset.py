"""Read and write bytes at a place in an open file, from several threads and after a fork."""

from __future__ import annotations

import os
from io import FileIO
from threading import Lock

_lock = Lock()  # on Windows, where reading moves the file's position


def read_at(file: FileIO, place: memoryview, offset: int) -> int:
    """Read bytes from `offset` on into `place`; return how many there were, at most its length."""
    done = 0
    while done < len(place):
        if hasattr(os, "preadv"):
            count = os.preadv(file.fileno(), [place[done:]], offset + done)
        else:
            with _lock:
                file.seek(offset + done)
                count = file.readinto(place[done:]) or 0
        if not count:
            break
        done += count
    return done


def write_at(file: FileIO, contents: bytes, offset: int) -> None:
    """Write all the bytes from `offset` on; no other thread writes to the file."""
    with _lock:
        file.seek(offset)
        while contents:
            contents = contents[file.write(contents) :]
