"""Named arrays and a JSON document in one safetensors file.

Such files are safe to open: they hold numbers and text, nothing that is run. The document stands, as a string,
in the file's metadata under "xpcnn", and says which version of this format it is written in.

Source: the safetensors format, https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..backend import to_numpy
from ..errors import DTypeError, FileError, FormatError, OptionError
from ..options import as_path
from ..typing import Host
from .atomic import write_atomically

FORMAT = 1
_KEY = "xpcnn"
_MOST_HEADER = 16 * 2**20  # bytes: names, shapes and the document
_PICKLE_OR_ZIP = (b"PK\x03\x04", b"\x80")
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Write arrays of any backend and a document; the file is there whole or not at all.

    Parameters
        metadata : values that JSON has (no NaN, no infinity)
    Raises
        OptionError : JSON has no such value, or all names and the document together are larger than 16 MiB
        DTypeError : an array holds neither numbers nor truth values, or complex ones
        FileError : the file cannot be written
    """
    path = as_path("write_tensors", path)
    for name, given in (("tensors", tensors), ("metadata", metadata)):
        if not isinstance(given, Mapping):
            raise OptionError("write_tensors", f"{name}: a mapping", type(given).__name__)
    from safetensors.numpy import save

    try:
        document = json.dumps({**metadata, "format": FORMAT}, allow_nan=False, ensure_ascii=False)
        document.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(str(path), "metadata in values that JSON has", str(error)) from error
    data = save({name: _plain(name, array) for name, array in tensors.items()}, {_KEY: document})
    if int.from_bytes(data[:8], "little") > _MOST_HEADER:
        raise OptionError(str(path), f"names and metadata of at most {_MOST_HEADER} bytes", "more", "store less")
    write_atomically(path, data)


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Host], dict[str, Any]]:
    """The arrays, on the host and writable, and the document of a file by `write_tensors`.

    Raises
        FormatError : the file is not one, is damaged, or was made by a newer xpcnn
        FileError : it is missing or cannot be read
    """
    path = as_path("read_tensors", path)
    from safetensors.numpy import load

    who = str(path)
    data, header_size = _read(path)
    try:
        views = load(data)
        text = json.loads(data[8 : 8 + header_size]).get("__metadata__", {}).get(_KEY)
    except Exception as error:  # whatever the parsers stumble over, the file is at fault
        raise FormatError(who, "a whole safetensors file", f"{error}", "get the file again") from error
    metadata = _parse(who, text)
    for name, array in views.items():
        if not _is_plain(array):
            raise FormatError(who, f"{name}: numbers", str(array.dtype))
    return {name: np.require(array, requirements="W") for name, array in views.items()}, metadata


def read_foreign_tensors(path: str | os.PathLike[str]) -> dict[str, Host]:
    """The arrays of a safetensors file by any program, on the host.

    float16 and bfloat16, which is the upper half of a float32, become float32; others stay what they are.

    Raises
        FormatError : the file is none, is damaged, or holds element types that are none of NumPy's
        FileError : it is missing or cannot be read
    """
    from safetensors import deserialize

    data, _ = _read(path)
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever the parser stumbles over, the file is at fault
        raise FormatError(str(path), "a whole safetensors file", f"{error}", "get the file again") from error
    return {name: _decode(f"{path}: {name}", **entry) for name, entry in entries}


def _decode(who: str, dtype: str, shape: list[int], data: Any) -> Host:
    if dtype not in _DTYPES:
        raise FormatError(who, "element types " + ", ".join(_DTYPES), dtype, "convert it to F32")
    array = np.frombuffer(data, _DTYPES[dtype])
    if dtype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    elif dtype == "F16":
        array = array.astype(np.float32)
    return array.reshape(shape)


def _read(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    """The file's bytes, and how many of them its header claims to have."""
    try:
        with Path(path).open("rb") as file:
            begins = file.read(9)
            header_size = int.from_bytes(begins[:8], "little")
            if begins[8:] != b"{" or header_size > max(os.fstat(file.fileno()).st_size, _MOST_HEADER):
                raise FormatError(str(path), "a safetensors file", *_other_kind(begins))
            if header_size > _MOST_HEADER:
                raise FormatError(str(path), f"a header of at most {_MOST_HEADER} bytes", f"one of {header_size}")
            file.seek(0)
            return file.read(), header_size
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def _other_kind(begins: bytes) -> tuple[str, str]:
    """What a file is that is no safetensors file, and what to do with it."""
    if begins.startswith(_PICKLE_OR_ZIP):
        return (
            "a pickle, or another archive, as torch.save writes it",
            "convert it where PyTorch is: "
            'safetensors.torch.save_file(torch.load("weights.pt", weights_only=True), "weights.safetensors")',
        )
    if not begins:
        return "an empty file", "get it again"
    return "another kind of file", "xpcnn.exchange reads ONNX (import_onnx) and Keras (load_keras)"


def _plain(name: str, array: Any) -> Host:
    """The array on the host, contiguous, as safetensors expects it."""
    host = to_numpy(array)
    if not _is_plain(host):
        raise DTypeError(name, "an array of real numbers or truth values", str(host.dtype), "convert it")
    return np.asarray(host, order="C")


def _is_plain(array: Host) -> bool:
    return array.dtype.kind in "biuf" and array.dtype.itemsize <= 8


def _parse(who: str, text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        remedy = "weights alone are read into a network by xpcnn.exchange: load_pytorch, load_mlx"
        raise FormatError(who, "a file written by xpcnn", "a safetensors file of another program", remedy)
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(who, "metadata in JSON", str(error)) from error
    version = document.pop("format", None) if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise FormatError(who, "metadata with a format number", repr(version))
    if version > FORMAT:
        raise FormatError(who, f"format {FORMAT}", f"format {version}, made by a newer xpcnn", "upgrade xpcnn")
    metadata: dict[str, Any] = document
    return metadata


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
