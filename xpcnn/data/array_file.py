"""Images and labels as NumPy arrays in files: one .npz, or a .npy of images and one of labels beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, OptionError
from ..io.npy import read_npy, read_npz
from ..typing import Host, Shape
from .dataset import Dataset
from .labels import class_names
from .parts import MOST_BYTES, TEST_FRACTION, assemble, counterpart

# Names of the images and the labels in an .npz: all of it, or to train on; and to test on.
_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y"), ("X", "y"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))
_CLASSES = ("classes", "class_names")
_NAMES = {*_CLASSES, *(name for pair in (*_TRAIN, *_TEST) for name in pair)}


def array_file(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    classes: Sequence[str] = (),
    regression: bool = False,
    image_shape: Shape | None = None,
    channels_first: bool | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Dataset:
    """Images and labels from a .npz or .npy file.

    A .npz has x_train, y_train, x_test and y_test, as Keras names them; or train_images, train_labels, test_images
    and test_labels; or images and labels, or x and y, of which a fraction is held out. It may have names, `classes`.

    A .npy has the images. Its labels are `labels`, or beside it: x_train.npy has y_train.npy, train_images.npy has
    train_labels.npy, images.npy has labels.npy; any other has labels.npy. Where its name has "train" in it, and
    the same name with "test" is there too, that is to test on; otherwise a fraction is held out.

    Parameters
        labels : the file of a .npy file's labels
        test : the file to test on, of the same kind, whatever the names say; a .npy finds its labels beside it
        classes : the classes' names, in the order of the labels
        regression : the labels are targets, numbers (N,) or (N, D); the data set has them as (N, D)
        image_shape, channels_first : see `to_images`;  test_fraction, seed : see `hold_out`
        most_bytes : refuse arrays that are larger
    Raises
        FormatError : a file is broken, or holds Python objects;  FileError : it cannot be read
        OptionError : `labels` for a .npz file
        DataError : arrays are missing, or are no labelled images
    """
    path = Path(path).expanduser()
    test_path = None if test is None else Path(test).expanduser()
    if path.suffix.lower() == ".npz":
        if labels is not None:
            raise OptionError(str(path), "labels for a .npy file only", str(labels), "a .npz holds its own")
        arrays = read_npz(path, _NAMES, most_bytes=most_bytes)
        train_part, test_part = _named(path, arrays, _TRAIN), _find(arrays, _TEST)
        if test_path is not None:
            beside = read_npz(test_path, _NAMES, most_bytes=most_bytes)
            test_part = _named(test_path, beside, (*_TEST, *_TRAIN))
        given = next((name for name in _CLASSES if name in arrays), None)
        if given is not None and not classes:
            classes = class_names(f"{path}: {given}", arrays[given])
    else:
        train_part = _read_pair(path, None if labels is None else Path(labels).expanduser(), most_bytes)
        if test_path is None and labels is None:
            test_path = counterpart(path)
        test_part = None if test_path is None else _read_pair(test_path, None, most_bytes)
    return assemble(
        path,
        train_part,
        test_part,
        classes=() if regression else classes,
        regression=regression,
        image_shape=image_shape,
        channels_first=channels_first,
        test_fraction=test_fraction,
        seed=seed,
    )


def _find(arrays: dict[str, Host], names: Sequence[tuple[str, str]]) -> tuple[Host, Host] | None:
    return next(((arrays[x], arrays[y]) for x, y in names if x in arrays and y in arrays), None)


def _named(path: Path, arrays: dict[str, Host], names: Sequence[tuple[str, str]]) -> tuple[Host, Host]:
    """The images and labels among the arrays of a .npz file."""
    found = _find(arrays, names)
    if found is None:
        known = " or ".join(f"{x} and {y}" for x, y in names)
        raise DataError(str(path), f"arrays {known}", ", ".join(arrays) or "none", "save them under such names")
    return found


def _read_pair(path: Path, labels: Path | None, most_bytes: int) -> tuple[Host, Host]:
    """The images of a .npy file, and their labels."""
    if labels is None:
        candidates = [path.with_name(name) for name in _names_of_labels(path.name)]
        labels = next((each for each in candidates if each.is_file()), None)
        if labels is None:
            missing = " or ".join(each.name for each in candidates)
            raise DataError(str(path), f"its labels in {missing}", "no such file beside it", "pass labels=PATH")
    return read_npy(path, most_bytes=most_bytes), read_npy(labels, most_bytes=most_bytes)


def _names_of_labels(name: str) -> list[str]:
    candidates = [name.replace("images", "labels")]
    if name[0] in "xX":
        candidates += ["y" + name[1:], "Y" + name[1:]]
    return [*dict.fromkeys(each for each in (*candidates, "labels.npy") if each != name)]
