"""`xpcnn explain`."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import asarray
from ..data.model_images import Image, images_in
from ..errors import DataError, OptionError, printable
from ..explain import explain, step
from ..explain.terminal import styled
from ..explain.webpage import html
from ..io.atomic import write_atomically
from ..io.model_file import SavedModel, load_model
from ..nn import Layer, freeze
from ..nn.freezing import all_parameters
from ..optim import OPTIMIZERS, SGD
from ..optim.optimizer import Optimizer
from ..options import as_count
from ..random import seed
from ..training.config import CONFIG, read_config, words
from ..training.kept_models import kept_models
from .files import (
    add_model_argument,
    add_pixel_arguments,
    class_number,
    path_word,
    read_model,
)

MOST_IMAGES = 1024  # of a batch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "layer",
        nargs="?",
        help="its name, such as 0 or 4.body.0, or loss; an unknown one lists them (default: a whole training step)",
    )
    parser.add_argument("image", type=path_word, help="a picture, or a .npy array of one image")
    add_pixel_arguments(parser)
    parser.add_argument("--target", metavar="CLASS", help="name or number (default: the class that the model says)")
    parser.add_argument("--at", type=_position, metavar="I,J,F", help="which output (default: the largest)")
    parser.add_argument("--batch", type=path_word, metavar="FILE", help="more images (.npy), which go through with it")
    parser.add_argument("--html", type=path_word, metavar="FILE", help="write a page that shows every formula, to FILE")
    parser.add_argument(
        "--epochs", action="store_true", help="with a slider over the run's kept models, see --keep-every"
    )
    parser.add_argument("--precision", type=int, default=4, metavar="N", help="significant digits (default 4)")


def run(options: argparse.Namespace) -> None:
    from rich.console import Console

    precision = as_count("--precision", "digits", options.precision)
    if precision > 15:
        raise OptionError("--precision", "digits: an integer from 1 to 15", str(precision))
    seed(0)  # the same masks of dropout each time
    saved = read_model(options.model)
    if not saved.is_classifier:
        raise DataError("explain", "a model of classes, for the cross-entropy", f"{options.model}, which gives values")
    pixels = {"invert": options.invert, "scale": options.scale}
    batch = _one(options.image, saved, **pixels)[None]
    if options.batch is not None:
        more = [image for _, image in images_in(options.batch, saved, **pixels)]
        if len(more) > MOST_IMAGES:
            raise DataError(str(options.batch), f"at most {MOST_IMAGES} images", str(len(more)), "save fewer of them")
        batch = np.concatenate([batch, np.stack(more)])
    target = None if options.target is None else class_number(options.target, saved.classes)
    if options.layer is None:
        _whole_step(options, saved, batch, target, precision)
        return
    if options.epochs:
        raise OptionError("--epochs", "no layer: it is for a whole training step", options.layer, "leave it out")
    page = explain(saved.model, options.layer, asarray(batch), target=target, at=options.at, classes=saved.classes)
    if options.html is not None:
        title = f"{options.model}: {options.image}"
        write_atomically(options.html, html(page, precision=precision, title=title).encode())
        print(f"{printable(str(options.html))}: {page.title}, {len(page.steps)} steps")
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a question mark if x̂ cannot be written
    Console(highlight=False, soft_wrap=True).print(styled(page, precision=precision))


def _whole_step(options: argparse.Namespace, saved: SavedModel, batch: Image, target: Any, precision: int) -> None:
    """Write the page of a training step of the whole network."""
    if options.html is None:
        raise OptionError("explain", "a layer, or --html FILE for the whole network", "neither", "--html page.html")
    if options.at is not None:
        raise OptionError("--at", "a layer whose output it is in", "none", "name one, or leave --at out")
    model, optimizer, whose = _as_trained(options.model, saved)
    walk = step(model, asarray(batch), target, None, optimizer, classes=saved.classes)
    walk.notes.append(whose)
    epochs = None
    if options.epochs:
        epochs = {number: load_model(path).model for number, path in kept_models(options.model).items()}
    title = f"{options.model}: {options.image}"
    walk.save(options.html, precision=precision, title=title, epochs=epochs)
    print(
        f"{printable(str(options.html))}: a training step of {len(walk.wiring.nodes)} layers, {len(walk.stops)} stops, "
        f"loss {walk.loss:.4g} → {walk.loss_after:.4g}"
    )


def _as_trained(path: Path, saved: SavedModel) -> tuple[Layer, Optimizer, str]:
    """The model, frozen as in its run, the run's optimizer, and what to say of it."""
    model = saved.model
    if not (path.is_dir() and (path / CONFIG).exists()):
        said = "There is no run beside the model: plain gradient descent shows the update."
        return model, SGD(model.parameters(), lr=0.1), said
    config = read_config(path)
    if config.freeze:
        model = freeze(model, words(config.freeze))
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    optimizer.scale(lr=config.lr_scales, names=all_parameters(model))
    said = "The optimizer is that of the run, at its highest rate; what it remembers begins at 0, as in a first step."
    return model, optimizer, said


def _one(path: Path, saved: SavedModel, **pixels: Any) -> Image:
    found = [image for _, image in images_in(path, saved, **pixels)]
    if len(found) != 1:
        raise DataError(str(path), "one image", f"{len(found)} of them", "save one: np.save(path, images[0])")
    return found[0]


def _position(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError("expected indices from 0, such as 2,3,0")
    return tuple(map(int, parts))
