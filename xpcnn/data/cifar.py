"""CIFAR-10 and CIFAR-100: colour photographs. Found on this machine, or downloaded once.

The binary archives are read member by member, by name, and never unpacked to disk. A member consists of records of

    bytes   meaning
    1       cifar10: the class;  cifar100: the coarse class
    1       cifar100 only: the fine class
    3072    the image, red, green and blue one after the other, each 32 rows of 32

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import FileError, FormatError
from .dataset import Dataset
from .download import RemoteFile
from .locations import Folder, Mirrors, RemoteFiles
from .scale import BYTE
from .split import Split

_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR10 = RemoteFiles(
    "cifar10",
    (
        RemoteFile(
            "cifar-10-binary.tar.gz",
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ("cifar-10-batches-bin",),
        ),
    ),
    _MIRRORS,
    ("", "cifar10"),
)
CIFAR100 = RemoteFiles(
    "cifar100",
    (
        RemoteFile(
            "cifar-100-binary.tar.gz",
            168513733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ("cifar-100-binary",),
        ),
    ),
    _MIRRORS,
    ("", "cifar100"),
)
_PIXELS = 3 * 32 * 32
_MOST_BYTES = 256 * 2**20  # of an unpacked archive; the real ones have 177 MiB

CLASSES10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip
FINE = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


def cifar10(folder: Folder = None, *, mirrors: Mirrors = None) -> Dataset:
    """CIFAR-10, photographs in ten classes: images (N, 32, 32, 3) of uint8, 50,000 to train and 10,000 to test on.

    Parameters
        folder : where cifar-10-binary.tar.gz is, or the unpacked folder cifar-10-batches-bin, or where to put the
            download; by default xpcnn searches XPCNN_DATA, its subfolder cifar10, and the user's cache
        mirrors : addresses of folders to download it from if it is not found, instead of the known one
    Raises
        DataError : a folder does not exist, or the file is not found and cannot be downloaded
        FormatError : the file is not the expected one
        MissingExtraError : a download would need pooch

    >>> cifar10().train  # doctest: +SKIP
    Split(50000 images (32, 32, 3), labels 0 … 9)
    """
    (path,) = CIFAR10.fetch(folder, mirrors)
    *train, test = _read(path, (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"), labels=1)
    return Dataset("cifar10", _split(b"".join(train), 1, 0), _split(test, 1, 0), CLASSES10)


def cifar100(folder: Folder = None, *, coarse: bool = False, mirrors: Mirrors = None) -> Dataset:
    """CIFAR-100, photographs in a hundred classes: images (N, 32, 32, 3), 50,000 to train and 10,000 to test on.

    Parameters
        coarse : the twenty groups of classes as labels
        folder, mirrors : as of `cifar10`; the file is cifar-100-binary.tar.gz, the folder cifar-100-binary
    Raises
        as `cifar10`

    >>> cifar100().train  # doctest: +SKIP
    Split(50000 images (32, 32, 3), labels 0 … 99)
    """
    (path,) = CIFAR100.fetch(folder, mirrors)
    train, test = (
        _split(records, 2, 0 if coarse else 1) for records in _read(path, ("train.bin", "test.bin"), labels=2)
    )
    return Dataset("cifar100", train, test, COARSE if coarse else FINE)


def _split(records: bytes, labels: int, label: int) -> Split:
    table = np.frombuffer(records, np.uint8).reshape(-1, labels + _PIXELS)  # (N, 3073 or 3074)
    images = table[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (N, 32, 32, 3)
    return Split(np.ascontiguousarray(images), table[:, label].astype(np.int64), BYTE)


def _read(path: Path, names: tuple[str, ...], labels: int) -> list[bytes]:
    """The contents of the members with these names, each made of whole records."""
    try:
        found = _from_folder(path, names) if path.is_dir() else _from_archive(path, names)
    except FormatError:
        raise
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, OverflowError) as error:
        raise FormatError(str(path), "a whole .tar.gz archive", str(error), "get the file again") from None
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    for name in names:
        if name not in found:
            raise FormatError(str(path), f"a file {name}", "none", "check which archive it is")
        if not found[name] or len(found[name]) % (labels + _PIXELS):
            expected = f"{name} of records of {labels + _PIXELS} bytes"
            raise FormatError(str(path), expected, f"{len(found[name])} bytes", "get the file again")
    return [found[name] for name in names]


def _from_folder(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    found = {}
    for name in names:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                found[name] = file.read(_MOST_BYTES)
    return found


def _from_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with gzip.open(path) as unzipped, tarfile.open(fileobj=_Limited(unzipped), mode="r|") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name not in names or name in found:
                continue
            if not member.isreg() or member.issparse() or not 0 <= member.size <= _MOST_BYTES:
                raise FormatError(str(path), f"{name}: a plain file of at most {_MOST_BYTES} bytes", "something else")
            contents = archive.extractfile(member)
            found[name] = b"" if contents is None else contents.read()
            if len(found) == len(names):
                break
    return found


class _Limited(io.RawIOBase):
    """A file that is refused beyond `_MOST_BYTES`, whatever its compressed form expands to."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file, self._left = file, _MOST_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        return data
