"""NumPy's .npy format, read without pickle, and without trust in what its header claims.

The header's shape and type are compared with the bytes that are there before an array of that size is allocated.

Source: NumPy Enhancement Proposal 1, A Simple File Format for NumPy Arrays
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import FileError, FormatError
from ..typing import Host

_KINDS = "biufSU"  # truth values, numbers and texts


def read_npy(path: str | os.PathLike[str], *, most_bytes: int = 2**32) -> Host:
    """The array in a .npy file, writable and in C order.

    Parameters
        most_bytes : refuse larger arrays
    Raises
        FormatError : the file is no whole .npy file of numbers or texts, or its array is too large
        FileError : it cannot be read
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return read_array(str(path), file, os.fstat(file.fileno()).st_size, most_bytes)
    except OSError as error:
        raise FileError(str(path), "a readable file", error.strerror or str(error)) from error


def read_array(who: str, file: IO[bytes], size: int, most_bytes: int) -> Host:
    """The array in an open file, or member of an archive, of so many bytes.

    Raises
        FormatError : as of `read_npy`
    """
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):  # the later ones are for headers beyond 64 KiB, which only records of many fields have
            raise ValueError(f"version {version[0]}.{version[1]}")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if any(n < 0 for n in shape):
            raise ValueError(f"shape {shape}")
    except Exception as error:  # whatever NumPy stumbles over, the header is at fault
        reason = str(error).partition("\n")[0]
        raise FormatError(who, "a .npy array, version 1.0", reason, "np.save it again") from None
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        remedy = "save numbers or texts; Python objects would be a pickle, which can run code"
        raise FormatError(who, "an array of numbers or texts", str(dtype), remedy)
    needed = math.prod(shape) * dtype.itemsize
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > most_bytes:  # of empty arrays, too
        raise FormatError(who, f"at most {most_bytes} bytes", f"an array {shape}, {needed} bytes")
    if needed > size:
        raise FormatError(who, f"{needed} bytes for an array {shape}", f"a file of {size}", "get the file again")
    body = file.read(needed + 1)  # one more, to see that it ends there
    if len(body) != needed:
        found = "more" if len(body) > needed else "fewer"
        raise FormatError(who, f"{needed} bytes for an array {shape}", found, "get the file again")
    array = np.ndarray(shape, dtype, body, order="F" if by_columns else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")
