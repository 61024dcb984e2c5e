"""`xpcnn plot`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

from .. import data, plot
from ..backend import asarray
from ..data.loader import Loader
from ..data.model_images import images_in
from ..errors import DataError, printable
from ..io.model_file import SavedModel
from ..options import as_count
from ..plot.figure import check_format, matplotlib
from ..training.best_model import run_batch_size
from ..training.evaluation import evaluate
from ..training.history import HISTORY, read_csv
from ..typing import Array
from .datasets import add_dataset_arguments, dataset_options
from .files import add_model_argument, add_pixel_arguments, class_number, path_word, read_model
from .judged import Judged, add_judged_arguments, judged

KINDS = {
    "curves": "loss and accuracy of a run's epochs",
    "filters": "the kernels of a convolution",
    "features": "what a layer gives for an image",
    "saliency": "which pixels a class's score depends on most",
    "gradcam": "where a convolution finds evidence for a class",
    "confusion": "which classes are taken for which, on a data set's test images",
    "wrong": "the test images of the highest loss",
    "batch": "the first training images, as the network sees them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for name, purpose in KINDS.items():
        kind = kinds.add_parser(
            name, help=purpose, allow_abbrev=False, description=purpose[0].upper() + purpose[1:] + "."
        )
        if name == "curves":
            kind.add_argument("run", type=path_word, help="the folder of a run")
        elif name in ("confusion", "wrong"):
            add_judged_arguments(kind)
        elif name == "batch":
            add_dataset_arguments(kind)
        else:
            add_model_argument(kind)
        if name in ("features", "saliency", "gradcam"):
            kind.add_argument("image", type=path_word, help="a picture, or a .npy array of images")
            kind.add_argument("--index", type=int, default=0, help="which image of an array of several (default 0)")
            add_pixel_arguments(kind)
        if name in ("filters", "features", "gradcam"):
            default = "the last convolution's activations" if name == "gradcam" else "the first convolution"
            kind.add_argument("--layer", help=f"the layer's name, such as 3 or 4.body.0 (default {default})")
        if name in ("saliency", "gradcam"):
            kind.add_argument(
                "--target", metavar="CLASS", help="a class, by name or number (default the one predicted)"
            )
        if name in ("wrong", "batch"):
            kind.add_argument("-n", type=int, default=25, help="how many images (default 25)")
        if name == "batch":
            kind.add_argument("--augment", metavar="TEXT", help="how images are changed at random, such as flip,crop:4")
            kind.add_argument("--seed", type=int, default=0, help="of what is chosen at random (default 0)")
        kind.add_argument("--out", type=path_word, metavar="FILE", help=f"a .png, .svg or .pdf (default {name}.png)")


def run(options: argparse.Namespace) -> None:
    matplotlib("figure")  # before the work
    if options.out is not None:
        check_format(options.out)
    figure = _DRAW[options.kind](options)
    path = options.out or _free(options.kind)
    try:
        plot.save(figure, path)
    except BaseException:
        if options.out is None:
            path.unlink(missing_ok=True)
        raise
    print(printable(str(path)))


def _free(kind: str) -> Path:
    """The path of a new, empty file in this folder, which no other process uses."""
    for number in count(1):
        path = Path(f"{kind}.png" if number == 1 else f"{kind}-{number}.png")
        with suppress(FileExistsError):
            path.touch(exist_ok=False)
            break
    return path


def _curves(options: argparse.Namespace) -> Any:
    return plot.curves(read_csv(options.run / HISTORY))


def _filters(options: argparse.Namespace) -> Any:
    return plot.filters(read_model(options.model).model, options.layer)


def _features(options: argparse.Namespace) -> Any:
    saved, image = _model_and_image(options)
    return plot.feature_maps(saved.model, image, options.layer)


def _saliency(options: argparse.Namespace) -> Any:
    saved, image = _model_and_image(options)
    return plot.saliency(saved.model, image, _target(options, saved), classes=saved.classes)


def _gradcam(options: argparse.Namespace) -> Any:
    saved, image = _model_and_image(options)
    return plot.grad_cam(saved.model, image, _target(options, saved), options.layer, classes=saved.classes)


def _confusion(options: argparse.Namespace) -> Any:
    chosen = _judged(options)
    result = evaluate(chosen.saved.model, chosen.split, batch_size=run_batch_size(chosen.saved))
    classes = chosen.classes if len(chosen.classes) == len(result.confusion) else chosen.saved.classes
    return plot.confusion(result.confusion, classes=classes)


def _wrong(options: argparse.Namespace) -> Any:
    chosen = _judged(options)
    size = run_batch_size(chosen.saved)
    return plot.most_wrong(chosen.saved.model, chosen.split, classes=chosen.classes, n=options.n, batch_size=size)


def _batch(options: argparse.Namespace) -> Any:
    dataset = data.load(options.dataset, **dataset_options(options.option))
    augment = None
    if options.augment is not None:
        label = dataset.train.ignore_index
        augment = data.augment.parse(options.augment, len(dataset.classes) or None, ignore_index=label)
    x, y = next(Loader(dataset.train, options.n, shuffle=True, seed=options.seed, augment=augment).epoch(0))
    return plot.batch(x, y, classes=dataset.classes)


def _model_and_image(options: argparse.Namespace) -> tuple[SavedModel, Array]:
    saved = read_model(options.model)
    as_count("--index", "number of an image", options.index, least=0)
    every = images_in(options.image, saved, invert=options.invert, scale=options.scale)
    found = next(islice(every, options.index, None), None)
    if found is None:
        raise DataError(str(options.image), f"an image number {options.index}", "fewer images")
    return saved, asarray(found[1])


def _judged(options: argparse.Namespace) -> Judged:
    chosen = judged(options)
    if not chosen.classes:
        raise DataError("plot", f"a model of classes for {options.kind}", f"{options.model}, which gives values")
    if chosen.note:
        print(chosen.note, file=sys.stderr)
    return chosen


def _target(options: argparse.Namespace, saved: SavedModel) -> int | None:
    return None if options.target is None else class_number(options.target, saved.classes)


_DRAW: dict[str, Callable[[argparse.Namespace], Any]] = {
    "curves": _curves,
    "filters": _filters,
    "features": _features,
    "saliency": _saliency,
    "gradcam": _gradcam,
    "confusion": _confusion,
    "wrong": _wrong,
    "batch": _batch,
}
