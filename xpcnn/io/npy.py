"""Read NumPy's .npy and .npz files without pickle, and without trusting their claims.

The shape and type in a header are compared with the file's bytes before an array of that size is allocated.
A .npz is a zip archive of .npy files, which may be deflated.

Source: NumPy Enhancement Proposal 1, A Simple File Format for NumPy Arrays
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import FileError, FormatError, XpcnnError
from ..typing import NDArray, Shape
from .limits import REMEDY, most_inflated
from .pieces import PIECE, difference

_KINDS = "biufSU"  # booleans, numbers and texts
_BFLOAT16 = np.dtype("V2")  # as MLX writes bfloat16, which NumPy lacks


def read_npy(path: str | os.PathLike[str], *, most_bytes: int = 2**32) -> NDArray:
    """The array in a .npy file, writable and in C order.

    Parameters
        most_bytes : refuse larger arrays
    Raises
        FormatError : the file is no complete .npy file of numbers or texts, or its array is too large
        FileError : it cannot be read
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _read(str(path), file, os.fstat(file.fileno()).st_size, most_bytes)
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def read_npz(
    path: str | os.PathLike[str],
    names: Container[str] | None = None,
    *,
    compressed: bool = True,
    most_bytes: int = 2**32,
) -> dict[str, NDArray]:
    """The arrays in a .npz file, by name; only those in `names`, if given.

    Parameters
        compressed : accept deflated arrays; with False, the arrays are never larger than the file
        most_bytes : refuse more in total
    Raises
        FormatError, FileError : as in `read_npy`
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _members(str(path), file, names, compressed, most_bytes)
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def npz_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of all arrays in a .npz file, without reading the arrays.

    Raises
        FormatError : it is no complete archive;  FileError : it cannot be read
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    except Exception as error:  # any error of the reader means that the file is wrong
        raise _no_archive(str(path), error) from error


@dataclass(frozen=True)
class Placed:
    """Where the numbers of an array lie in a file.

    Parameters
        path : of the file;  shape, dtype : of the array
        offset : bytes before its numbers; None if they are deflated
        by_columns : they are in Fortran's order
        stored : bytes that the file has for it
    """

    path: Path
    shape: Shape
    dtype: np.dtype[Any]
    offset: int | None
    by_columns: bool
    stored: int

    @property
    def bytes(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def place_npy(path: Path) -> Placed:
    """Where the numbers of a .npy file are.

    Raises
        FormatError : it is no complete .npy file of numbers or texts;  FileError : it cannot be read
    """
    try:
        with path.open("rb") as file:
            return _placed(str(path), path, file, 0, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def place_npz(path: Path, names: Container[str], above: int) -> dict[str, Placed]:
    """Where the numbers of those arrays of a .npz file are that have more than `above` bytes, by name.

    Raises
        FormatError, FileError : as in `place_npy`
    """
    found: dict[str, Placed] = {}
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name not in names or member.flag_bits & 1 or member.file_size <= above:
                    continue
                file.seek(max(0, member.header_offset) + 26)  # the lengths of the name and the extra field
                before = 30 + sum(int.from_bytes(file.read(2), "little") for _ in range(2))
                begin = member.header_offset + before if member.compress_type == zipfile.ZIP_STORED else None
                with archive.open(member) as contents:
                    found[name] = _placed(f"{path}: {name}", path, contents, begin, member.compress_size)
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:  # any error of the reader means that the file is wrong
        raise _no_archive(str(path), error) from error
    return found


def unpack_npz(placed: Placed, name: str, write: Callable[[bytes], object]) -> None:
    """Give `write` the numbers of a deflated array, piece by piece.

    Raises
        FormatError : it has other than `placed.bytes`, or so many that it must be a trap;  FileError : as above
    """
    who, left = f"{placed.path}: {name}", placed.bytes
    if left > most_inflated(placed.stored):
        raise FormatError(who, f"at most {most_inflated(placed.stored)} bytes", str(left), REMEDY)
    try:
        with zipfile.ZipFile(placed.path) as archive, archive.open(f"{name}.npy") as contents:
            _header(who, contents)
            while piece := contents.read(min(PIECE, left + 1)):
                left -= len(piece)
                if left < 0:
                    break
                write(piece)
    except (XpcnnError, MemoryError, OSError):
        raise
    except Exception as error:
        raise _no_archive(str(placed.path), error) from error
    if left:
        found = "fewer" if left > 0 else "more"
        raise FormatError(who, f"{placed.bytes} bytes for an array {placed.shape}", found, "get the file again")


def _placed(who: str, path: Path, file: IO[bytes], begin: int | None, stored: int) -> Placed:
    shape, by_columns, dtype = _header(who, file)
    offset = None if begin is None else begin + file.tell()
    placed = Placed(path, shape, dtype, offset, by_columns, stored)
    if offset is not None and placed.bytes > stored - file.tell():
        raise FormatError(
            who, f"{placed.bytes} bytes for an array {shape}", f"a file of {stored}", "get the file again"
        )
    return placed


def _no_archive(who: str, error: Exception) -> FormatError:
    return FormatError(who, "a whole .npz archive", str(error)[:200], "get the file again")


def _members(
    who: str, file: IO[bytes], names: Container[str] | None, compressed: bool, most_bytes: int
) -> dict[str, NDArray]:
    kinds = {zipfile.ZIP_STORED: "stored"} | ({zipfile.ZIP_DEFLATED: "deflated"} if compressed else {})
    stored = os.fstat(file.fileno()).st_size
    size = most_inflated(stored) if compressed else stored
    arrays: dict[str, NDArray] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in arrays or not (names is None or name in names):
                    continue
                if member.compress_type not in kinds or member.flag_bits & 1:
                    expected = f"a member that is {' or '.join(kinds.values())}"
                    raise FormatError(f"{who}: {name}", expected, "another kind", "np.savez it again")
                if member.file_size > min(size, most_bytes + 2**16):
                    expected, remedy = f"at most {min(size, most_bytes)} bytes", REMEDY if size < most_bytes else ""
                    raise FormatError(f"{who}: {name}", expected, str(member.file_size), remedy)
                with archive.open(member) as contents:
                    arrays[name] = _read(f"{who}: {name}", contents, member.file_size, most_bytes)
                most_bytes -= arrays[name].nbytes
                size -= arrays[name].nbytes
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:  # any error of the reader means that the file is wrong
        raise _no_archive(who, error) from error
    return arrays


def _header(who: str, file: IO[bytes]) -> tuple[Shape, bool, np.dtype[Any]]:
    """The shape, whether it is by columns, and the type of an array; the file is then at its first number."""
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):  # later ones are for headers above 64 KiB, which only records with many fields have
            raise ValueError(f"version {version[0]}.{version[1]}")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if any(n < 0 for n in shape):
            raise ValueError(f"shape {shape}")
    except Exception as error:  # any error of NumPy means that the header is wrong
        reason = str(error).partition("\n")[0]
        raise FormatError(who, "a .npy array, version 1.0", reason, "np.save it again") from None
    if (dtype.kind not in _KINDS and dtype != _BFLOAT16) or dtype.itemsize == 0:
        remedy = "save numbers or texts; Python objects would be a pickle, which can run code"
        raise FormatError(who, "an array of numbers or texts", str(dtype), remedy)
    return shape, by_columns, dtype


def _read(who: str, file: IO[bytes], size: int, most_bytes: int) -> NDArray:
    """The array in an open file, or in a member of an archive, of `size` bytes."""
    shape, by_columns, dtype = _header(who, file)
    needed = math.prod(shape) * dtype.itemsize
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > most_bytes:  # also for empty arrays
        raise FormatError(who, f"at most {most_bytes} bytes", f"an array {shape}, {needed} bytes")
    if needed > size:
        raise FormatError(who, f"{needed} bytes for an array {shape}", f"a file of {size}", "get the file again")
    array = np.empty(shape, dtype, order="F" if by_columns else "C")
    if found := difference(array.T if by_columns else array, file):
        raise FormatError(who, f"{needed} bytes for an array {shape}", found, "get the file again")
    if dtype == _BFLOAT16:  # the upper half of a float32
        return (np.ascontiguousarray(array).view("<u2").astype(np.uint32) << 16).view(np.float32)
    return np.asarray(array, dtype.newbyteorder("="), order="C")
