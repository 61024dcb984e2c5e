"""`xpcnn predict`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import numpy as np

from ..data.mask_file import palette_png
from ..data.model_images import Image, images_in
from ..data.table_file import is_table
from ..errors import (
    DataError,
    FileError,
    MissingExtraError,
    OptionError,
    XpcnnError,
    one_line,
    printable,
)
from ..io.atomic import write_atomically
from ..saved import Answer, Saved, files
from .datasets import dataset_options, run_of
from .files import add_model_argument, add_pixel_arguments, path_word, read_model

_OF_TABLES = {"image", "folder", "ending", "encoding"}
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")  # or not ASCII: `_escaped` handles these


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    what = "pictures, folders or tables of them, .npy arrays, or tables of numbers"
    parser.add_argument("files", type=path_word, nargs="+", metavar="FILE", help=what)
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="so many likely classes (default 1; of several labels an image, all)"
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="text, with tabs, csv with a heading, or json (default: by the ending of --out, else text)",
    )
    parser.add_argument(
        "--out",
        type=path_word,
        metavar="FILE",
        help="a file for the answers (default: standard output); for masks, a folder",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of tables: image, folder, ending, encoding; as in training, unless given",
    )
    add_pixel_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print answers for all images; if some cannot be read, name them on standard error and return status 2."""
    saved = read_model(options.model)
    if options.top_k is None and not saved.has_labels:
        options.top_k = 1
    if options.top_k is not None and options.top_k < 1:
        raise OptionError("--top-k", "a number of classes ≥ 1", str(options.top_k))
    refused: list[XpcnnError] = []

    def refuse(error: XpcnnError) -> None:
        refused.append(error)
        print(f"xpcnn: {one_line(str(error))}", file=sys.stderr)

    def every() -> Iterator[tuple[str, Image]]:
        for path in _files(options, refuse):
            try:
                yield from images_in(path, saved, invert=options.invert, scale=options.scale)
            except MissingExtraError:  # it would be the same for every picture
                raise
            except XpcnnError as error:
                refuse(error)

    if len(saved.model.output_shape(saved.input_shape)) == 3:
        _write_masks(saved, options, refuse)
        return 2 if refused else 0
    rows = saved.answers(every(), options.top_k)
    ending = "" if options.out is None else options.out.suffix.lower().removeprefix(".")
    form = options.format or (ending if ending in _FORMATS else "text")
    parts = _FORMATS[form](rows, saved.kind_of_outputs != "values")
    if options.out is None:
        sys.stdout.writelines(parts)
    else:
        write_atomically(options.out, "".join(parts).encode())
    return 2 if refused else 0


def _write_masks(saved: Saved, options: argparse.Namespace, refuse: Callable[[XpcnnError], None]) -> None:
    """Write the class of each pixel of each picture as a palette PNG of its name; print what was written."""
    if not saved.is_classifier:
        got = "one that gives an image for an image"
        remedy = "in Python, xpcnn.load(run).outputs(pictures) gives the numbers"
        raise OptionError("predict", "a network of classes or numbers", got, remedy)
    if options.out is None:
        raise OptionError("predict", "--out, a folder for masks, as the model has a class for each pixel", "none")
    folder, taken = options.out, set[str]()
    for path in _files(options, refuse):
        try:
            for name, mask in saved.masks(path, invert=options.invert, scale=options.scale):
                stem = Path(name).stem
                stem = next(each for i in count(1) if (each := stem if i == 1 else f"{stem}-{i}") not in taken)
                taken.add(stem)
                place = folder / f"{stem}.png"
                write_atomically(place, palette_png(mask), make_folder=True)
                shares = np.bincount(mask.ravel(), minlength=len(saved.classes)) / mask.size
                cells = (f"{one_line(label)}\t{share:.4f}" for label, share in zip(saved.classes, shares, strict=False))
                print("\t".join([one_line(name), one_line(str(place)), *cells]))
        except MissingExtraError:
            raise
        except XpcnnError as error:
            refuse(error)


def _files(options: argparse.Namespace, refuse: Callable[[XpcnnError], None]) -> Iterator[Path]:
    """The files, and for a folder or a table the pictures in it."""
    given, config = dataset_options(options.option), run_of(options.model, ".")[0]
    if unknown := sorted(given.keys() - _OF_TABLES):
        raise OptionError("--option", f"one of {', '.join(sorted(_OF_TABLES))}", unknown[0])
    known = {} if config is None or not is_table(config.dataset) else config.options
    table = {name: value for name, value in (known | given).items() if name in _OF_TABLES}
    for path in options.files:
        try:
            yield from files(path, **(table if given or is_table(path) else {}))
        except (DataError, FileError) as error:
            refuse(error)


def _text(rows: Iterable[Answer], classifies: bool) -> Iterator[str]:
    for name, best in rows:
        if not classifies:
            yield "\t".join([one_line(name), *(f"{value:z.6g}" for _, value in best)]) + "\n"
            continue
        cells = (f"{one_line(label)}\t{probability:.4f}" for label, probability in best)
        yield "\t".join([one_line(name), *cells]) + "\n"


def _csv(rows: Iterable[Answer], classifies: bool) -> Iterator[str]:
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


def _json(rows: Iterable[Answer], classifies: bool) -> Iterator[str]:
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


_FORMATS: dict[str, Callable[[Iterable[Answer], bool], Iterator[str]]] = {"text": _text, "csv": _csv, "json": _json}
