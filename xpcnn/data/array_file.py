"""Images and labels as NumPy arrays in files: one .npz, or a .npy of images and one of labels beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError, warn
from ..io.npy import npz_names, read_npy
from ..options import expanded
from ..typing import Shape
from .array_names import CLASSES, KNOWN, TEST_PAIRS, TRAIN_PAIRS, WHOLE, find_pair
from .labels import class_names
from .large_arrays import as_array_source, npy_items, npz_items
from .part_names import TEST, VALIDATION, part_name
from .source import Items
from .splits import TEST_FRACTION, Pair, Parts, assemble, counterpart, reader


@reader
def array_file(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    classes: Sequence[str] = (),
    regression: bool = False,
    ignore_index: int | None = None,
    image_shape: Shape | None = None,
    channels_first: bool | None = None,
    scale: float | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    source: str | None = None,
    most_bytes: int | None = None,
) -> Parts:
    """Images and labels from a .npz or .npy file.

    A .npz has x_train, y_train, x_test and y_test, as Keras names them; or train_images, train_labels, test_images
    and test_labels; or test_x and test_y; or images and labels, x and y, or data and target, of which a fraction is
    held out. x and y may be X and Y, and test may be testing, eval or a similar word. Labels (N, H, W) of whole numbers
    are a class for each pixel, as are images and masks. The file may also have the names of the classes,
    `classes`. If there is no test set, x_val (valid, validation, dev) is to test on; otherwise x_val is ignored.

    A .npy has the images. Its labels are in `labels`, or in a file in the same folder: y_train.npy for x_train.npy,
    train_labels.npy for train_images.npy, labels.npy for images.npy and for all others. If its name contains "train",
    and the folder has a file of the same name with "test" (or else "val"), that is to test on; otherwise a fraction
    is held out.

    Parameters
        labels : the file of a .npy file's labels
        test : the file to test on, of the same kind, whatever their names; the labels of a .npy are in its folder
        classes : the classes' names, in the order of the labels
        regression : the labels are targets, numbers (N,) or (N, D); the data set has them as (N, D)
        ignore_index : of a class a pixel, the number of those that do not count
        image_shape, channels_first : see `to_images`;  test_fraction, seed : see `hold_out`
        scale : the number that stands for white, such as 16 if images are 0 … 16; see `Split`
        source : "memory", or "disk": images stay in their file, and are read where they are needed; by default memory
            for up to 512 MiB an array. Those of a compressed .npz are unpacked once, into the user's cache
        most_bytes : refuse to hold more in memory, instead of reading from a disk
    Raises
        FormatError : a file is broken, or holds Python objects;  FileError : it cannot be read
        OptionError : `labels` for a .npz file
        DataError : arrays are missing, or are not labelled images

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.savez(folder / "few.npz", images=np.zeros((10, 8, 8), np.uint8), labels=np.arange(10) % 2)
    >>> array_file(folder / "few.npz").train
    Split(8 images (8, 8, 1), labels 0 … 1)
    """
    path = expanded("array_file", path)
    test_path = None if test is None else expanded("array_file", test)
    source, most_bytes = as_array_source("array_file", source, most_bytes)
    if path.suffix.lower() == ".npz":
        if labels is not None:
            raise OptionError(str(path), "labels for a .npy file only", str(labels), "a .npz holds its own")
        arrays = npz_items(path, KNOWN, source, most_bytes)
        test_names = find_pair(arrays, TEST_PAIRS)
        test_part = test_names and (arrays[test_names[0]], arrays[test_names[1]])
        if test_path is not None:
            beside = npz_items(test_path, KNOWN, source, most_bytes)
            test_part, _ = _named(test_path, beside, (*TEST_PAIRS, *TRAIN_PAIRS))
        if test_part is None:
            _warn_of_others(path)
        alone = test_part is not None and find_pair(arrays, TRAIN_PAIRS) is None and test_path is None
        train_part, train_names = (None, ()) if alone else _named(path, arrays, TRAIN_PAIRS)
        found = " and ".join([*train_names[:1], *((test_names or ())[:1] if test_path is None else [test_path.name])])
        given = next((name for name in CLASSES if name in arrays), None)
        if given is not None and not classes:
            classes = class_names(f"{path}: {given}", np.asarray(arrays[given]))
    else:
        train_part = _read_pair(path, None if labels is None else expanded("array_file", labels), source, most_bytes)
        if test_path is None and labels is None:
            test_path = counterpart(path)
        test_part = None if test_path is None else _read_pair(test_path, None, source, most_bytes)
        found = "" if test_path is None else f"{path.name} and {test_path.name}"
    return assemble(
        path,
        train_part,
        test_part,
        test_path=test_path,
        classes=() if regression else classes,
        regression=regression,
        ignore_index=ignore_index,
        image_shape=image_shape,
        channels_first=channels_first,
        scale=scale,
        test_fraction=test_fraction,
        seed=seed,
        found=found,
    )


def _warn_of_others(path: Path) -> None:
    """Warn of arrays whose names say that they are to test on, but that are not a pair of images and labels."""
    kinds = {name: part_name(name) for name in npz_names(path)}
    if left := [name for name, part in kinds.items() if part and part.kind in (TEST, VALIDATION)]:
        what = f"{', '.join(left[:5])} are left alone, and some of the other images are held out to test on"
        warn(str(path), what, "call images and labels to test on x_test and y_test")


def _named(path: Path, arrays: dict[str, Items], names: Sequence[tuple[str, str]]) -> tuple[Pair, tuple[str, str]]:
    """The images and labels among the arrays of a .npz file, and their names."""
    found = find_pair(arrays, names)
    if found is None:
        known = " or ".join(f"{x} and {y}" for x, y in (*names[:3], *WHOLE[:3]))
        raise DataError(str(path), f"arrays {known}", ", ".join(arrays) or "none", "save them under such names")
    return (arrays[found[0]], arrays[found[1]]), found


def _read_pair(path: Path, labels: Path | None, source: str | None, most_bytes: int) -> Pair:
    """The images of a .npy file, and their labels."""
    if labels is None:
        candidates = [path.with_name(name) for name in _names_of_labels(path.name)]
        labels = next((each for each in candidates if each.is_file()), None)
        if labels is None:
            missing = " or ".join(each.name for each in candidates)
            raise DataError(str(path), f"its labels in {missing}", "no such file beside it", "pass labels=PATH")
    return npy_items(path, source, most_bytes), read_npy(labels, most_bytes=most_bytes)


def _names_of_labels(name: str) -> list[str]:
    candidates = [name.replace("images", "labels")]
    if name[0] in "xX":
        candidates += ["y" + name[1:], "Y" + name[1:]]
    return [*dict.fromkeys(each for each in (*candidates, "labels.npy") if each != name)]
