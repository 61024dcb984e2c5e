"""Images and labels as NumPy arrays in files: one .npz, or a .npy of images and one of labels beside it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ..errors import DataError, FileError, FormatError, XpcnnError
from ..typing import Host, Shape
from .dataset import Dataset
from .npy import read_array, read_npy
from .parts import MOST_BYTES, TEST_SHARE, assemble, counterpart

# Names of the images and the labels in an .npz: all of it, or to train on; and to test on.
_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y"), ("X", "y"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))
_CLASSES = ("classes", "class_names")
_DEFLATE_LIMIT = 1032  # 1 byte becomes at most so many


def array_file(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    classes: Sequence[str] = (),
    regression: bool = False,
    image_shape: Shape | None = None,
    channels_first: bool | None = None,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Dataset:
    """Images and labels from a .npz or .npy file.

    A .npz has x_train, y_train, x_test and y_test, as Keras names them; or train_images, train_labels, test_images
    and test_labels; or images and labels, or x and y, of which a share is held out. It may have `classes`, texts.

    A .npy has the images. Its labels are `labels`, or beside it: x_train.npy has y_train.npy, train_images.npy has
    train_labels.npy, images.npy has labels.npy; any other has labels.npy. Where its name has "train" in it, and
    the same name with "test" is there too, that is to test on; otherwise a share is held out.

    Parameters
        labels : the file of a .npy file's labels
        classes : the classes' names, in the order of the labels
        regression : the labels are targets, numbers (N,) or (N, D); the data set has them as (N, D)
        image_shape, channels_first : see `to_images`;  test_share, seed : see `hold_out`
        most_bytes : refuse arrays that are larger
    Raises
        FormatError : a file is broken, or holds Python objects;  FileError : it cannot be read
        DataError : arrays are missing, or are no labelled images
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".npz":
        if labels is not None:
            raise DataError(str(path), "labels for a .npy file only", str(labels), "a .npz holds its own")
        arrays = _read_npz(path, most_bytes)
        train, test = _named(arrays, _TRAIN), _named(arrays, _TEST)
        if train is None:
            known = " or ".join(f"{x} and {y}" for x, y in _TRAIN)
            raise DataError(str(path), f"arrays {known}", ", ".join(arrays) or "none", "save them under such names")
        given = next((arrays[name] for name in _CLASSES if name in arrays), None)
        if given is not None and not classes:
            if given.dtype.kind not in "US" or given.ndim != 1:
                raise DataError(str(path), "classes: texts", f"{given.dtype} {given.shape}")
            classes = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in given.tolist()]
    else:
        train, test = _read_pair(path, None if labels is None else Path(labels).expanduser(), most_bytes), None
        beside = counterpart(path)
        if beside is not None and labels is None:
            test = _read_pair(beside, None, most_bytes)
    return assemble(
        path,
        train,
        test,
        classes=() if regression else classes,
        regression=regression,
        image_shape=image_shape,
        channels_first=channels_first,
        test_share=test_share,
        seed=seed,
    )


def _named(arrays: dict[str, Host], names: Sequence[tuple[str, str]]) -> tuple[Host, Host] | None:
    return next(((arrays[x], arrays[y]) for x, y in names if x in arrays and y in arrays), None)


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


def _read_npz(path: Path, most_bytes: int) -> dict[str, Host]:
    """The arrays of known names in a .npz file, by name; others are not read."""
    try:
        with path.open("rb") as file:
            return _members(str(path), file, most_bytes)
    except OSError as error:
        raise FileError(str(path), "a readable file", error.strerror or str(error)) from error


def _members(who: str, file: IO[bytes], most_bytes: int) -> dict[str, Host]:
    wanted = {name for pair in (*_TRAIN, *_TEST) for name in pair} | {*_CLASSES}
    size = os.fstat(file.fileno()).st_size
    arrays: dict[str, Host] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name not in wanted or name in arrays:
                    continue
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
                    remedy = "np.savez it again"
                    raise FormatError(f"{who}: {name}", "a member that is stored or deflated", "another kind", remedy)
                if member.file_size > min(size * _DEFLATE_LIMIT, most_bytes + 2**16):
                    raise FormatError(f"{who}: {name}", f"at most {most_bytes} bytes", str(member.file_size))
                with archive.open(member) as contents:
                    arrays[name] = read_array(f"{who}: {name}", contents, member.file_size, most_bytes)
                most_bytes -= arrays[name].nbytes
    except XpcnnError:
        raise
    except Exception as error:  # whatever the reader stumbles over, the file is at fault
        raise FormatError(who, "a whole .npz archive", str(error), "get the file again") from error
    return arrays
