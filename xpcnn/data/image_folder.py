"""Pictures in folders, one a class: folder/cat/1.jpg, folder/dog/2.png, or folder/train/cat/… and folder/test/cat/…"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, OptionError
from ..options import as_pair, as_path
from ..typing import Host, Pair, Shape
from .dataset import Split
from .folder_parts import FolderParts, folder_parts, subfolders
from .parts import MOST_BYTES, TEST_FRACTION, Parts, reader
from .picture import is_grey, read_picture

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_THREADS = 4  # that decode; Pillow does it outside the interpreter's lock


@reader
def image_folder(
    folder: str | os.PathLike[str],
    *,
    size: Pair | None = None,
    channels: int | None = None,
    parts: bool | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Parts:
    """Pictures in folders, one a class: images (N, H, W, C) of uint8, the classes in the order of their names.

    Subfolders that are called train and test, and hold the classes, are the parts, under these names or others of the
    kind: Training, seg_train, train_set, trn, train2017; testing, tst, eval; val, valid, validation, dev. Where there
    are both test and val, test is to test on, and val is left alone. Without a part to test on, a fraction of each
    class is held out, chosen by what the pictures hold: see `hold_out`. What only may be a part is refused.

    Pictures are .png, .jpg, .jpeg, .bmp, .gif, .webp, .tif and .tiff, in subfolders of a class's folder as well; hidden
    files, links to such subfolders, and files of other kinds are passed over.

    Parameters
        size : pixels to resize to, one number for squares or (height, width), bicubically, whatever shape a picture
            had; it can be left out where all pictures are of one size
        channels : 1 for grey, 3 for RGB; by default 1 if all pictures are grey
        parts : False if each subfolder is a class, even if it is called test
        test_fraction : of each class, to test on
        seed : of that choice
        most_bytes : refuse to hold more in memory
    Raises
        DataError : fewer than two classes, a class without pictures, pictures of several sizes, or folders that may
            be parts or classes
        FormatError : a picture is broken;  OptionError : an option makes no sense
        MissingExtraError : Pillow is not installed
    """
    root = as_path("image_folder", folder).expanduser()
    shape = None if size is None else as_pair("image_folder", "size", size)
    if channels not in (None, 1, 3):
        raise OptionError("image_folder", "channels: 1 for grey, 3 for RGB", repr(channels))
    if not root.is_dir():
        raise DataError("image_folder", "a folder that exists", f"'{root}'", "correct the name")
    train_root, test_root, found = FolderParts(root, None) if parts is False else folder_parts(root, _has_pictures)
    train, test = ({} if place is None else _classes(place) for place in (train_root, test_root))
    if train and (unknown := sorted(test.keys() - train.keys())):
        raise DataError(str(test_root), f"classes that {train_root} has", ", ".join(unknown), "add them there")
    names = tuple(train or test)
    pictures = [(path, names.index(name)) for part in (train, test) for name, paths in part.items() for path in paths]
    paths = [path for path, _ in pictures]
    if channels is None:
        channels = _channels(paths)
    if shape is not None:
        _check_bytes(len(paths), (*shape, channels), most_bytes)
    images = _read(paths, partial(read_picture, size=shape, channels=channels, who="image_folder"), most_bytes)
    everything = Split(images, np.array([label for _, label in pictures], np.int64))
    ends = sum(map(len, train.values()))
    given, stated = (
        everything.select(slice(*ends)) if part else None for part, ends in ((train, (ends,)), (test, (ends, None)))
    )
    needed = "two folders of pictures at least, one a class"
    return Parts(str(train_root or root), root.resolve().name, given, stated, names, found, test_fraction, seed, needed)


def _has_pictures(folder: Path) -> bool:
    """Whether there are pictures in the folder itself."""
    return any(path.suffix.lower() in ENDINGS and not path.name.startswith(".") for path in folder.iterdir())


def _classes(root: Path) -> dict[str, list[Path]]:
    """Each class's pictures, both in the order of their names."""
    folders = subfolders(root)
    if not folders:
        raise DataError(str(root), "a folder of pictures for each class", "none", "sort the pictures into such folders")
    found = {folder.name: sorted(pictures(folder)) for folder in folders}
    if empty := [name for name, paths in found.items() if not paths]:
        raise DataError(
            str(root), f"pictures ({' '.join(ENDINGS)}) of each class", f"none in {', '.join(empty)}", "take it away"
        )
    return found


def pictures(folder: Path) -> list[Path]:
    """The picture files in a folder and its subfolders, by name; hidden ones are passed over."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")]
    return sorted(found)


def _channels(paths: list[Path]) -> int:
    return 1 if all(_in_threads(partial(is_grey, who="image_folder"), paths)) else 3


def _read(paths: list[Path], read: Callable[[Path], Host], most_bytes: int) -> Host:
    """All pictures, (N, H, W, C), which have the first one's size."""
    first = read(paths[0])  # (H, W, C)
    _check_bytes(len(paths), first.shape, most_bytes)
    images = np.empty((len(paths), *first.shape), np.uint8)

    def place(i: int) -> None:
        image = read(paths[i])
        if image.shape != first.shape:
            got = f"{_size(first.shape)} ({paths[0]}) and {_size(image.shape)} ({paths[i]})"
            raise DataError(
                "image_folder", "pictures of one size", got, "pass size=64 or another; to a command, --option size=64"
            )
        images[i] = image

    _in_threads(place, range(len(paths)))
    return images


def _check_bytes(count: int, shape: Shape, most_bytes: int) -> None:
    if (needed := count * math.prod(shape)) > most_bytes:
        got = f"{needed} for {count} pictures of {_size(shape)}"
        raise DataError("image_folder", f"at most {most_bytes} bytes", got, "pass a smaller size, or most_bytes")


def _in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    pool = ThreadPoolExecutor(_THREADS)
    try:
        return list(pool.map(function, items))
    finally:  # after an error, or Ctrl-C, what has not begun is left
        pool.shutdown(cancel_futures=True)


def _size(shape: Shape) -> str:
    return f"{shape[0]}×{shape[1]}"
