"""Images as a saved model takes them: in its shape, and divided as its training images were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..errors import DataError, OptionError, warn
from ..io.member import InMemory
from ..io.model_file import SavedModel
from ..io.npy import read_npy
from ..options import as_flag
from ..typing import NDArray
from .csv_file import csv_images
from .picture import header, read_picture
from .picture_files import ENDINGS
from .picture_scale import warn_of_dark_pictures, warn_of_stated_scale
from .pixels import to_floats
from .scale import BYTE, as_scale, scale_of, stored
from .table_file import is_table

Image: TypeAlias = NDArray  # float32 (H, W, C)
_STATE = "pass scale= (to a command, --scale), the number that stands for white"


def images_in(
    path: Path | InMemory, saved: SavedModel, *, invert: bool = False, scale: float | None = None
) -> Iterator[tuple[str, Image]]:
    """Each image in a file as (name, float32 (H, W, C)).

    A picture is resized as in training. A `.npy` array must have the shape already, with or without a batch axis. A
    table (.csv) has the numbers of an image in a row; columns of labels and ids are left out.

    Parameters
        invert : swap dark and light, 1 − x
        scale : the number to divide by, instead of that of the training
    Raises
        DataError : no such file, or the wrong shape or values;  FormatError : a broken file
        OptionError : an option is invalid, or does not fit the model
        MissingExtraError : a picture, but Pillow is not installed
    """
    if isinstance(path, Path) and not path.is_file():
        kind = "no such file" if not path.exists() else "a folder" if path.is_dir() else "no plain file"
        raise DataError(str(path), "a picture or a .npy array", kind, "check the name")
    if isinstance(path, Path) and path.suffix.lower() == ".npy":
        batch = images_of(str(path), read_npy(path), saved, invert=invert, scale=scale)
    elif isinstance(path, Path) and is_table(path):
        numbers = csv_images(path, saved.input_shape)
        batch = images_of(str(path), numbers, saved, invert=invert, scale=scale)
    else:
        _check(saved, invert, scale)
        numbers, divisor = _picture(path, saved, scale)
        batch = _floats(str(path), numbers, divisor, invert)
    names = [str(path)] if len(batch) == 1 else [f"{path}[{i}]" for i in range(len(batch))]
    yield from zip(names, batch, strict=True)


def picture_size(name: str) -> tuple[int, int] | None:
    """Height and width of the picture of that name, or None if the name is that of an array's image."""
    return header(Path(name), who=name).shape if name.lower().endswith(ENDINGS) and Path(name).is_file() else None


def images_of(
    who: str, array: NDArray, saved: SavedModel, *, invert: bool = False, scale: float | None = None
) -> NDArray:
    """An array of one image or several, as float32 (N, H, W, C).

    Raises
        DataError : the wrong shape or values;  OptionError : an option is invalid, or does not fit the model
    """
    _check(saved, invert, scale)
    numbers = _batch(who, array, saved)
    return _floats(who, numbers, scale or _scale(who, numbers, saved), invert)


def _check(saved: SavedModel, invert: bool, scale: float | None) -> None:
    if scale is not None:
        as_scale("scale", scale)
    if as_flag("images", "invert", invert) and not saved.is_unit:
        raise OptionError("invert", "a model of images in [0, 1]", "one of other numbers", "leave it out")


def _floats(who: str, numbers: NDArray, divisor: float, invert: bool) -> NDArray:
    batch = to_floats(stored(who, numbers, divisor), divisor)
    return 1 - batch if invert else batch


def _batch(who: str, array: NDArray, saved: SavedModel) -> NDArray:
    input_shape = saved.input_shape
    if array.shape == input_shape or array.shape == input_shape[:-1]:
        array = array[None]
    if array.shape[1:] == input_shape[:-1] and input_shape[-1] == 1:
        array = array[..., None]
    if array.shape[1:] != input_shape or not len(array):
        raise DataError(who, f"images {input_shape}, or a batch of them", str(array.shape))
    return array


def _picture(path: Path | InMemory, saved: SavedModel, scale: float | None) -> tuple[NDArray, float]:
    """The picture in the model's shape, (1, H, W, C), and the number that it is divided by.

    It is uint8 with white at 255, or has its original numbers if white is another number.
    """
    if len(saved.input_shape) != 3:
        raise DataError(str(path), f"an array {saved.input_shape}, which the model takes", "a picture")
    who, bits = str(path), header(path, who=str(path)).bits
    height, width, channels = saved.input_shape
    own = scale
    if own is None and not (saved.is_unit and saved.scale in (1, BYTE)):
        own = None if saved.is_unit and saved.scale > BYTE and bits == 8 else saved.scale
    options: dict[str, Any] = {"size": (height, width), "resize": saved.resize, "channels": channels, "scale": own}
    numbers = read_picture(path, who=who, **options)[None]
    if own is None:
        warn_of_dark_pictures(who, numbers, bits, _remedy)
        return numbers, BYTE
    if scale is None and saved.is_unit:
        _check_range(who, float(numbers.min()), float(numbers.max()), own)
    elif scale is not None:
        warn_of_stated_scale(who, numbers, bits, own, _remedy)
    elif bits <= 16:
        _warn_of_raw_numbers(own)
    return numbers, own


def _scale(who: str, numbers: NDArray, saved: SavedModel) -> float:
    """The number that an array is divided by, so that its numbers are like the model's training images."""
    scale = saved.scale
    low, high = float(numbers.min()), float(numbers.max())
    if not saved.is_unit:
        if numbers.dtype == np.uint8:
            _warn_of_raw_numbers(scale)
        return scale
    if numbers.dtype == np.bool_ or (numbers.dtype.kind == "f" and low >= 0 and high <= 1):
        return 1.0
    if scale == 1 or (numbers.dtype == np.uint8 and scale > BYTE):
        return scale_of(who, [numbers])
    if low >= 0 and high <= scale:
        if scale == BYTE and 0 < high < BYTE / 2:
            what = f"images are divided by {BYTE:g}, as in training, but the largest number is {high:g}"
            warn(who, what, _STATE)
        return scale
    if scale == BYTE:
        return scale_of(who, [numbers])
    _check_range(who, low, high, scale)
    return scale


def _check_range(who: str, low: float, high: float, scale: float) -> None:
    """Refuse numbers that the training images cannot have had."""
    if not (low >= 0 and high <= scale):
        expected = f"numbers from 0 to {scale:g}, as in training"
        raise DataError(who, expected, f"{low:zg} to {high:zg}", _STATE)


def _warn_of_raw_numbers(scale: float) -> None:
    """Warn of pixels for a model whose training images were not in [0, 1], such as standardised ones."""
    given = "as they are" if scale == 1 else f"divided by {scale:g} alone"
    what = f"the images that it was trained on were not in [0, 1], and pixels are given to it {given}"
    warn("model", what, "if those were prepared, such as standardised, prepare these alike, in a .npy array")


def _remedy(number: float) -> str:
    return f"pass scale={number:g} (to a command, --scale), or what number is white"
