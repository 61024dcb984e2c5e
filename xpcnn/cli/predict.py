"""`xpcnn predict`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..backend import asarray, to_numpy
from ..data.picture_files import find_pictures, say_passed_over
from ..errors import (
    DataError,
    FileError,
    MissingExtraError,
    NonFiniteError,
    OptionError,
    XpcnnError,
    one_line,
    printable,
)
from ..io.atomic import write_atomically
from ..io.model_file import SavedModel
from ..ops.softmax import softmax_forward
from ..training.best_model import run_batch_size
from .files import Image, add_model_argument, add_pixel_arguments, images, path_word, read_model

_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")  # or not ASCII: `_escaped` handles these

# The image's name, then classes and probabilities, the best first; for a regression, the outputs' numbers and values.
Row: TypeAlias = tuple[str, list[tuple[str, float]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "files", type=path_word, nargs="+", metavar="FILE", help="pictures, folders of them, or .npy arrays"
    )
    parser.add_argument("--top-k", type=int, default=1, metavar="K", help="so many likely classes (default 1)")
    parser.add_argument(
        "--format", choices=_FORMATS, default="text", help="text, with tabs (default), csv with a heading, or json"
    )
    parser.add_argument(
        "--out", type=path_word, metavar="FILE", help="a file for the answers (default: standard output)"
    )
    add_pixel_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print answers for all images; if some cannot be read, name them on standard error and return status 2."""
    saved = read_model(options.model)
    if options.top_k < 1:
        raise OptionError("--top-k", "a number of classes ≥ 1", str(options.top_k))
    refused: list[XpcnnError] = []

    def refuse(error: XpcnnError) -> None:
        refused.append(error)
        print(f"xpcnn: {one_line(str(error))}", file=sys.stderr)

    def every() -> Iterator[tuple[str, Image]]:
        for path in _files(options.files, refuse):
            try:
                yield from images(path, saved, invert=options.invert, scale=options.scale)
            except MissingExtraError:  # it would be the same for every picture
                raise
            except XpcnnError as error:
                refuse(error)

    rows = _rows(saved, every(), options.top_k)
    parts = _FORMATS[options.format](rows, saved.is_classifier)
    if options.out is None:
        sys.stdout.writelines(parts)
    else:
        write_atomically(options.out, "".join(parts).encode())
    return 2 if refused else 0


def _files(paths: Iterable[Path], refuse: Callable[[XpcnnError], None]) -> Iterator[Path]:
    """The files, and for a folder the pictures in it."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        try:
            found, others = find_pictures(path)
        except FileError as error:
            refuse(error)
            continue
        say_passed_over(str(path), others)
        if not found:
            refuse(DataError("predict", f"pictures in {path}", "none"))
        yield from found


def _rows(saved: SavedModel, every: Iterator[tuple[str, Image]], k: int) -> Iterator[Row]:
    classifies, size = saved.is_classifier, run_batch_size(saved)
    while batch := list(islice(every, size)):
        outputs = saved.model(asarray(np.stack([image for _, image in batch])))
        numbers = to_numpy(softmax_forward(outputs)[0] if classifies else outputs)  # (N, K)
        for (name, _), row in zip(batch, numbers, strict=True):
            if not np.isfinite(row).all():
                raise NonFiniteError("predict", f"finite numbers for {name}", "NaN", "train again with a lower rate")
            best = np.argsort(-row, kind="stable")[:k].tolist() if classifies else range(len(row))
            yield name, [(saved.classes[i] if saved.classes else str(i), float(row[i])) for i in best]


def _text(rows: Iterable[Row], classifies: bool) -> Iterator[str]:
    for name, best in rows:
        if not classifies:
            yield "\t".join([one_line(name), *(f"{value:z.6g}" for _, value in best)]) + "\n"
            continue
        cells = (f"{one_line(label)}\t{probability:.4f}" for label, probability in best)
        yield "\t".join([one_line(name), *cells]) + "\n"


def _csv(rows: Iterable[Row], classifies: bool) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")

    def written(cells: Iterable[object]) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        return line.getvalue()

    yield written(["file", "rank", "class", "probability"] if classifies else ["file", "output", "value"])
    for name, best in rows:
        for rank, (label, number) in enumerate(best, 1):
            yield written([printable(name), *([rank] if classifies else []), printable(label), f"{number:z.6g}"])


def _json(rows: Iterable[Row], classifies: bool) -> Iterator[str]:
    before = "[\n"
    for name, best in rows:
        predictions = [{"class": label, "probability": probability} for label, probability in best]
        answer = {"predictions": predictions} if classifies else {"values": [value for _, value in best]}
        yield before + _NOT_PRINTABLE.sub(_escaped, json.dumps({"file": name, **answer}, ensure_ascii=False))
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _escaped(letters: re.Match[str]) -> str:
    """The letters as JSON writes them in ASCII: the file keeps the exact names, and a terminal obeys none of them."""
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in letters[0])


_FORMATS: dict[str, Callable[[Iterable[Row], bool], Iterator[str]]] = {"text": _text, "csv": _csv, "json": _json}
