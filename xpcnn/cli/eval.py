"""`xpcnn eval`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import data
from ..errors import DataError
from ..io.model_file import load_model
from ..training.trainer import evaluate
from .files import model_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors, or the folder of a run")
    parser.add_argument("dataset", help="one of " + ", ".join(data.names()))
    parser.add_argument("--batch-size", type=int, default=256, help="images at a time (default 256)")


def run(options: argparse.Namespace) -> None:
    path = model_path(options.model)
    saved = load_model(path)
    dataset = data.load(options.dataset)
    if dataset.test.input_shape != saved.input_shape:
        raise DataError(str(path), f"images {saved.input_shape}", f"{options.dataset}'s {dataset.test.input_shape}")
    result = evaluate(saved.model, dataset.test, batch_size=options.batch_size)
    correct = round(result.accuracy * len(dataset.test))
    print(f"test accuracy {result.accuracy:.2%} ({correct} of {len(dataset.test)})  loss {result.loss:.4f}")
    print(f"top-5 accuracy {result.top5_accuracy:.2%}")
    names = dataset.classes
    width = max(5, *(len(name) for name in names))
    print("rows: true class, columns: predicted")
    print(" " * width + "".join(f" {name:>{width}}" for name in names))
    for name, row in zip(names, result.confusion, strict=False):
        print(f"{name:>{width}}" + "".join(f" {count:>{width}}" for count in row))
