"""`xpcnn predict`."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np

from ..backend import asarray, to_numpy
from ..io.model_file import load_model
from ..ops.softmax import softmax_forward
from .files import images, model_path

BATCH = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors, or the folder of a run")
    parser.add_argument(
        "--invert",
        action="store_true",
        help="swap dark and light: for dark ink on light paper",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="pictures, or .npy arrays of images")


def run(options: argparse.Namespace) -> None:
    saved = load_model(model_path(options.model))
    every = (item for path in options.files for item in images(path, saved.input_shape))
    while batch := list(islice(every, BATCH)):
        pixels = np.stack([image for _, image in batch])
        logits = saved.model(asarray(1 - pixels if options.invert else pixels))
        probabilities = to_numpy(softmax_forward(logits)[0])
        for (name, _), row in zip(batch, probabilities, strict=True):
            best = int(row.argmax())
            label = saved.classes[best] if saved.classes else str(best)
            print(f"{name}\t{label}\t{row[best]:.4f}")
