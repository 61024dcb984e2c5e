"""Atomic writes: a file is written completely or not at all, whatever happens meanwhile.

The new contents are written under a temporary name in the same folder and flushed to the disk (fsync). They then
replace the old file in one step (rename), and the folder is flushed to the disk as well. A process that is killed in
between leaves the old file, and a temporary one that `sweep` removes.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import FileError

_TEMPORARY = re.compile(r"\.xpcnn-(\d+)-[0-9a-f]{8}\.tmp")
_in_progress: set[str] = set()  # the temporary files that this process is writing


def write_atomically(
    path: str | os.PathLike[str], contents: bytes | Callable[[BinaryIO], object], *, make_folder: bool = False
) -> None:
    """Give the file these contents, or leave it unchanged.

    If the path is no regular file, such as a FIFO or a device, the contents are written to it directly.

    Parameters
        path : a symbolic link is followed
        contents : the bytes, or a function that writes them to a file, so that they need not be in memory at once
        make_folder : create the file's folder if it is missing
    Raises
        FileError : the contents cannot be written, such as on a full disk; the old file is untouched
    """
    given, path = path, Path(os.path.realpath(path))
    if _is_stream(given):
        _write_to_stream(Path(given), contents)
        return
    temporary = path.with_name(f".xpcnn-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    _in_progress.add(temporary.name)
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                if callable(contents):
                    contents(file)
                else:
                    file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        _in_progress.discard(temporary.name)


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """True if the path exists and is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode  # not the real path: /dev/stdout may lead to a pipe, which has no path
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_to_stream(path: Path, contents: bytes | Callable[[BinaryIO], object]) -> None:
    if callable(contents):  # it may seek, which a pipe cannot
        memory = io.BytesIO()
        contents(memory)
        contents = memory.getvalue()
    try:
        with path.open("wb") as file:
            file.write(contents)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> FileError:
    remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another place"
    return FileError(str(path), "to write the file", error.strerror or str(error), remedy)


def sweep(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove the temporary files that killed processes of this machine have left.

    Returns
        the removed files; files of living processes stay
    """
    removed = []
    for path in Path(folder).glob(".xpcnn-*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _is_written(path.name, int(match[1])):
            try:
                path.unlink()
            except OSError:  # another process swept it, or (on Windows) is still writing it
                continue
            removed.append(path)
    return removed


def _is_written(name: str, pid: int) -> bool:
    if pid == os.getpid():  # or an earlier process had the same number, like the first one in a container
        return name in _in_progress
    if os.name != "posix":  # Windows cannot remove an open file, and signal 0 is no query there
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems do not support it
            raise
    finally:
        os.close(descriptor)
