"""`xpcnn data`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import data, plot
from ..data.dataset import Dataset
from ..data.registry import KNOWN, Entry
from ..data.source import blocks
from ..data.split import Split
from ..errors import OptionError, one_line, printable
from ..options import as_count, did_you_mean
from ..plot.figure import check_format, matplotlib
from ..table import columns
from ..typing import NDArray
from .datasets import add_dataset_arguments, dataset_options
from .files import path_word


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the data sets that have a name, and where they are on this machine")
    get = actions.add_parser("get", help="download a data set, and check it")
    get.add_argument("name", help="one of " + ", ".join(KNOWN))
    show = actions.add_parser("show", help="sizes, classes, and mean and deviation of a data set")
    add_dataset_arguments(show)
    show.add_argument("--out", type=path_word, metavar="FILE", help="draw some training images: a .png, .svg or .pdf")
    show.add_argument("-n", type=int, default=25, help="how many (default 25)")


def run(options: argparse.Namespace) -> None:
    if options.action == "list":
        _list()
    elif options.action == "get":
        _get(options.name)
    else:
        if options.out is not None:  # before the work
            as_count("data show", "-n", options.n)
            check_format(options.out)
            matplotlib("figure")
        dataset = data.load(options.dataset, **dataset_options(options.option))
        _show(dataset)
        if options.out is not None:
            _draw(dataset, options.n, options.out)


def _list() -> None:
    rows = [
        (name, _size(known.input_shape), str(known.train), str(known.test), str(known.classes), _where(name, known))
        for name, known in KNOWN.items()
    ]
    print(columns(("name", "size", "train", "test", "classes", "on this machine"), rows, left=(0, 1, 5)))


def _where(name: str, known: Entry) -> str:
    if known.source is None:
        return "comes with xpcnn"
    missing = [file.name for file, path in zip(known.source.files, known.source.find(), strict=True) if path is None]
    if not missing:
        return ", ".join(_folders(known))
    if known.source.mirrors:
        return f"no; xpcnn data get {name}, {sum(file.size for file in known.source.files) / 1e6:.0f} MB"
    return f"no; put {' and '.join(missing)} into {known.source.folders()[-1]}"


def _folders(known: Entry) -> list[str]:
    found = [] if known.source is None else known.source.find()
    return list(dict.fromkeys(str(path.parent) for path in found if path is not None))


def _get(name: str) -> None:
    if name not in KNOWN:
        raise OptionError("data get", "one of " + ", ".join(KNOWN), repr(name), did_you_mean(name, KNOWN))
    dataset = data.load(name)
    where = ", ".join(_folders(KNOWN[name])) or "xpcnn itself"
    print(f"{name}: {len(dataset.train)} images to train and {len(dataset.test)} to test on; in {where}")


def _show(dataset: Dataset) -> None:
    print(f"{'name':<10} {one_line(dataset.name)}")
    where = f" ({one_line(dataset.parts)})" if dataset.parts else ""
    print(f"{'images':<10} {len(dataset.train)} to train, {len(dataset.test)} to test on{where}")
    print(f"{'size':<10} {_size(dataset.input_shape)}, {dataset.train.images.dtype}")
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        mean, deviation = split.statistics()
        print(f"{part:<10} mean {_numbers(mean)}, deviation {_numbers(deviation)}, of {split.scale_in_words}")
    if not dataset.classes:
        for part, split in (("train", dataset.train), ("test", dataset.test)):
            print(f"{part:<10} targets from {split.labels.min():z.6g} to {split.labels.max():z.6g}")
        return
    counts = (_counts(split, len(dataset.classes)) for split in (dataset.train, dataset.test))
    rows = list(zip(map(one_line, dataset.classes), *counts, strict=True))
    what = {"pixels": "pixels of class", "labels": "label"}.get(dataset.task, "class")
    print("\n" + columns((what, "train", "test"), rows))


def _draw(dataset: Dataset, n: int, path: Path) -> None:
    """Draw a sheet of the first training images; if the data set is sorted by class, from each class in turn."""
    labels = dataset.train.labels
    in_order = dataset.task == "classes" and (np.diff(labels) >= 0).all()
    step = max(1, len(labels) // n) if in_order else 1
    x, y = next(iter(data.Loader(dataset.train.select(slice(None, None, step)), n)))
    plot.save(plot.batch(x, y, classes=dataset.classes), path)
    print(printable(str(path)))


def _counts(split: Split, classes: int) -> list[str]:
    """The number of items, or pixels, of each class; those that do not count are left out."""
    found = np.zeros(classes, np.int64)
    for labels in blocks(split.labels):
        if labels.dtype.kind == "f":
            found += np.count_nonzero(labels, axis=0)
        else:
            kept = labels if split.ignore_index is None else labels[labels != split.ignore_index]
            found += np.bincount(kept.ravel(), minlength=classes)
    return list(map(str, found))


def _numbers(values: NDArray) -> str:
    return " ".join(f"{value:z.4f}" for value in values)


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
