"""`xpcnn predict`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..backend import asarray, to_numpy
from ..errors import NonFiniteError, OptionError, XpcnnError
from ..io.atomic import write_atomically
from ..io.model_file import SavedModel, load_model
from ..ops.softmax import softmax_forward
from .files import Image, images, model_path

BATCH = 256

Row: TypeAlias = tuple[str, list[tuple[str, float]]]  # the image's name; classes and probabilities, the best first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors, or the folder of a run")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="pictures, or .npy arrays of images")
    parser.add_argument("--top-k", type=int, default=1, metavar="K", help="so many likely classes (default 1)")
    parser.add_argument(
        "--format", choices=_FORMATS, default="text", help="text, with tabs (default), csv with a heading, or json"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="a file for the answers (default: standard output)")
    parser.add_argument("--invert", action="store_true", help="swap dark and light: for dark ink on light paper")


def run(options: argparse.Namespace) -> int:
    """Answers for all images; those that cannot be read are named on standard error, and make the status 2."""
    saved = load_model(model_path(options.model))
    if options.top_k < 1:
        raise OptionError("--top-k", "a number of classes ≥ 1", str(options.top_k))
    refused: list[XpcnnError] = []

    def readable() -> Iterator[tuple[str, Image]]:
        for path in options.files:
            try:
                yield from images(path, saved.input_shape)
            except XpcnnError as error:
                refused.append(error)
                print(f"xpcnn: {error}", file=sys.stderr)

    parts = _FORMATS[options.format](_rows(saved, readable(), options.top_k, invert=options.invert))
    if options.out is None:
        sys.stdout.writelines(parts)
    else:
        write_atomically(options.out, "".join(parts).encode())
    return 2 if refused else 0


def _rows(saved: SavedModel, every: Iterator[tuple[str, Image]], k: int, *, invert: bool) -> Iterator[Row]:
    while batch := list(islice(every, BATCH)):
        pixels = np.stack([image for _, image in batch])
        logits = saved.model(asarray(1 - pixels if invert else pixels))
        probabilities = to_numpy(softmax_forward(logits)[0])  # (N, K)
        for (name, _), row in zip(batch, probabilities, strict=True):
            if not np.isfinite(row).all():
                raise NonFiniteError("predict", f"probabilities for {name}", "NaN", "train again with a lower rate")
            best = np.argsort(-row, kind="stable")[:k].tolist()
            yield name, [(saved.classes[i] if saved.classes else str(i), float(row[i])) for i in best]


def _text(rows: Iterable[Row]) -> Iterator[str]:
    for name, best in rows:
        yield "\t".join([name, *(f"{label}\t{probability:.4f}" for label, probability in best)]) + "\n"


def _csv(rows: Iterable[Row]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")

    def written(cells: Iterable[object]) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        return line.getvalue()

    yield written(["file", "rank", "class", "probability"])
    for name, best in rows:
        for rank, (label, probability) in enumerate(best, 1):
            yield written([name, rank, label, f"{probability:.6g}"])


def _json(rows: Iterable[Row]) -> Iterator[str]:
    before = "[\n"
    for name, best in rows:
        predictions = [{"class": label, "probability": probability} for label, probability in best]
        yield before + json.dumps({"file": name, "predictions": predictions}, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


_FORMATS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {"text": _text, "csv": _csv, "json": _json}
