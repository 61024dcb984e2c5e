"""`xpcnn data`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import data
from ..data.dataset import Dataset, Host, Split
from ..data.registry import KNOWN, Known
from ..errors import OptionError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the data sets that have a name, and where they are on this machine")
    get = actions.add_parser("get", help="download a data set, and check it")
    get.add_argument("name", help="one of " + ", ".join(KNOWN))
    show = actions.add_parser("show", help="sizes, classes, and mean and deviation of a data set")
    show.add_argument("dataset", help="a name, a folder of pictures, or a file (.npz .npy .csv .h5)")
    add_option_argument(show)


def add_option_argument(parser: argparse.ArgumentParser) -> None:
    """The argument whose values `dataset_options` reads."""
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for a data set's function, such as size=64 for a folder of pictures; may be given several times",
    )


def dataset_options(words: Sequence[str]) -> dict[str, Any]:
    """The options of a data set from words NAME=VALUE; a value is in JSON, or else a text.

    Raises
        OptionError : a word is not of that form

    >>> dataset_options(["size=[32, 48]", "coarse=true", "label=kind"])
    {'size': (32, 48), 'coarse': True, 'label': 'kind'}
    """
    options = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (equals and name.isidentifier()):
            raise OptionError("--option", "NAME=VALUE, such as size=64", repr(word))
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        options[name] = tuple(value) if isinstance(value, list) else value
    return options


def run(options: argparse.Namespace) -> None:
    if options.action == "list":
        _list()
    elif options.action == "get":
        _get(options.name)
    else:
        _show(data.load(options.dataset, **dataset_options(options.option)))


def _list() -> None:
    print(f"{'name':<14} {'train':>7} {'test':>7}  {'size':<8} {'classes':>7}  on this machine")
    for name, known in KNOWN.items():
        print(
            f"{name:<14} {known.train:>7} {known.test:>7}  {_size(known.input_shape):<8} {known.classes:>7}  "
            f"{_where(name, known)}"
        )


def _where(name: str, known: Known) -> str:
    if known.source is None:
        return "comes with xpcnn"
    missing = [file.name for file, path in zip(known.source.files, known.source.find(), strict=True) if path is None]
    if not missing:
        return ", ".join(_folders(known))
    if known.source.mirrors:
        return f"no; xpcnn data get {name}, {sum(file.size for file in known.source.files) / 1e6:.0f} MB"
    return f"no; put {' and '.join(missing)} into {known.source.folders()[-1]}"


def _folders(known: Known) -> list[str]:
    found = [] if known.source is None else known.source.find()
    return list(dict.fromkeys(str(path.parent) for path in found if path is not None))


def _get(name: str) -> None:
    if name not in KNOWN:
        raise OptionError("data get", "one of " + ", ".join(KNOWN), repr(name))
    dataset = data.load(name)
    where = ", ".join(_folders(KNOWN[name])) or "xpcnn itself"
    print(f"{name}: {len(dataset.train)} images to train and {len(dataset.test)} to test on; in {where}")


def _show(dataset: Dataset) -> None:
    print(f"{'name':<10} {dataset.name}")
    print(f"{'images':<10} {len(dataset.train)} to train, {len(dataset.test)} to test on")
    print(f"{'size':<10} {_size(dataset.input_shape)}, {dataset.train.images.dtype}")
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        mean, deviation = _statistics(split.images)
        print(f"{part:<10} mean {_numbers(mean)}, deviation {_numbers(deviation)}, of pixels in [0, 1]")
    if not dataset.classes:
        for part, split in (("train", dataset.train), ("test", dataset.test)):
            print(f"{part:<10} targets from {split.labels.min():.6g} to {split.labels.max():.6g}")
        return
    width = max(5, *map(len, dataset.classes))
    print(f"\n{'class':<{width}} {'train':>7} {'test':>7}")
    counts = [_counts(split, len(dataset.classes)) for split in (dataset.train, dataset.test)]
    for name, train, test in zip(dataset.classes, *counts, strict=True):
        print(f"{name:<{width}} {train:>7} {test:>7}")


def _counts(split: Split, classes: int) -> list[int]:
    counts: list[int] = np.bincount(split.labels, minlength=classes).tolist()
    return counts


def _statistics(images: Host) -> tuple[Host, Host]:
    """Mean and standard deviation of each channel, (C,), of pixels in [0, 1]."""
    scale = 255 if images.dtype == np.uint8 else 1
    pixels = images.size / images.shape[-1]
    mean = images.sum(axis=(0, 1, 2), dtype=np.float64) / pixels  # (C,)
    squares = sum((image.astype(np.float64) ** 2).sum(axis=(0, 1)) for image in images) / pixels  # one at a time
    return mean / scale, np.sqrt(np.maximum(squares - mean**2, 0)) / scale


def _numbers(values: Host) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
