"""Images and labels in HDF5 files, in the form of the deeplearning.ai courses' data sets (see `xpcnn.io.hdf5`).

train_*.h5   train_set_x (N, H, W, C) uint8,  train_set_y (N,) or (1, N),  list_classes
test_*.h5    test_set_x, test_set_y
"""

from __future__ import annotations

import os

from ..errors import DataError
from ..io.hdf5 import read_hdf5
from ..options import expanded
from ..typing import NDArray
from .labels import class_names
from .splits import MOST_BYTES, TEST_FRACTION, Parts, assemble, counterpart, reader

_NAMES = ("train_set_x", "train_set_y", "test_set_x", "test_set_y", "list_classes")


@reader
def hdf5_file(
    path: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Parts:
    """Images and labels from a .h5 file with train_set_x, train_set_y and list_classes.

    Parameters
        test : the file with test_set_x and test_set_y; by default this file itself if it has them, else the one
            in the same folder with "test" instead of "train" in its name; else a fraction is held out
        scale : the number that stands for white, see `Split`;  test_fraction, seed : see `hold_out`
        most_bytes : refuse a file whose arrays are larger than that in total
    Raises
        DataError : it has no train_set_x or train_set_y, or they are not labelled images; or list_classes are neither
            texts nor numbers
        FormatError : it is not an HDF5 file
        FileError : it cannot be read;  MissingExtraError : h5py is not installed
    """
    path = expanded("hdf5_file", path)
    arrays = read_hdf5(path, names=_NAMES, most_bytes=most_bytes)
    other = counterpart(path) if test is None else expanded("hdf5_file", test)
    if other is not None:
        arrays |= read_hdf5(other, names=_NAMES[2:4], most_bytes=most_bytes)
    train, test_part = _part(arrays, "train"), _part(arrays, "test")
    alone = test_part is not None and other is None and not any(name.startswith("train") for name in arrays)
    for name in (*_NAMES[: 0 if alone else 2], *(_NAMES[2:4] if other else ())):
        if name not in arrays:
            raise DataError(str(path), f"a data set {name}", ", ".join(sorted(arrays)) or "none")
    return assemble(
        path,
        train,
        test_part,
        test_path=other,
        classes=class_names(f"{path}: list_classes", arrays["list_classes"]) if "list_classes" in arrays else (),
        scale=scale,
        test_fraction=test_fraction,
        seed=seed,
        found="test_set_x" if alone else f"{path.name} and {other.name}" if other else "train_set_x and test_set_x",
    )


def _part(arrays: dict[str, NDArray], name: str) -> tuple[NDArray, NDArray] | None:
    x, y = f"{name}_set_x", f"{name}_set_y"
    return (arrays[x], arrays[y]) if {x, y} <= arrays.keys() else None
