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
from ..explain import explain
from ..explain.terminal import styled
from ..explain.webpage import html
from ..io.atomic import write_atomically
from ..io.model_file import SavedModel
from ..options import as_count
from ..random import seed
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
    parser.add_argument("layer", help="the layer's name, such as 0 or 4.body.0, or loss; an unknown one lists them")
    parser.add_argument("image", type=path_word, help="a picture, or a .npy array of one image")
    add_pixel_arguments(parser)
    parser.add_argument("--target", metavar="CLASS", help="name or number (default: the class that the model says)")
    parser.add_argument("--at", type=_position, metavar="I,J,F", help="which output (default: the largest)")
    parser.add_argument("--batch", type=path_word, metavar="FILE", help="more images (.npy), which go through with it")
    parser.add_argument("--html", type=path_word, metavar="FILE", help="write a page that shows every formula, to FILE")
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
    page = explain(
        saved.model,
        options.layer,
        asarray(batch),
        target=target,
        at=options.at,
        classes=saved.classes,
    )
    if options.html is not None:
        title = f"{options.model}: {options.image}"
        write_atomically(options.html, html(page, precision=precision, title=title).encode())
        print(f"{printable(str(options.html))}: {page.title}, {len(page.steps)} steps")
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a question mark if x̂ cannot be written
    Console(highlight=False, soft_wrap=True).print(styled(page, precision=precision))


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
