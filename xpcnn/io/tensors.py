"""Named arrays and a JSON document in one safetensors file.

Such files are safe to open: they hold numbers and text, and no code. The document is a string in the file's metadata
under "xpcnn", and states the version of this format. A checksum of the whole file reveals damage; files of xpcnn 0.1
have none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import FormatError, OptionError
from ..options import as_path
from ..typing import NDArray
from . import safetensors
from .document import parse_json

FORMAT = 1
_KEY = "xpcnn"


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Write arrays of any backend and a document; the file is written completely or not at all.

    NumPy arrays are not copied; those of other backends are copied one at a time.

    Parameters
        metadata : JSON values (no NaN, no infinity)
    Raises
        OptionError : a value is none of JSON's, or all names and the document together are larger than 16 MiB
        DTypeError : an array holds neither real numbers nor booleans
        FileError : the file cannot be written

    >>> import tempfile
    >>> import numpy as np
    >>> path = tempfile.mkdtemp() + "/state.safetensors"
    >>> write_tensors(path, {"w": np.arange(3.0)}, {"epoch": 2})
    >>> tensors, document = read_tensors(path)
    >>> tensors["w"], document["epoch"]
    (array([0., 1., 2.]), 2)
    """
    path = as_path("write_tensors", path)
    for name, given in (("tensors", tensors), ("metadata", metadata)):
        if not isinstance(given, Mapping):
            raise OptionError("write_tensors", f"{name}: a mapping", type(given).__name__)
    try:
        document = json.dumps({**metadata, "format": FORMAT}, allow_nan=False, ensure_ascii=False)
        document.encode()
        parse_json(document)  # raises unless it can be read again
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(str(path), "metadata in values that JSON has", str(error)) from error
    safetensors.save(path, tensors, {_KEY: document}, checksum=True)


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """The arrays, on the host and writable, and the document of a file by `write_tensors`.

    Raises
        FormatError : the file is no such file, is damaged, or was made by a newer xpcnn
        FileError : it is missing or cannot be read

    >>> import tempfile
    >>> import numpy as np
    >>> path = tempfile.mkdtemp() + "/state.safetensors"
    >>> write_tensors(path, {"w": np.arange(3.0)}, {"epoch": 2})
    >>> tensors, document = read_tensors(path)
    >>> tensors["w"], document["epoch"]
    (array([0., 1., 2.]), 2)
    """
    tensors, texts = safetensors.load(as_path("read_tensors", path))
    document = _parse(str(path), texts.pop(_KEY, None))
    if texts:  # perhaps the checksum under another name
        got = ", ".join(repr(name)[:40] for name in list(texts)[:3])
        raise FormatError(
            str(path), f"metadata under {_KEY} alone", f"also under {got}", "the file is damaged: get it again"
        )
    return tensors, document


def read_foreign_tensors(path: str | os.PathLike[str]) -> dict[str, NDArray]:
    """The arrays of a safetensors file by any program, on the host.

    float16 and bfloat16 (the upper half of a float32) become float32; other types stay the same.

    Raises
        FormatError : the file is no safetensors file, is damaged, or holds element types that NumPy lacks
        FileError : it is missing or cannot be read
    """
    return safetensors.load(path, widen=True)[0]


def _parse(who: str, text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        remedy = "weights alone are read into a network by xpcnn.exchange: load_pytorch, load_mlx"
        raise FormatError(who, "a file written by xpcnn", "a safetensors file of another program", remedy)
    try:
        document = parse_json(text)
    except ValueError as error:
        raise FormatError(who, "metadata in JSON", str(error)[:200]) from error
    version = document.pop("format", None) if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise FormatError(who, "metadata with a format number", repr(version)[:80])
    if version > FORMAT:
        raise FormatError(who, f"format {FORMAT}", f"format {version}, made by a newer xpcnn"[:80], "upgrade xpcnn")
    metadata: dict[str, Any] = document
    return metadata
