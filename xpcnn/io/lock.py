"""Locks of the operating system, which end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from ..errors import warn

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}  # file systems without locks


def locked(path: Path) -> int | None:
    """Make, open and lock the file: its descriptor, or None if it is locked already."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in _NO_LOCKS:
                warn(
                    str(path.parent),
                    "this file system has no locks",
                    "let no second program write there",
                )
                return descriptor
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                return None
            raise
        os.close(descriptor)  # its holder has just removed it


def release(path: Path, descriptor: int) -> None:
    """Unlock the file, and remove it."""
    if os.name != "posix":  # Windows cannot remove an open file
        os.close(descriptor)
    with suppress(OSError):
        path.unlink()  # while it is locked, so that others then lock a new file
    if os.name == "posix":
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the file, or raise OSError at once."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
