"""`xpcnn summary`."""

from __future__ import annotations

import argparse

from .. import models
from ..errors import DataError, OutOfMemoryError
from ..io.model_file import load_model
from ..options import as_count, as_path, did_you_mean
from ..training.best_model import model_path
from ..typing import Shape


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=f"a model file, the folder of a run, or one of {', '.join(models.MODELS)}")
    parser.add_argument("--input-shape", type=_shape, metavar="H,W,C", help="default: the architecture's own")
    parser.add_argument("--classes", type=int, help="default: the architecture's own")


def run(options: argparse.Namespace) -> None:
    if options.model in models.MODELS:
        shape, classes = models.defaults(options.model)
        shape, classes = options.input_shape or shape, classes if options.classes is None else options.classes
        as_count("--classes", "outputs", classes)
        try:
            print(models.build(options.model, shape, classes, rng=0).summary(shape))
            print(models.facts_of(options.model))
        except MemoryError as error:
            needed = f"memory for {options.model} and one image {shape}"
            remedy = "pass a smaller --input-shape, or fewer --classes"
            raise OutOfMemoryError("summary", needed, str(error) or "no more", remedy) from None
        return
    path = model_path(as_path("summary", options.model))
    if not path.exists():
        expected = f"a model file or one of {', '.join(models.MODELS)}"
        raise DataError("summary", expected, repr(options.model), did_you_mean(options.model, models.MODELS))
    saved = load_model(path)
    print(saved.model.summary(saved.input_shape))


def _shape(text: str) -> Shape:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError("expected three positive integers, such as 28,28,1")
    return tuple(map(int, parts))
