"""Pictures beside masks, a class for each pixel: images/1.jpg and masks/1.png."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError
from ..options import as_choice, as_count, as_names, expanded, repeated
from ..typing import NDArray, Pair
from .decode import Reading
from .mask_file import MaskReading, as_classes
from .mask_pairs import Folders, mask_layout, pairs_of
from .part_names import parts_of
from .picture import header
from .pictures import read_pictures
from .source import Items, Mapped, Source
from .split import Split
from .splits import TEST_FRACTION, Parts, reader

_WHO, _BORDER = "mask_folder", 255


@reader
def mask_folder(
    folder: str | os.PathLike[str],
    *,
    masks: str | os.PathLike[str] | None = None,
    classes: Sequence[str] = (),
    values: Sequence[int] = (),
    ignore_index: int | None = None,
    size: Pair | None = None,
    resize: str = "squash",
    channels: int | None = None,
    scale: float | None = None,
    missing: str = "error",
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    source: str | None = None,
    most_bytes: int | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Parts:
    """Pictures, and for each a mask that has the class of every pixel: images (N, H, W, C), labels (N, H, W).

    The folder has images and masks (or annotations, labels, SegmentationClass …); or train_images and train_masks, and
    so on; or such folders in train, val and test. A mask has its picture's name, and may have _mask or a similar word
    behind it. It is a palette or grey PNG (or another format without loss): the palette's index, or the grey number, is
    the class. It fits the picture as people see it, turned by what its camera says (EXIF).

    Parameters
        masks : the folder of masks, if the first one holds the pictures alone
        classes : the classes' names; by default they are 0, 1, 2 …, and each must occur
        values : the number that stands for each class in the masks, such as [0, 255]; by default 0, 1, 2 …
        ignore_index : the number of pixels that do not count, such as 255
        size, channels, scale, source, most_bytes, cache : see `image_folder`; masks are read likewise
        resize : "squash", "crop" or "pad", see `data.resizing`; masks take the nearest pixel's class. Padding has the
            class `ignore_index`
        missing : "skip" leaves pictures without a mask out, with a warning
        test_fraction, seed : of all pictures, to test on, unless there are parts; see `hold_out`
    Raises
        DataError : a mask is missing, doubled or of another size, or has a number that is no class
        FormatError : a file is broken, or a mask has colours;  OptionError : an option makes no sense
        FileError : there is no room for the cache;  MissingExtraError : Pillow is not installed

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in range(10):
    ...     for kind, shape in (("images", (8, 8, 3)), ("masks", (8, 8))):
    ...         (folder / kind).mkdir(exist_ok=True)
    ...         pixels = np.full(shape, 250 if kind == "images" else number % 2, np.uint8)
    ...         Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    >>> mask_folder(folder).train.labels.shape
    (8, 8, 8)
    """
    root = expanded(_WHO, folder)
    reading = Reading.checked(
        _WHO,
        size=size,
        resize=resize,
        channels=channels,
        scale=scale,
        source=source,
        most_bytes=most_bytes,
        cache=cache,
    )
    names, numbers = _names_and_values(classes, values)
    as_choice(_WHO, "missing", missing, ("error", "skip"))
    if ignore_index is not None and as_count(_WHO, "ignore_index", ignore_index, least=0) > _BORDER:
        raise OptionError(_WHO, "ignore_index from 0 to 255", str(ignore_index))
    if ignore_index in numbers:
        raise OptionError(_WHO, "ignore_index that is none of the values", str(ignore_index))
    if resize == "pad" and ignore_index is None:
        remedy = "pass ignore_index=255; to a command, --option ignore_index=255"
        raise OptionError(_WHO, "ignore_index, for the border of padded masks", "none", remedy)
    pairs = pairs_of(_layout(root, masks), skip=missing == "skip")
    _check_sizes(pairs.images, pairs.masks)
    name = root.resolve().name
    images, _ = read_pictures(pairs.images, name, reading)
    border = _BORDER if ignore_index is None else ignore_index
    read, _ = read_pictures(pairs.masks, f"{name}-masks", MaskReading.of(reading, border))
    told = list(map(str, pairs.masks))
    named, table = as_classes(str(root), read, told, classes=names, values=numbers, ignore_index=ignore_index)
    look_up = partial(_looked_up, table=table)
    labels: Items = Mapped(read, look_up) if isinstance(read, Source) else look_up(read)
    label = _BORDER if numbers and ignore_index is not None else ignore_index
    everything = Split(images, labels, reading.white, channels_first=False, ignore_index=label, resize=resize)
    train, test = parts_of(pairs.kinds)
    given, stated = (everything.select(np.array(part)) if part else None for part in (train, test))
    found = "train and test by the names of folders" if test else ""
    return Parts(str(root), name, given, stated, named, found, test_fraction, seed, "two classes at least")


def _layout(root: Path, masks: str | os.PathLike[str] | None) -> list[Folders]:
    if not root.is_dir():
        raise DataError(_WHO, "a folder that exists", f"'{root}'", "correct the name")
    if masks is not None:
        of_masks = expanded(_WHO, masks)
        if not of_masks.is_dir():
            raise DataError(_WHO, "masks: a folder that exists", f"'{of_masks}'", "correct the name")
        return [Folders("", root, of_masks)]
    if layout := mask_layout(root):
        return layout
    remedy = "call them so, or pass masks=, the folder of masks; to a command, --option masks=PATH"
    raise DataError(str(root), "folders of images and of masks in it", "none of such names", remedy)


def _names_and_values(classes: Sequence[str], values: Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if isinstance(classes, str):
        raise OptionError(_WHO, "classes: names", repr(classes), 'write ["road", "tree"]')
    names = as_names(_WHO, "classes", classes, distinct=True)
    numbers = tuple(as_count(_WHO, "values", value, least=0) for value in values)
    if numbers and (max(numbers) > _BORDER or len(numbers) > _BORDER or repeated(list(map(str, numbers))) is not None):
        raise OptionError(_WHO, "values: different numbers from 0 to 255, one a class", repr(list(numbers)))
    if names and numbers and len(names) != len(numbers):
        raise OptionError(_WHO, f"{len(names)} values, one of each class", str(len(numbers)))
    return tuple(names), numbers


def _check_sizes(images: Sequence[Path], masks: Sequence[Path]) -> None:
    """Refuse a mask that has not the size of its picture."""
    for image, mask in zip(images, masks, strict=True):
        one, other = header(image, who=_WHO).shape, header(mask, who=_WHO).shape
        if one != other:
            expected = f"a mask of {one[0]}×{one[1]}, as its picture {image.name}"
            raise DataError(str(mask), expected, f"{other[0]}×{other[1]}", "export it in the picture's size")


def _looked_up(masks: NDArray, table: NDArray) -> NDArray:
    """The classes (N, H, W) of masks (N, H, W, 1)."""
    return table[masks[..., 0]]
