"""Makes every single wrong value of a JSON document, and every wrong array of a set, for the tests of damaged files."""

from __future__ import annotations

import copy
import json

import numpy as np
from safetensors.numpy import save_file

TOO_LARGE = "written as 1e999"
MISSING = "missing"
VALUES = [MISSING, None, -1, 2**70, TOO_LARGE, "text", [], [1, 2], {}, {"a": 1}, True, False, 0.5]


def places(document, at=()):
    """The path to each value in the document, and the value; also those within lists and objects."""
    if at:
        yield at, document
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inner:
        yield from places(value, (*at, key))


def wrong(document):
    """(path, wrong value, the document with it): each value replaced by each of `VALUES`; lists shorter and longer."""
    for path, value in places(document):
        lengths = [value[:-1], [*value, value[-1]]] if isinstance(value, list) and value else []
        for other in [*VALUES, *lengths]:
            if type(other) is type(value) and other == value:
                continue
            changed = copy.deepcopy(document)
            at = changed
            for key in path[:-1]:
                at = at[key]
            if other is MISSING:
                del at[path[-1]]
            else:
                at[path[-1]] = other
            yield path, other, changed


def wrong_arrays(arrays):
    """(what is wrong, the arrays with it)."""
    for name, array in arrays.items():
        yield f"{name} missing", {key: each for key, each in arrays.items() if key != name}
        yield f"{name} renamed", {f"{key}_" if key == name else key: each for key, each in arrays.items()}
        others = {"shape": array[None], "size": np.concatenate([array.ravel()] * 2)}
        with np.errstate(invalid="ignore"):  # NaN as an integer
            others |= {
                dtype: array.astype(dtype) for dtype in ("f2", "f4", "f8", "i8", "u1", "?") if array.dtype != dtype
            }
        if array.dtype.kind == "f":
            others |= {str(bad): np.where(np.arange(array.size).reshape(array.shape) == 0, bad, array) for bad in BAD}
        for what, other in others.items():
            yield f"{name}: {what}", arrays | {name: np.asarray(other, other.dtype if what in DTYPES else None)}
    yield "one more", arrays | {"other": np.zeros(1, "f4")}


BAD = (np.float32("nan"), np.float32("inf"))
DTYPES = ("f2", "f4", "f8", "i8", "u1", "?")


def write(path, arrays, document):
    """Write it as an older xpcnn would: without a checksum, so that the reader checks the values."""
    text = json.dumps({**document, "format": 1}).replace(json.dumps(TOO_LARGE), "1e999")
    save_file(arrays, path, {"xpcnn": text})
