"""The data sets that commands are given: by name or path, with options, and as a saved model wants them."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import data
from ..data.dataset import Dataset, Split
from ..data.registry import READERS
from ..errors import DataError, OptionError
from ..io.model_file import SavedModel, load_model
from ..training.config import CONFIG, read_config
from .files import model_path


def add_dataset_arguments(parser: argparse.ArgumentParser, **options: Any) -> None:
    """The arguments `dataset`, and `option`, whose values `dataset_options` reads."""
    parser.add_argument(
        "dataset", help=f"{', '.join(data.names())}, a folder of pictures, or a file ({' '.join(READERS)})", **options
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for a data set's function, such as size=64 for a folder of pictures; may be given several times",
    )


def dataset_options(words: Sequence[str]) -> dict[str, Any]:
    """The options of a data set from words NAME=VALUE; a value is in JSON or in Python, or else a text.

    Raises
        OptionError : a word is not of that form

    >>> dataset_options(["size=[32, 48]", "coarse=true", "label=kind"])
    {'size': [32, 48], 'coarse': True, 'label': 'kind'}
    >>> dataset_options(["image_shape=(28, 28, 1)", "size=32,48", "channels_first=False"])
    {'image_shape': (28, 28, 1), 'size': (32, 48), 'channels_first': False}
    """
    options = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (equals and name.isidentifier()):
            raise OptionError("--option", "NAME=VALUE, such as size=64", repr(word))
        options[name] = _value(text)
    return options


def _value(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):  # messages say True and (H, W, C), as Python does
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text


def model_and_dataset(model: Path, name: str, words: Sequence[str]) -> tuple[SavedModel, Dataset]:
    """A saved model, and a data set in its image size and with its numbers of the classes.

    Pictures are brought to the model's size. Of the data set that a run was trained on, the options are the run's, so
    that the images held out for testing are the same ones. Classes are known by their names.

    Raises
        DataError : the images have another size, or a class that the model does not know
    """
    saved = load_model(model_path(model))
    dataset = data.load(name, **_options(model, saved, name) | dataset_options(words))
    if dataset.input_shape != saved.input_shape:
        raise DataError(str(model), f"images {saved.input_shape}", f"{name}'s {dataset.input_shape}")
    if saved.is_classifier != bool(dataset.classes):
        kinds = ("classes", "values") if saved.is_classifier else ("values", "classes")
        raise DataError(name, f"labels that are {kinds[0]}, as the model gives", kinds[1])
    if not dataset.classes or not saved.classes or dataset.classes == saved.classes:
        return saved, dataset
    if unknown := [each for each in dataset.classes if each not in saved.classes]:
        raise DataError(name, f"the model's classes: {', '.join(saved.classes)}"[:300], ", ".join(unknown)[:100])
    number = np.array([saved.classes.index(each) for each in dataset.classes])
    train, test = (Split(split.images, number[split.labels]) for split in (dataset.train, dataset.test))
    return saved, Dataset(dataset.name, train, test, saved.classes)


def _options(model: Path, saved: SavedModel, name: str) -> dict[str, Any]:
    """The data set's options, where nothing else is said."""
    if name not in data.names():
        name = str(Path(name).resolve())
    run = model_path(model).parent  # also where the run's model file is named
    if (run / CONFIG).exists() and (config := read_config(run)).dataset == name:
        return config.options
    height, width, channels = saved.input_shape if len(saved.input_shape) == 3 else (1, 1, 1)
    if Path(name).is_dir() and channels in (1, 3):
        return {"size": (height, width), "channels": channels}
    options: dict[str, Any] = {}
    if name.endswith(".csv"):
        options["image_shape"] = saved.input_shape
    if name.endswith((".csv", ".npz", ".npy")) and not saved.is_classifier:
        options["regression"] = True
    return options
