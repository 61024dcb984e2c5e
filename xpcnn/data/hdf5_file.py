"""Images and labels in HDF5 files, in the form of the deeplearning.ai courses' data sets (see `xpcnn.io.hdf5`).

train_*.h5   train_set_x (N, H, W, C) uint8,  train_set_y (N,) or (1, N),  list_classes
test_*.h5    test_set_x, test_set_y
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import DataError
from ..options import expanded
from .hdf5_source import hdf5_items
from .labels import class_names
from .large_arrays import as_array_source
from .splits import TEST_FRACTION, Pair, Parts, assemble, counterpart, reader

_NAMES = ("train_set_x", "train_set_y", "test_set_x", "test_set_y", "list_classes")


@reader
def hdf5_file(
    path: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    source: str | None = None,
    most_bytes: int | None = None,
) -> Parts:
    """Images and labels from a .h5 file with train_set_x, train_set_y and list_classes.

    Parameters
        test : the file with test_set_x and test_set_y; by default this file itself if it has them, else the one
            in the same folder with "test" instead of "train" in its name; else a fraction is held out
        scale : the number that stands for white, see `Split`;  test_fraction, seed : see `hold_out`
        source : "memory", or "disk": images stay in their file, and are read where they are needed; by default memory
            for up to 512 MiB an array
        most_bytes : refuse to hold more than that of a file in memory, instead of reading from a disk
    Raises
        DataError : it has no train_set_x or train_set_y, or they are not labelled images; or list_classes are neither
            texts nor numbers
        FormatError : it is not an HDF5 file
        FileError : it cannot be read;  MissingExtraError : h5py is not installed

    >>> import tempfile
    >>> import h5py
    >>> path = tempfile.mkdtemp() + "/few.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["train_set_x"] = np.zeros((10, 8, 8, 3), np.uint8)
    ...     file["train_set_y"] = np.arange(10) % 2
    >>> hdf5_file(path).train
    Split(8 images (8, 8, 3), labels 0 … 1)
    """
    path = expanded("hdf5_file", path)
    source, most_bytes = as_array_source("hdf5_file", source, most_bytes)
    arrays = hdf5_items(path, _NAMES, source, most_bytes)
    other = counterpart(path) if test is None else expanded("hdf5_file", test)
    if other is not None:
        arrays |= hdf5_items(other, _NAMES[2:4], source, most_bytes)
    train, test_part = _part(arrays, "train"), _part(arrays, "test")
    alone = test_part is not None and other is None and not any(name.startswith("train") for name in arrays)
    for name in (*_NAMES[: 0 if alone else 2], *(_NAMES[2:4] if other else ())):
        if name not in arrays:
            raise DataError(str(path), f"a data set {name}", ", ".join(sorted(arrays)) or "none")
    names = arrays.get("list_classes")
    return assemble(
        path,
        train,
        test_part,
        test_path=other,
        classes=() if names is None else class_names(f"{path}: list_classes", np.asarray(names)),
        scale=scale,
        test_fraction=test_fraction,
        seed=seed,
        found="test_set_x" if alone else f"{path.name} and {other.name}" if other else "train_set_x and test_set_x",
    )


def _part(arrays: dict[str, Any], name: str) -> Pair | None:
    x, y = f"{name}_set_x", f"{name}_set_y"
    return (arrays[x], arrays[y]) if {x, y} <= arrays.keys() else None
