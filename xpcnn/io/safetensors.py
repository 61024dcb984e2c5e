"""The safetensors format: written directly from arrays and read into new ones, without a copy of the whole.

    offset  bytes  meaning
    0       8      n, little-endian
    8       n      JSON: {"__metadata__": {texts}, "name": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, …}
    8 + n   …      the arrays' bytes, little-endian and in C order, without gaps

xpcnn's own files have a checksum among the texts: a CRC-32 of all names, types, shapes, numbers and other texts.
Files without one, by older versions and other programs, are read unchecked.

The sizes in a header are compared with the file's size before anything of the claimed size is allocated.

Source: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np

from ..backend import dtype_name, to_numpy
from ..errors import DTypeError, FileError, FormatError, OptionError
from ..typing import NDArray, Shape
from .atomic import write_atomically
from .pieces import PIECE, TooShortError, read_into

MOST_HEADER = 16 * 2**20  # bytes: names, shapes and texts
_MOST_AXES = 32
_CHECKSUM = "xpcnn_crc32"
_BEGINNING = f'{{"__metadata__":{{"{_CHECKSUM}":"'.encode()  # of a header with a checksum, which follows
_PICKLE_OR_ZIP = (b"PK\x03\x04", b"\x80")
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {text: name for name, text in _DTYPES.items() if name != "BF16"}


@dataclass(frozen=True)
class _Entry:
    """An array's entry in a header."""

    name: str
    dtype: str  # the format's name for it
    shape: Shape
    begin: int  # in bytes, from the end of the header
    end: int


def save(path: str | os.PathLike[str], arrays: Mapping[str, Any], texts: Mapping[str, str], *, checksum: bool) -> None:
    """Write arrays of any backend; the file is written completely or not at all.

    NumPy arrays are written without a copy, or in pieces of `PIECE` bytes if their memory order differs. Arrays of
    other backends are moved to the host one by one.

    Raises
        OptionError : the header would be larger than `MOST_HEADER`
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
    if len(header) > MOST_HEADER:
        raise OptionError(str(path), f"names and metadata of at most {MOST_HEADER} bytes", "more", "store less")

    def write(file: BinaryIO) -> None:
        file.write(len(header).to_bytes(8, "little") + header)
        sums = {each.name: 0 for each in entries}
        for each in entries:
            for piece in _pieces(to_numpy(arrays[each.name]), _DTYPES[each.dtype]):
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
            header, room = _read_header(who, file)
            entries, texts = _parse(who, header, room)
            arrays, sums = {}, {}
            for each in sorted(entries, key=lambda entry: entry.begin):
                if each.dtype == "BF16" and not widen:
                    raise FormatError(who, f"{each.name[:80]}: numbers that NumPy has", "bfloat16", "convert it to F32")
                array = np.empty(each.shape, _DTYPES[each.dtype])
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


def _laid_out(arrays: Mapping[str, Any]) -> list[_Entry]:
    """The position of each array in the file: the largest types first, so that all are aligned."""
    kinds = {name: _format_dtype(name, array) for name, array in arrays.items()}
    entries, at = [], 0
    for name in sorted(arrays, key=lambda each: (-np.dtype(_DTYPES[kinds[each]]).itemsize, each)):
        shape = tuple(map(int, np.shape(arrays[name])))
        end = at + math.prod(shape) * np.dtype(_DTYPES[kinds[name]]).itemsize
        entries.append(_Entry(name, kinds[name], shape, at, end))
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


def _checksum(entries: Iterable[_Entry], sums: Mapping[str, int], texts: Mapping[str, str]) -> str:
    """The checksum of a file's contents, which does not depend on their order."""
    listed = sorted((each.name, each.dtype, each.shape, sums[each.name]) for each in entries)
    return f"{zlib.crc32(json.dumps([listed, sorted(texts.items())]).encode()):08x}"


def _read_header(who: str, file: BinaryIO) -> tuple[bytes, int]:
    """The header, and the number of bytes after it."""
    size = os.fstat(file.fileno()).st_size
    begins = file.read(9)
    length = int.from_bytes(begins[:8], "little")
    if begins[8:] != b"{" or length > max(size, MOST_HEADER):
        raise FormatError(who, "a safetensors file", *_other_kind(who, begins))
    if length > MOST_HEADER:
        raise FormatError(who, f"a header of at most {MOST_HEADER} bytes", f"one of {length}")
    file.seek(8)
    header = file.read(length)
    if len(header) < length:
        raise _broken(who, "one that ends in its header")
    return header, size - 8 - length


def _parse(who: str, header: bytes, room: int) -> tuple[list[_Entry], dict[str, str]]:
    """The header's entries and texts; checks that the arrays cover `room` bytes without overlap."""
    try:
        described = json.loads(header.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _broken(who, f"a header that is no JSON: {str(error)[:200]}") from error
    texts = described.pop("__metadata__", None) or {}
    if not (isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values())):
        raise _broken(who, "metadata that are no texts")
    entries = [_entry(who, name, entry) for name, entry in described.items()]
    at = 0
    for each in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if each.begin != at:
            raise _broken(who, f"{each.name[:80]}: a gap before it, or numbers of another array")
        at = each.end
    if at != room:
        raise _broken(who, f"{room} bytes of numbers where {at} are described")
    return entries, texts


def _entry(who: str, name: str, described: Any) -> _Entry:
    if not isinstance(described, dict):
        raise _broken(who, f"{name[:80]}: no object")
    dtype, shape, offsets = (described.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(dtype, str) and _are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
        raise _broken(who, f"{name[:80]}: no type, shape and place")
    if dtype not in _DTYPES:
        raise FormatError(f"{who}: {name[:80]}", "element types " + ", ".join(_DTYPES), dtype[:80], "convert it to F32")
    itemsize = np.dtype(_DTYPES[dtype]).itemsize
    possible = len(shape) <= _MOST_AXES and math.prod(max(n, 1) for n in shape) * itemsize <= sys.maxsize
    if not possible or offsets[1] - offsets[0] != math.prod(shape) * itemsize:
        raise _broken(who, f"{name[:80]}: a place that is not as large as its shape")
    return _Entry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _are_counts(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(n) is int and 0 <= n <= sys.maxsize for n in values)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no name occurs twice.

    Raises
        ValueError
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that stands twice in an object")
    return found


def _fill(who: str, array: NDArray, file: BinaryIO) -> int:
    """Read the array's numbers; return their CRC-32."""
    crc = 0
    try:
        for piece in read_into(array, file):
            crc = zlib.crc32(piece, crc)
    except TooShortError:
        raise _broken(who, "one that ends before its last number") from None
    return crc


def _widened(dtype: str, array: NDArray) -> NDArray:
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if dtype == "F16" else array


def _native(array: NDArray) -> NDArray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _broken(who: str, got: str) -> FormatError:
    return FormatError(who, "a whole safetensors file", got, "get the file again")


def _other_kind(who: str, begins: bytes) -> tuple[str, str]:
    """The kind of a file that is no safetensors file, and a remedy."""
    if begins.startswith(_PICKLE_OR_ZIP):
        name = Path(who).name[:80]
        return (
            "a pickle, or another archive, as torch.save writes it",
            "convert it where PyTorch is: import safetensors.torch, torch; "
            f'state = torch.load("{name}", map_location="cpu", weights_only=True); '
            f'safetensors.torch.save_file(state, "{Path(name).stem}.safetensors")',
        )
    if not begins:
        return "an empty file", "get it again"
    return "another kind of file", "xpcnn.exchange reads ONNX (import_onnx) and Keras (load_keras)"
