"""IDX files, the format of MNIST: a header with type and shape, then the numbers, big-endian.

    offset  bytes  meaning
    0       2      zero
    2       1      element type: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
    3       1      number of axes d
    4       4·d    the axes' lengths
    4+4·d   …      the elements, the last axis running fastest

What the header claims is compared with the file's size before anything of the claimed size is allocated.
gzip-compressed files are recognised by their first bytes.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits, "File formats".
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import FileError, FormatError
from ..typing import NDArray
from .limits import most_inflated
from .pieces import difference

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str], *, most_bytes: int = 2**31) -> NDArray:
    """The array in an IDX file, which may be compressed with gzip.

    Parameters
        most_bytes : refuse larger arrays
    Raises
        FormatError : the file is no complete IDX file, or its array is larger than `most_bytes`
        FileError : it cannot be read
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(2) != _GZIP_MAGIC:
                file.seek(0)
                return _read(str(path), file, size, most_bytes)
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unzipped:
                return _read(str(path), unzipped, most_inflated(size), most_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(str(path), "a whole gzip file", str(error), "get the file again") from None
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def _read(who: str, file: BinaryIO | gzip.GzipFile, most_in_file: int, most_bytes: int) -> NDArray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 8:
        raise FormatError(who, "an IDX file, which begins 00 00 type axes", magic.hex(" ") or "an empty file")
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise FormatError(who, f"{magic[3]} axes in the header", "a file that ends before", "get the file again")
    dtype, shape = np.dtype(_TYPES[magic[2]]), tuple(np.frombuffer(header, ">u4").tolist())
    size = math.prod(shape) * dtype.itemsize
    if size > most_bytes:
        raise FormatError(who, f"at most {most_bytes} bytes", f"an array {shape}, {size} bytes")
    if size > most_in_file:
        raise FormatError(who, f"{size} bytes for an array {shape}", "fewer", "get the file again")
    array = np.empty(shape, dtype)
    if found := difference(array, file):
        raise FormatError(who, f"{size} bytes for an array {shape}", found, "get the file again")
    return array.astype(dtype.newbyteorder("="), copy=False)
