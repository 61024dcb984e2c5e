"""Data sets by name or by path, for the command line and for settings in files."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import OptionError
from ..options import did_you_mean, expanded
from ..typing import Shape
from .array_file import array_file
from .cifar import CIFAR10, CIFAR100, cifar10, cifar100
from .csv_file import csv_file
from .dataset import Dataset
from .digits import digits
from .hdf5_file import hdf5_file
from .image_folder import image_folder
from .locations import RemoteFiles
from .mask_folder import mask_folder
from .mask_pairs import mask_layout
from .mnist import FASHION_MNIST, KMNIST, MNIST, fashion_mnist, kmnist, mnist
from .option_types import check_options
from .picture_table import picture_table
from .signs import SIGNS, signs
from .splits import Parts
from .table_columns import is_of_pictures
from .table_file import is_table
from .tar_shards import tar_shards


@dataclass(frozen=True)
class Entry:
    """A data set with a name.

    Parameters
        make : its function
        train, test : the numbers of images;  input_shape : one image's shape;  classes : the number of classes
        source : its files; None if they come with xpcnn
    """

    make: Callable[..., Dataset]
    train: int
    test: int
    input_shape: Shape
    classes: int
    source: RemoteFiles | None = None


KNOWN = {
    "digits": Entry(digits, 1437, 360, (8, 8, 1), 10),
    "mnist": Entry(mnist, 60000, 10000, (28, 28, 1), 10, MNIST),
    "fashion_mnist": Entry(fashion_mnist, 60000, 10000, (28, 28, 1), 10, FASHION_MNIST),
    "kmnist": Entry(kmnist, 60000, 10000, (28, 28, 1), 10, KMNIST),
    "cifar10": Entry(cifar10, 50000, 10000, (32, 32, 3), 10, CIFAR10),
    "cifar100": Entry(cifar100, 50000, 10000, (32, 32, 3), 100, CIFAR100),
    "signs": Entry(signs, 1080, 120, (64, 64, 3), 6, SIGNS),
}
# By a file's ending.
READERS: dict[str, Callable[..., Dataset]] = {
    ".npz": array_file,
    ".npy": array_file,
    ".csv": csv_file,
    ".csv.gz": csv_file,
    ".tsv": csv_file,
    ".tsv.gz": csv_file,
    ".tar": tar_shards,
    ".h5": hdf5_file,
    ".hdf5": hdf5_file,
}


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name.

    >>> names()[:4]
    ('digits', 'mnist', 'fashion_mnist', 'kmnist')
    """
    return tuple(KNOWN)


def load(name_or_path: str | os.PathLike[str], **options: Any) -> Dataset:
    """The data set of that name, or the one in that file or folder.

    Parameters
        name_or_path : one of `names()`, or a folder of pictures (`image_folder`) or of pictures and masks
            (`mask_folder`), a table of pictures (`picture_table`) or of numbers (`csv_file`), a .npz or .npy file
            (`array_file`), a .h5 file (`hdf5_file`), or a .tar file or a folder of those (`tar_shards`)
        options : the arguments of its function, such as `folder` for mnist, or `size` for a folder of pictures
    Raises
        OptionError : no data set has that name or path, or its function does not take these arguments
        DataError : its files are missing, or do not hold labelled images
        FormatError : a file is broken;  FileError : it cannot be read

    >>> load("digits").name
    'digits'
    """
    make, arguments = _call(name_or_path, options)
    return make(*arguments, **options)


def load_parts(name_or_path: str | os.PathLike[str], **options: Any) -> Parts:
    """The contents of a file or folder, even if not enough for training: only a test set, or images of one class.

    `parts.test` is the part to test on, `parts.everything` all images, `parts.classes` their classes' names.

    Parameters, Raises
        as `load`

    >>> len(load_parts("digits").given)
    1437
    """
    make, arguments = _call(name_or_path, options)
    loaded: Dataset | Parts = inspect.unwrap(make)(*arguments, **options)
    if isinstance(loaded, Parts):
        return loaded
    return Parts(loaded.name, loaded.name, loaded.train, loaded.test, loaded.classes)


def _call(
    name_or_path: str | os.PathLike[str], options: dict[str, Any]
) -> tuple[Callable[..., Dataset], tuple[Any, ...]]:
    """The data set's function and its positional arguments, after checking that the function accepts the options."""
    arguments: tuple[Any, ...] = ()
    if str(name_or_path) in KNOWN:
        make = KNOWN[str(name_or_path)].make
    else:
        if not isinstance(name_or_path, str | os.PathLike) or not name_or_path:
            raise OptionError("load", "a name or a path", repr(name_or_path))
        path = expanded("load", name_or_path)
        make, arguments = reader_of(str(name_or_path), path, options), (path,)
    parameters = inspect.signature(make).parameters
    known = list(parameters)[len(arguments) :]
    if unknown := sorted(options.keys() - set(known)):
        raise OptionError(f"load {name_or_path}", "options among " + (", ".join(known) or "none"), ", ".join(unknown))
    check_options(f"load {name_or_path}", options, parameters)
    return make, arguments


def reader_of(name: str, path: Path, options: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Dataset]:
    """The function that reads what is at the path.

    Parameters
        options : that are given: masks are for a folder of pictures and masks, parts for one of classes, and image,
            folder, ending and split for a table of pictures
    Raises
        OptionError : the kind of file is unknown
    """
    if path.is_dir():
        if any(path.glob("*.tar")):
            return tar_shards
        return mask_folder if "masks" in options or ("parts" not in options and mask_layout(path)) else image_folder
    if path.is_file() and is_table(path):
        stated = not {"image", "folder", "ending", "split"}.isdisjoint(options)
        encoding = str(options.get("encoding", "utf-8"))
        return picture_table if stated or is_of_pictures(path, encoding) else csv_file
    if path.suffix.lower() in READERS and path.is_file():
        return READERS[path.suffix.lower()]
    forms = f"an existing folder of pictures or file ({' '.join(READERS)})"
    remedy = did_you_mean(name, KNOWN) or "xpcnn data list shows more"
    raise OptionError("load", f"one of {', '.join(KNOWN)}, or {forms}", repr(name), remedy)
