"""Pictures in folders, one per class: folder/cat/1.jpg, folder/dog/2.png; or folder/train/cat/…, folder/test/cat/…"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..options import expanded
from ..typing import Pair
from .decode import Reading
from .folder_parts import FolderParts, folder_parts, subfolders
from .picture_files import ENDINGS, find_pictures, say_passed_over
from .pictures import read_pictures
from .split import Split
from .splits import TEST_FRACTION, Parts, reader


@reader
def image_folder(
    folder: str | os.PathLike[str],
    *,
    size: Pair | None = None,
    resize: str = "squash",
    channels: int | None = None,
    scale: float | None = None,
    broken: str = "error",
    parts: bool | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    source: str | None = None,
    most_bytes: int | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Parts:
    """Pictures in folders, one per class: images (N, H, W, C) of uint8, the classes in the order of their names.

    Subfolders called train and test that hold the classes are the parts. They may have similar names: Training,
    seg_train, train_set, trn, train2017; testing, tst, eval; val, valid, validation, dev. If there are both test and
    val, test is to test on, and val is ignored. Without a part to test on, a fraction of each class is held out, chosen
    by the contents of the pictures: see `hold_out`. A subfolder that may be a part, but not clearly, is refused.

    Pictures are the files with one of the `ENDINGS` (.png, .jpg, .webp, .avif …), also in subfolders of a class's
    folder. Hidden files are ignored; links to such subfolders, and files of other kinds, are ignored with a warning.

    Parameters
        size : pixels to resize to, one number for squares or (height, width), bicubically; optional if all pictures
            are of one size
        resize : what happens to pictures of other proportions: "squash", "crop" or "pad", see `data.resizing`
        channels : 1 for grey, 3 for RGB; by default 1 if all pictures are grey
        scale : the number that stands for white, such as 4095 for a camera's 12 bits. Pictures of 32 bits or of floats
            require it; no picture may have too few bits to hold it. By default that of the picture's type, 255 or
            65535
        broken : "skip" leaves pictures that cannot be read out, with a warning
        parts : False if each subfolder is a class, even if it is called test
        test_fraction : of each class, to test on
        seed : of that choice
        source : "memory" decodes all pictures at the beginning; "cache" does so once and for all, into a file on the
            disk, from which they are read; "disk" decodes a picture whenever it is needed. All give the same bits. By
            default memory for up to 512 MiB of pixels, otherwise a cache, or disk if there is no room for that
        most_bytes : refuse to hold more in memory, instead of reading from a disk
        cache : the folder for caches, by default the user's; also for what is known of each picture on disk
    Raises
        DataError : fewer than two classes, a class without pictures, pictures of several sizes, or folders that may
            be parts or classes
        FormatError : pictures are broken;  OptionError : an option makes no sense
        FileError : there is no room for the cache
        MissingExtraError : Pillow is not installed

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in range(10):
    ...     place = folder / ("dark" if number % 2 else "light")
    ...     place.mkdir(exist_ok=True)
    ...     Image.new("L", (8, 8), number * 28).save(place / f"{number}.png")
    >>> dataset = image_folder(folder)
    >>> dataset.classes, len(dataset.train), len(dataset.test)
    (('dark', 'light'), 8, 2)
    """
    root = expanded("image_folder", folder)
    reading = Reading.checked(
        "image_folder",
        size=size,
        resize=resize,
        channels=channels,
        scale=scale,
        broken=broken,
        source=source,
        most_bytes=most_bytes,
        cache=cache,
    )
    if not root.is_dir():
        raise DataError("image_folder", "a folder that exists", f"'{root}'", "correct the name")
    train_root, test_root, found = FolderParts(root, None) if parts is False else folder_parts(root, _has_pictures)
    others: list[Path] = []
    train, test = ({} if place is None else _classes(place, others) for place in (train_root, test_root))
    if train and (unknown := sorted(test.keys() - train.keys())):
        raise DataError(str(test_root), f"classes that {train_root} has", ", ".join(unknown), "add them there")
    names = tuple(train or test)
    pictures = [(path, names.index(name)) for part in (train, test) for name, paths in part.items() for path in paths]
    images, kept = read_pictures([path for path, _ in pictures], root.resolve().name, reading)
    say_passed_over(str(root), others)
    labels = np.array([label for _, label in pictures], np.int64)[kept]
    if lost := [name for i, name in enumerate(names) if i not in labels]:
        raise DataError(str(root), "pictures that can be read of each class", f"none in {', '.join(lost)}")
    everything = Split(images, labels, reading.white, channels_first=False, resize=resize)
    ends = int(np.searchsorted(kept, sum(map(len, train.values()))))
    given, stated = (
        everything.select(slice(*at)) if part else None for part, at in ((train, (ends,)), (test, (ends, None)))
    )
    needed = "two folders of pictures at least, one a class"
    return Parts(str(train_root or root), root.resolve().name, given, stated, names, found, test_fraction, seed, needed)


def _has_pictures(folder: Path) -> bool:
    """True if there are pictures in the folder itself."""
    return any(path.suffix.lower() in ENDINGS and not path.name.startswith(".") for path in folder.iterdir())


def _classes(root: Path, others: list[Path]) -> dict[str, list[Path]]:
    """Each class's pictures, both in the order of their names; ignored files are added to `others`."""
    folders = subfolders(root)
    if not folders:
        raise DataError(str(root), "a folder of pictures for each class", "none", "sort the pictures into such folders")
    found = {}
    for folder in folders:
        found[folder.name], passed = find_pictures(folder)
        others += passed
    beside = (path for path in root.iterdir() if not (path.is_dir() or path.name.startswith(".")))
    others += sorted(path for path in beside if path.name.lower().endswith(ENDINGS))
    if empty := [name for name, paths in found.items() if not paths]:
        raise DataError(
            str(root), f"pictures ({' '.join(ENDINGS)}) of each class", f"none in {', '.join(empty)}", "take it away"
        )
    return found
