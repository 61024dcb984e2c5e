"""Reads the data sets of commands: by name or path, with options, and in the form that a saved model requires."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import data
from ..data.registry import READERS
from ..data.scale import BYTE
from ..data.splits import Parts
from ..errors import DataError, OptionError, warn
from ..io.document import parse_json
from ..io.model_file import SavedModel
from ..options import expanded
from ..training.best_model import model_path
from ..training.config import CONFIG, RunConfig, read_config
from .files import read_model

_PLACES = (
    "labels",
    "test",
    "test_fraction",
    "seed",
    "source",
    "cache",
    "most_bytes",
)  # options that belong to one data set only


def add_dataset_arguments(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Add the arguments `dataset` and `option`; `dataset_options` reads their values."""
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
    """The options of a data set from words NAME=VALUE; a value is JSON or Python, or else a text.

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
    for read in (parse_json, ast.literal_eval):  # messages have True and (H, W, C), as in Python
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text


def model_and_dataset(model: Path, name: str, words: Sequence[str]) -> tuple[SavedModel, Parts]:
    """A saved model, and the images to evaluate it on, in its image size and with its class numbers.

    Pictures are resized to the model's size. The data set that a run was trained on is read with the options of the
    run, so that the same images are held out for testing. Classes are matched by name.

    Raises
        DataError : the images have another size, or a class that the model does not know
    """
    saved = read_model(model)
    saved.model.astype("float32")  # as images are
    parts = data.load_parts(name, **_options(model, saved, name) | dataset_options(words))
    if parts.input_shape != saved.input_shape:
        raise DataError(str(model), f"images {saved.input_shape}", f"{name}'s {parts.input_shape}")
    if saved.is_classifier != bool(parts.classes):
        kinds = ("classes", "values") if saved.is_classifier else ("values", "classes")
        raise DataError(name, f"labels that are {kinds[0]}, as the model gives", kinds[1])
    if not saved.is_unit and parts.everything.is_unit:
        what = f"the model was trained on numbers beyond [0, 1], and the images of {name} are in [0, 1]"
        warn(name, what, "give it those that it was trained on, such as with --option scale=1")
    if not parts.classes or not saved.classes or parts.classes == saved.classes:
        return saved, parts
    if unknown := [each for each in parts.classes if each not in saved.classes]:
        raise DataError(name, f"the model's classes: {', '.join(saved.classes)}"[:300], ", ".join(unknown)[:100])
    number = np.array([saved.classes.index(each) for each in parts.classes])
    given, stated = (
        None if split is None else replace(split, labels=number[split.labels], channels_first=False)
        for split in (parts.given, parts.stated)
    )
    return saved, replace(parts, given=given, stated=stated, classes=saved.classes)


def run_of(model: Path, name: str) -> tuple[RunConfig | None, bool]:
    """The settings of the model's run, if there is a run; and whether it was trained on this data set."""
    run = model_path(model).parent  # also if the path is that of the run's model file
    config = read_config(run) if (run / CONFIG).exists() else None
    if name not in data.names():
        name = str(expanded("data set", name).resolve())
    return config, config is not None and config.dataset == name


def _options(model: Path, saved: SavedModel, name: str) -> dict[str, Any]:
    """The data set's default options: those of the run, in the model's size.

    Other data of the same kind are read like the run's, except for the options that state location and division.
    """
    config, own = run_of(model, name)
    options: dict[str, Any] = {} if saved.is_unit and saved.scale in (1, BYTE) else {"scale": saved.scale}
    path = expanded("data set", name)
    height, width, channels = saved.input_shape if len(saved.input_shape) == 3 else (1, 1, 1)
    if name in data.names():
        return config.options if config is not None and own else {}
    if (path.is_dir() or name.endswith(".tar")) and channels in (1, 3):
        options |= {"size": (height, width), "channels": channels}
    if name.endswith((".csv", ".npz", ".npy")):
        options |= {"image_shape": saved.input_shape, "regression": not saved.is_classifier}
    if config is None or not path.exists():
        return options
    if own:
        return options | config.options
    alike = config.dataset not in data.names() and Path(config.dataset).suffix == path.suffix
    return options | ({key: value for key, value in config.options.items() if key not in _PLACES} if alike else {})
