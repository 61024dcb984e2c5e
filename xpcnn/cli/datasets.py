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
from ..data.registry import READERS, reader_of
from ..data.resizing import RESIZES
from ..data.scale import BYTE
from ..data.source import Items, Mapped, Source
from ..data.split import Split
from ..data.splits import Parts
from ..data.table_file import is_table
from ..errors import DataError, OptionError, warn
from ..io.document import parse_json
from ..io.model_file import SavedModel
from ..options import expanded
from ..training.best_model import model_path
from ..training.config import CONFIG, RunConfig, read_config
from ..typing import NDArray
from .files import read_model

_PLACES = (
    "labels",
    "masks",
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
    parser.add_argument(
        "--resize",
        dest="option",
        action="append",
        type=_resize_word,
        metavar="|".join(RESIZES),
        help="with a size: stretch pictures, cut out their middle, or add a border (default squash); it is kept",
    )


def _resize_word(text: str) -> str:
    if text not in RESIZES:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(RESIZES)}, got {text!r}")
    return f"resize={text}"


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
    parts = data.load_parts(name, **_options(model, saved, name, words) | dataset_options(words))
    if parts.input_shape != saved.input_shape:
        raise DataError(str(model), f"images {saved.input_shape}", f"{name}'s {parts.input_shape}")
    if saved.is_classifier != (parts.task in ("classes", "pixels")):
        kinds = ("classes", "values") if saved.is_classifier else ("values", "classes")
        raise DataError(name, f"labels that are {kinds[0]}, as the model gives", kinds[1])
    if not saved.is_unit and parts.everything.is_unit:
        what = f"the model was trained on numbers beyond [0, 1], and the images of {name} are in [0, 1]"
        warn(name, what, "give it those that it was trained on, such as with --option scale=1")
    if parts.task == "labels" and not saved.classes:
        raise DataError(name, "values, as the model gives", f"the labels {', '.join(parts.classes)}"[:100])
    if not parts.classes or not saved.classes or parts.classes == saved.classes:
        return saved, parts
    if parts.task == "labels" and (missing := [each for each in saved.classes if each not in parts.classes]):
        raise DataError(name, f"the model's labels: {', '.join(saved.classes)}"[:300], f"no {missing[0]}")
    if unknown := [each for each in parts.classes if each not in saved.classes]:
        raise DataError(name, f"the model's classes: {', '.join(saved.classes)}"[:300], ", ".join(unknown)[:100])
    number = np.array([saved.classes.index(each) for each in parts.classes])
    given, stated = (
        None if split is None else replace(split, labels=_renumbered(split, number), channels_first=False)
        for split in (parts.given, parts.stated)
    )
    return saved, replace(parts, given=given, stated=stated, classes=saved.classes)


def _renumbered(split: Split, number: NDArray) -> Items:
    """The split's labels with the numbers, or in the order, that the model has for the classes."""
    if not split.has_classes:
        columns: NDArray = split.labels[:, np.argsort(number)]
        return columns
    table = np.arange(256) if split.labels.dtype == np.uint8 else np.empty(0, np.int64)
    table = np.concatenate([number, table[len(number) :]])  # so the class that does not count stays
    labels = split.labels
    return Mapped(labels, table.__getitem__) if isinstance(labels, Source) else table[labels]


def run_of(model: Path, name: str) -> tuple[RunConfig | None, bool]:
    """The settings of the model's run, if there is a run; and whether it was trained on this data set."""
    run = model_path(model).parent  # also if the path is that of the run's model file
    config = read_config(run) if (run / CONFIG).exists() else None
    if name not in data.names():
        name = str(expanded("data set", name).resolve())
    return config, config is not None and config.dataset == name


def _options(model: Path, saved: SavedModel, name: str, words: Sequence[str]) -> dict[str, Any]:
    """The data set's default options: those of the run, in the model's size.

    Other data of the same kind are read like the run's, except for the options that state location and division.
    """
    config, own = run_of(model, name)
    options: dict[str, Any] = {} if saved.is_unit and saved.scale in (1, BYTE) else {"scale": saved.scale}
    path = expanded("data set", name)
    height, width, channels = saved.input_shape if len(saved.input_shape) == 3 else (1, 1, 1)
    if name in data.names():
        return config.options if config is not None and own else {}
    if not path.exists():
        return options
    known: dict[str, Any] = {}
    if config is not None and (own or _are_alike(config.dataset, path)):
        known = {key: value for key, value in config.options.items() if own or key not in _PLACES}
    reader = reader_of(name, path, known | dataset_options(words))
    if reader in (data.image_folder, data.mask_folder, data.picture_table, data.tar_shards) and channels in (1, 3):
        options |= {"size": (height, width), "channels": channels, "resize": saved.resize}
        if reader is data.picture_table and saved.has_labels and saved.classes:
            options |= {"label": list(saved.classes)}
        elif reader is data.picture_table:
            options |= {"regression": not saved.is_classifier}
        elif reader is data.mask_folder:
            options |= {"classes": saved.classes, "ignore_index": saved.ignore_index}
    elif reader in (data.csv_file, data.array_file):
        options |= {"image_shape": saved.input_shape, "regression": not saved.is_classifier}
    return options | known


def _are_alike(dataset: str, path: Path) -> bool:
    """True if both are folders, or files of one kind."""
    if dataset in data.names():
        return False
    return Path(dataset).suffix == path.suffix or (is_table(dataset) and is_table(path))
