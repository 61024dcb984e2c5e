"""The safetensors format: written directly from arrays and read into new ones, without a copy of the whole.

    offset  bytes  meaning
    0       8      n, little-endian
    8       n      JSON: {"__metadata__": {texts}, "name": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, …}
    8 + n   …      the arrays' bytes, little-endian and in C order, without gaps

xpcnn's own files have a checksum among the texts: a CRC-32 of all names, types, shapes, numbers and other texts.
Files without one, by older versions and other programs, are read unchecked.

Source: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..backend import dtype_name, to_numpy
from ..errors import DTypeError, FileError, FormatError, OptionError
from ..typing import NDArray
from . import safetensors_header
from .atomic import write_atomically
from .pieces import PIECE, TooShortError, read_into
from .safetensors_header import DTYPES, Entry, broken, read_header

_CHECKSUM = "xpcnn_crc32"
_BEGINNING = f'{{"__metadata__":{{"{_CHECKSUM}":"'.encode()  # of a header with a checksum, which follows
_NAMES = {text: name for name, text in DTYPES.items() if name != "BF16"}


def save(path: str | os.PathLike[str], arrays: Mapping[str, Any], texts: Mapping[str, str], *, checksum: bool) -> None:
    """Write arrays of any backend; the file is written completely or not at all.

    NumPy arrays are written without a copy, or in pieces of `PIECE` bytes if their memory order differs. Arrays of
    other backends are moved to the host one by one.

    Raises
        OptionError : the header would be larger than `safetensors_header.MOST_HEADER`
        DTypeError : an array holds neither real numbers nor booleans
        FileError : the file cannot be written
    """
    entries = _laid_out(arrays)
    head = {"__metadata__": {_CHECKSUM: "0" * 8, **texts} if checksum else dict(texts)} | {
        each.name: {"dtype": each.dtype, "shape": list(each.shape), "data_offsets": [each.begin, each.end]}
        for each in entries
    }
    header = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > (most := safetensors_header.MOST_HEADER):
        raise OptionError(str(path), f"names and metadata of at most {most} bytes", "more", "store less")

    def write(file: BinaryIO) -> None:
        file.write(len(header).to_bytes(8, "little") + header)
        sums = {each.name: 0 for each in entries}
        for each in entries:
            for piece in _pieces(to_numpy(arrays[each.name]), DTYPES[each.dtype]):
                file.write(piece)
                sums[each.name] = zlib.crc32(piece, sums[each.name])
        if checksum:
            file.seek(8 + len(_BEGINNING))
            file.write(_checksum(entries, sums, texts).encode())

    write_atomically(path, write)


def load(path: str | os.PathLike[str], *, widen: bool = False) -> tuple[dict[str, NDArray], dict[str, str]]:
    """The arrays of a file, in the file's order, on the host and writable, and its texts.

    Parameters
        widen : True converts float16 and bfloat16 (the upper half of a float32) to float32; False keeps float16 and
            refuses bfloat16, which NumPy lacks
    Raises
        FormatError : the file is no safetensors file, is damaged, or holds element types that NumPy lacks
        FileError : it is missing or cannot be read
    """
    who = str(path)
    try:
        with Path(path).open("rb") as file:
            entries, texts = read_header(who, file)
            arrays, sums = {}, {}
            for each in sorted(entries, key=lambda entry: entry.begin):
                if each.dtype == "BF16" and not widen:
                    raise FormatError(who, f"{each.name[:80]}: numbers that NumPy has", "bfloat16", "convert it to F32")
                array = np.empty(each.shape, DTYPES[each.dtype])
                sums[each.name] = _fill(who, array, file)
                arrays[each.name] = _widened(each.dtype, array) if widen else array
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError.unreadable(path, error) from error
    written = texts.pop(_CHECKSUM, None)
    if written is not None and written != _checksum(entries, sums, texts):
        raise FormatError(who, "the numbers and texts that were written", "others: its checksum differs", _AGAIN)
    return {each.name: _native(arrays[each.name]) for each in entries}, texts


_AGAIN = "the file is damaged: get it again"


def element_types(path: str | os.PathLike[str]) -> dict[str, str]:
    """The name of each array's element type in the file, such as "float16" and "bfloat16".

    Raises
        FormatError, FileError : as `load`
    """
    who = str(path)
    try:
        with Path(path).open("rb") as file:
            entries, _ = read_header(who, file)
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    return {each.name: "bfloat16" if each.dtype == "BF16" else np.dtype(DTYPES[each.dtype]).name for each in entries}


def _laid_out(arrays: Mapping[str, Any]) -> list[Entry]:
    """The position of each array in the file: the largest types first, so that all are aligned."""
    kinds = {name: _format_dtype(name, array) for name, array in arrays.items()}
    entries, at = [], 0
    for name in sorted(arrays, key=lambda each: (-np.dtype(DTYPES[kinds[each]]).itemsize, each)):
        shape = tuple(map(int, np.shape(arrays[name])))
        end = at + math.prod(shape) * np.dtype(DTYPES[kinds[name]]).itemsize
        entries.append(Entry(name, kinds[name], shape, at, end))
        at = end
    return entries


def _format_dtype(name: str, array: Any) -> str:
    """The format's name for the array's element type."""
    kind = dtype_name(array) if hasattr(array, "dtype") else str(np.asarray(array).dtype)
    try:
        return _NAMES[np.dtype(kind).newbyteorder("<").str]
    except (KeyError, TypeError):
        raise DTypeError(name, "an array of real numbers or truth values", kind, "convert it") from None


def _pieces(array: NDArray, dtype: str) -> Iterator[memoryview]:
    """The array's bytes in C order and with that type: views, or successive copies of `PIECE` bytes."""
    if array.flags.c_contiguous and array.dtype.str == dtype:
        whole = array.reshape(-1).view(np.uint8).data
        yield from (whole[at : at + PIECE] for at in range(0, len(whole), PIECE))
        return
    blocks = np.nditer(  # type: ignore[call-overload]
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly", "contig", "aligned"]],
        op_dtypes=[np.dtype(dtype)],
        casting="equiv",  # only the byte order may change
        order="C",
        buffersize=PIECE // array.itemsize,
    )
    for block in blocks:
        if block.size:
            yield block.view(np.uint8).data


def _checksum(entries: Iterable[Entry], sums: Mapping[str, int], texts: Mapping[str, str]) -> str:
    """The checksum of a file's contents, which does not depend on their order."""
    listed = sorted((each.name, each.dtype, each.shape, sums[each.name]) for each in entries)
    return f"{zlib.crc32(json.dumps([listed, sorted(texts.items())]).encode()):08x}"


def _fill(who: str, array: NDArray, file: BinaryIO) -> int:
    """Read the array's numbers; return their CRC-32."""
    crc = 0
    try:
        for piece in read_into(array, file):
            crc = zlib.crc32(piece, crc)
    except TooShortError:
        raise broken(who, "one that ends before its last number") from None
    return crc


def from_bfloat16(bits: NDArray) -> NDArray:
    """The float32 numbers of which these 16 bits, as uint16, are the upper half."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _widened(dtype: str, array: NDArray) -> NDArray:
    if dtype == "BF16":
        return from_bfloat16(array)
    return array.astype(np.float32) if dtype == "F16" else array


def _native(array: NDArray) -> NDArray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)
