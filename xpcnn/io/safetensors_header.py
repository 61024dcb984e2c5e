"""The header of a safetensors file; its format is described in `safetensors.py`.

The sizes in it are compared with the file's size before anything of the claimed size is allocated.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np

from ..errors import FormatError
from ..typing import Shape

MOST_HEADER = 16 * 2**20  # bytes: names, shapes and texts
_MOST_AXES = 32
_PICKLE_OR_ZIP = (b"PK\x03\x04", b"\x80")
DTYPES = {
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


@dataclass(frozen=True)
class Entry:
    """An array's entry in a header."""

    name: str
    dtype: str  # the format's name for it
    shape: Shape
    begin: int  # in bytes, from the end of the header
    end: int


def read_header(who: str, file: BinaryIO) -> tuple[list[Entry], dict[str, str]]:
    """The entries and texts of the header at the beginning of an open file.

    Raises
        FormatError : the file is no safetensors file, or its header is damaged
    """
    return _parse(who, *_read(who, file))


def _read(who: str, file: BinaryIO) -> tuple[bytes, int]:
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
        raise broken(who, "one that ends in its header")
    return header, size - 8 - length


def _parse(who: str, header: bytes, room: int) -> tuple[list[Entry], dict[str, str]]:
    """The header's entries and texts; checks that the arrays cover `room` bytes without overlap."""
    try:
        described = json.loads(header.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise broken(who, f"a header that is no JSON: {str(error)[:200]}") from error
    texts = described.pop("__metadata__", None) or {}
    if not (isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values())):
        raise broken(who, "metadata that are no texts")
    entries = [_entry(who, name, entry) for name, entry in described.items()]
    at = 0
    for each in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if each.begin != at:
            raise broken(who, f"{each.name[:80]}: a gap before it, or numbers of another array")
        at = each.end
    if at != room:
        raise broken(who, f"{room} bytes of numbers where {at} are described")
    return entries, texts


def _entry(who: str, name: str, described: Any) -> Entry:
    if not isinstance(described, dict):
        raise broken(who, f"{name[:80]}: no object")
    dtype, shape, offsets = (described.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(dtype, str) and _are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
        raise broken(who, f"{name[:80]}: no type, shape and place")
    if dtype not in DTYPES:
        raise FormatError(f"{who}: {name[:80]}", "element types " + ", ".join(DTYPES), dtype[:80], "convert it to F32")
    itemsize = np.dtype(DTYPES[dtype]).itemsize
    possible = len(shape) <= _MOST_AXES and math.prod(max(n, 1) for n in shape) * itemsize <= sys.maxsize
    if not possible or offsets[1] - offsets[0] != math.prod(shape) * itemsize:
        raise broken(who, f"{name[:80]}: a place that is not as large as its shape")
    return Entry(name, dtype, tuple(shape), offsets[0], offsets[1])


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


def broken(who: str, got: str) -> FormatError:
    return FormatError(who, "a whole safetensors file", got, "get the file again")


def _other_kind(who: str, begins: bytes) -> tuple[str, str]:
    """The kind of a file that is no safetensors file, and a remedy."""
    if Path(who).suffix.lower() in (".keras", ".h5"):
        return "a file of Keras", "xpcnn.exchange.load_keras reads it"
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
