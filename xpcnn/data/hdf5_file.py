"""Images and labels in HDF5 files (see `xpcnn.io.hdf5`), such as the deeplearning.ai courses' data sets.

train_*.h5   train_set_x (N, H, W, C) uint8,  train_set_y (N,) or (1, N),  list_classes
test_*.h5    test_set_x, test_set_y

Other names are those of .npz files, too: see `data.array_names`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import DataError
from ..options import expanded
from .array_names import CLASSES, KNOWN, TEST_PAIRS, TRAIN_PAIRS, PairName, find_pair
from .hdf5_source import hdf5_items
from .labels import class_names
from .large_arrays import as_array_source
from .splits import TEST_FRACTION, Pair, Parts, assemble, counterpart, reader

_COURSE = ("train_set_x", "train_set_y"), ("test_set_x", "test_set_y")
_TRAIN, _TEST = (_COURSE[0], *TRAIN_PAIRS), (_COURSE[1], *TEST_PAIRS)


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
    """Images and labels from a .h5 file with train_set_x, train_set_y and list_classes, or the names of `array_file`.

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
    arrays = hdf5_items(path, KNOWN, source, most_bytes)
    other = counterpart(path) if test is None else expanded("hdf5_file", test)
    beside = arrays if other is None else hdf5_items(other, KNOWN, source, most_bytes)
    train_names, test_names = find_pair(arrays, _TRAIN), find_pair(beside, _TEST)
    alone = test_names is not None and other is None and not any("train" in name.lower() for name in arrays)
    wanted = ((arrays, train_names or alone, _COURSE[0]), (beside, test_names or not other, _COURSE[1]))
    for given, names, usual in wanted:
        if not names:
            missing = next(name for name in usual if name not in given)
            raise DataError(str(path), f"a data set {missing}", ", ".join(sorted(given)) or "none")
    found = test_names[0] if alone and test_names else ""
    if not alone and test_names:
        found = f"{path.name} and {other.name}" if other else f"{(train_names or ('',))[0]} and {test_names[0]}"
    named = next((name for name in CLASSES if name in arrays), "")
    return assemble(
        path,
        None if alone or train_names is None else _part(arrays, train_names),
        None if test_names is None else _part(beside, test_names),
        test_path=other,
        classes=class_names(f"{path}: {named}", np.asarray(arrays[named])) if named else (),
        scale=scale,
        test_fraction=test_fraction,
        seed=seed,
        found=found,
    )


def _part(arrays: dict[str, Any], names: PairName) -> Pair:
    return arrays[names[0]], arrays[names[1]]
