"""Weights that lie in a second file: a stranger's file may name one in its own folder, and nothing else.

Source: the ONNX specification, https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import FileError, FormatError

_EXTERNAL = 1  # the data_location of such a tensor
_TOGETHER = "keep both files in one folder, or export with external_data=False, so that there is one"


def bring_in(tensors: Iterable[Any], path: Path, most: int) -> None:
    """Put the numbers of these tensors into them, where they lie in another file.

    Parameters
        path : of the ONNX file
        most : bytes that may be read
    Raises
        FormatError : a name with a folder in it, no regular file, a link, or a part that is not within the file
        FileError : the file is missing or cannot be read
    """
    for tensor in tensors:
        if tensor.data_location != _EXTERNAL:
            continue
        who = f"{path}: {' '.join(tensor.name.split())[:120]}"
        given = {each.key: each.value for each in tensor.external_data}
        place = path.parent / _plain_name(who, given.get("location", ""))
        data = _read(who, place, _number(who, given, "offset"), _number(who, given, "length"), most)
        most -= len(data)
        tensor.raw_data = data
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _plain_name(who: str, name: str | bytes) -> str:
    """The name, if it is that of a file in the same folder on every system."""
    if isinstance(name, bytes):  # as the parser gives what is no text
        raise FormatError(who, "weights in a file of the same folder, by a plain name", repr(name)[:80])
    name = name.removeprefix("./")
    if name in ("", ".", "..") or any(letter in "/\\:\0" for letter in name):
        raise FormatError(who, "weights in a file of the same folder, by a plain name", repr(name)[:80])
    return name


def _number(who: str, given: dict[str, str], key: str) -> int | None:
    text = given.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise FormatError(who, f"{key}: a whole number", repr(text)[:80])
    return int(text)


def _read(who: str, place: Path, offset: int | None, length: int | None, most: int) -> bytes:
    """So many bytes of the file, from that place on; None for its beginning, and for all that follows."""
    try:
        with os.fdopen(_opened(who, place), "rb") as file:
            size, start = os.fstat(file.fileno()).st_size, offset or 0
            count = size - start if length is None else length
            if count < 0 or start + count > size:
                got = f"bytes {start} to {start + count} of {size}"
                raise FormatError(who, f"weights within {place.name[:80]}", got, "get both files again")
            if count > most:
                raise FormatError(who, f"weights of at most {most} bytes more", str(count))
            file.seek(start)
            data = file.read(count)
    except OSError as error:
        raise FileError(who, f"its weights in {place.name[:80]}", error.strerror or str(error), _TOGETHER) from error
    if len(data) != count:
        raise FormatError(who, f"{count} bytes in {place.name[:80]}", str(len(data)), "get both files again")
    return data


def _opened(who: str, place: Path) -> int:
    """A descriptor of a regular file that stands there itself; opening another, such as a pipe, might wait for ever."""
    error = FormatError(who, f"weights in {place.name[:80]}, a regular file", "another", "copy it there")
    if not stat.S_ISREG(os.lstat(place).st_mode):
        raise error
    found = os.open(
        place, os.O_RDONLY | sum(getattr(os, f"O_{flag}", 0) for flag in ("BINARY", "NOFOLLOW", "NONBLOCK"))
    )
    if not stat.S_ISREG(os.fstat(found).st_mode):  # it has been exchanged since
        os.close(found)
        raise error
    return found
