"""Reads the arguments of commands: model files, images as arrays, and classes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..data.picture import header, read_picture
from ..data.picture_scale import warn_of_dark_pictures, warn_of_stated_scale
from ..data.pixels import to_floats
from ..data.scale import BYTE, as_scale, scale_of, stored
from ..errors import DataError, OptionError, warn
from ..io.model_file import SavedModel, load_model
from ..io.npy import read_npy
from ..training.best_model import MODEL
from ..typing import NDArray, Shape

Image: TypeAlias = NDArray  # float32 (H, W, C)


def path_word(text: str) -> Path:
    """A word of the command line as a path. An empty word (an unset variable) is refused: Path would turn it into ".".

    Raises
        ArgumentTypeError : the word is empty
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty word")
    return Path(text)


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument `model`, for `model_path`."""
    parser.add_argument("model", type=path_word, help="a model.safetensors, or the folder of a run")


def add_pixel_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options `invert` and `scale`, for `images`."""
    parser.add_argument("--invert", action="store_true", help="swap dark and light: for dark ink on light paper")
    parser.add_argument("--scale", type=float, metavar="S", help="the number that is white (default: as in training)")


def model_path(path: Path) -> Path:
    """The model file at the path: the file itself, or the one in a run's folder."""
    return path / MODEL if path.is_dir() else path


def read_model(path: Path) -> SavedModel:
    """The network of a model file, or of a run's folder, after checking that it has one input and one output.

    Raises
        OptionError : it has several inputs or outputs;  FormatError, FileError : as `load_model`
    """
    saved = load_model(model_path(path))
    model = saved.model
    several = [model.arity != (1, 1) and "inputs", len(getattr(model, "outputs", ())) > 1 and "outputs"]
    if found := [each for each in several if each]:
        raise OptionError(str(path), "a network of one input and one output", f"several {found[0]}", "use it in Python")
    return saved


def images(
    path: Path, saved: SavedModel, *, invert: bool = False, scale: float | None = None
) -> Iterator[tuple[str, Image]]:
    """Each image in a file as (name, float32 (H, W, C)), in the model's shape, like its training images.

    A picture is resized (see `read_picture`). A `.npy` array must have the shape already, with or without a batch axis.

    Parameters
        invert : swap dark and light, 1 − x
        scale : the number to divide by, instead of that of `model_scale`
    Raises
        DataError : no such file, or the wrong shape or values;  FormatError : a broken file
        MissingExtraError : a picture, but Pillow is not installed
    """
    if not path.is_file():
        kind = "no such file" if not path.exists() else "a folder" if path.is_dir() else "no plain file"
        raise DataError(str(path), "a picture or a .npy array", kind, "check the name")
    if scale is not None:
        as_scale("--scale", scale)
    if invert and not saved.is_unit:
        raise OptionError("--invert", "a model of images in [0, 1]", "one of other numbers", "leave it out")
    if path.suffix.lower() == ".npy":
        numbers = _array(path, saved.input_shape)
        divisor = scale or _scale(str(path), numbers, saved)
    else:
        numbers, divisor = _picture(path, saved, scale)
    batch = to_floats(stored(str(path), numbers, divisor), divisor)
    names = [str(path)] if len(batch) == 1 else [f"{path}[{i}]" for i in range(len(batch))]
    yield from zip(names, 1 - batch if invert else batch, strict=True)


def class_number(text: str, classes: Sequence[str]) -> int:
    """The number of the class that `--target` states by its name or number.

    Raises
        OptionError : it is neither

    >>> class_number("dog", ("cat", "dog")), class_number("3", ())
    (1, 3)
    """
    if text in classes:
        return classes.index(text)
    if not text.isdecimal() or len(text) > 18:  # Python converts no integers of thousands of digits
        raise OptionError("--target", f"a class: {', '.join(classes[:20]) or 'a number'}", repr(text))
    return int(text)


def _array(path: Path, input_shape: Shape) -> Image:
    array: Image = read_npy(path)
    if array.shape == input_shape or array.shape == input_shape[:-1]:
        array = array[None]
    if array.shape[1:] == input_shape[:-1] and input_shape[-1] == 1:
        array = array[..., None]
    if array.shape[1:] != input_shape or not len(array):
        raise DataError(str(path), f"images {input_shape}, or a batch of them", str(array.shape))
    return array


def _picture(path: Path, saved: SavedModel, scale: float | None) -> tuple[NDArray, float]:
    """The picture in the model's shape, (1, H, W, C), and the number that it is divided by.

    It is uint8 with white at 255, or has its original numbers if white is another number.
    """
    who, bits = str(path), header(path, who=str(path)).bits
    height, width, channels = saved.input_shape
    own = scale
    if own is None and not (saved.is_unit and saved.scale in (1, BYTE)):
        own = None if saved.is_unit and saved.scale > BYTE and bits == 8 else saved.scale
    numbers = read_picture(path, size=(height, width), channels=channels, scale=own, who=who)[None]
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
            warn(who, what, "pass --scale, the number that stands for white")
        return scale
    if scale == BYTE:
        return scale_of(who, [numbers])
    _check_range(who, low, high, scale)
    return scale


def _check_range(who: str, low: float, high: float, scale: float) -> None:
    """Refuse numbers that the training images cannot have had."""
    if not (low >= 0 and high <= scale):
        expected = f"numbers from 0 to {scale:g}, as in training"
        raise DataError(who, expected, f"{low:zg} to {high:zg}", "pass --scale, the number that stands for white")


def _warn_of_raw_numbers(scale: float) -> None:
    """Warn of pixels for a model whose training images were not in [0, 1], such as standardised ones."""
    given = "as they are" if scale == 1 else f"divided by {scale:g} alone"
    what = f"the images that it was trained on were not in [0, 1], and pixels are given to it {given}"
    warn("model", what, "if those were prepared, such as standardised, prepare these alike, in a .npy array")


def _remedy(number: float) -> str:
    return f"pass --scale {number:g}, or what number is white"
