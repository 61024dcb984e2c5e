"""Images and labels in HDF5 files, in the form of the deeplearning.ai courses' data sets, and nothing else of HDF5.

    train_*.h5   train_set_x (N, H, W, C) uint8,  train_set_y (N,) or (1, N),  list_classes
    test_*.h5    test_set_x, test_set_y

HDF5 can hold data that lie in other files, and declare more than it holds. So a data set is read only if it lies in
this file as it is, neither linked nor virtual nor compressed, and its bytes are there: nothing is allocated that the
file is too small for (compare CVE-2026-1669, CVE-2026-0897, CVE-2026-12480, of other libraries).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import DataError, FileError, FormatError, XpcnnError
from ..extras import need
from ..typing import Host
from .dataset import Dataset
from .parts import MOST_BYTES, TEST_SHARE, assemble, counterpart


def hdf5_file(
    path: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Dataset:
    """Images and labels from a .h5 file with train_set_x, train_set_y and list_classes.

    Parameters
        test : the file with test_set_x and test_set_y; by default this file itself if it has them, else the one
            beside with "test" instead of "train" in its name; where there is none, a share is held out
        test_share, seed : see `hold_out`
        most_bytes : refuse larger arrays
    Raises
        FormatError : it is no such file, or holds data in another way than described
        FileError : it cannot be read;  MissingExtraError : h5py is not installed
    """
    path = Path(path).expanduser()
    arrays = _read(path, most_bytes)
    other = counterpart(path) if test is None else Path(test).expanduser()
    if other is not None:
        arrays |= {name: array for name, array in _read(other, most_bytes).items() if name.startswith("test_")}
    for name in ("train_set_x", "train_set_y", *(("test_set_x", "test_set_y") if other else ())):
        if name not in arrays:
            raise DataError(str(path), f"a data set {name}", ", ".join(sorted(arrays)) or "none")
    test_part = (arrays["test_set_x"], arrays["test_set_y"]) if {"test_set_x", "test_set_y"} <= arrays.keys() else None
    return assemble(
        path,
        (arrays["train_set_x"], arrays["train_set_y"]),
        test_part,
        classes=_names(path, arrays.get("list_classes")),
        test_share=test_share,
        seed=seed,
    )


def _names(path: Path, classes: Host | None) -> list[str]:
    if classes is None:
        return []
    if classes.ndim != 1 or classes.dtype.kind not in "Siu":
        raise FormatError(str(path), "list_classes: texts or numbers", f"{classes.dtype} {classes.shape}")
    return [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in classes.tolist()]


def _read(path: Path, most_bytes: int) -> dict[str, Host]:
    """The data sets of known names, by name."""
    h5py = need("h5py", "hdf5_file", "to read .h5 files")
    who = str(path)
    arrays = {}
    try:
        size = path.stat().st_size
        with h5py.File(path, "r") as file:
            for name in ("train_set_x", "train_set_y", "test_set_x", "test_set_y", "list_classes"):
                if file.get(name, getlink=True) is not None:
                    arrays[name] = _read_one(f"{who}: {name}", h5py, file, name, min(size, most_bytes))
    except XpcnnError:
        raise
    except FileNotFoundError as error:
        raise FileError(who, "a readable file", error.strerror or str(error)) from error
    except Exception as error:  # whatever HDF5 stumbles over, the file is at fault
        raise FormatError(who, "a whole HDF5 file", str(error).partition("\n")[0], "get the file again") from error
    return arrays


def _read_one(who: str, h5py: Any, file: Any, name: str, most_bytes: int) -> Host:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise FormatError(who, "data in this file", "a link", "copy the data into it")
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        raise FormatError(who, "a data set", type(data).__name__)
    if data.is_virtual or data.external:
        raise FormatError(who, "data in this file", "a reference to other files", "copy the data into it")
    if data.id.get_create_plist().get_nfilters():
        raise FormatError(who, "data as they are", "compressed data", "write them without compression")
    if data.dtype.kind not in "iuS":
        raise FormatError(who, "whole numbers, or texts of a fixed length", str(data.dtype), "convert them")
    stored = data.id.get_storage_size()
    if not data.nbytes <= stored <= most_bytes:
        got = f"an array {data.shape} of {data.nbytes} bytes, of which {stored} are stored"
        raise FormatError(who, f"at most {most_bytes} bytes, all of them in the file", got)
    array: Host = data[...]
    return array
