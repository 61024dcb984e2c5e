"""What commands are given: model files, images as arrays, and classes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..data.picture import read_picture
from ..data.pixels import to_floats
from ..errors import DataError, OptionError
from ..io.npy import read_npy
from ..training.best_model import MODEL
from ..typing import Host, Shape

Image: TypeAlias = Host  # float32 (H, W, C) in [0, 1]


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """The argument `model`, which `model_path` takes."""
    parser.add_argument("model", type=Path, help="a model.safetensors, or the folder of a run")


def add_invert_argument(parser: argparse.ArgumentParser) -> None:
    """The option `invert`."""
    parser.add_argument("--invert", action="store_true", help="swap dark and light: for dark ink on light paper")


def model_path(path: Path) -> Path:
    """The model file that the path means: itself, or the one in that run's folder."""
    return path / MODEL if path.is_dir() else path


def images(path: Path, input_shape: Shape) -> Iterator[tuple[str, Image]]:
    """Each image in a file as (name, float32 (H, W, C) in [0, 1]), in the model's shape.

    A picture is brought to the shape (see `read_picture`). A `.npy` array must have it already, alone or in a
    batch; uint8 is divided by 255, floats must lie in [0, 1].

    Raises
        DataError : no such file, or the wrong shape or values;  FormatError : broken
        MissingExtraError : a picture, without Pillow
    """
    if not path.is_file():
        raise DataError(str(path), "a picture or a .npy array", "no such file", "check the name")
    if path.suffix == ".npy":
        batch = _array(path, input_shape)
        names = [str(path)] if len(batch) == 1 else [f"{path}[{i}]" for i in range(len(batch))]
        yield from zip(names, batch, strict=True)
    else:
        yield str(path), _picture(path, input_shape)


def class_number(text: str, classes: Sequence[str]) -> int:
    """The number of the class that `--target` names, or gives by its number.

    Raises
        OptionError : it does neither

    >>> class_number("dog", ("cat", "dog")), class_number("3", ())
    (1, 3)
    """
    if text in classes:
        return classes.index(text)
    if not text.isdecimal() or len(text) > 18:  # Python makes no integers of thousands of digits
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
    if array.dtype == np.uint8:
        return to_floats(array)
    if array.dtype.kind != "f" or not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise DataError(str(path), "uint8, or floats in [0, 1]", f"{array.dtype} in {array.min()} … {array.max()}")
    return array.astype(np.float32)


def _picture(path: Path, input_shape: Shape) -> Image:
    height, width, channels = input_shape
    return to_floats(read_picture(path, size=(height, width), channels=channels, who=str(path)))
