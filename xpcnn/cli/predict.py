"""`xpcnn predict`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..data.model_images import Image, images_in
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
from ..saved import Answer, files
from .files import add_model_argument, add_pixel_arguments, path_word, read_model

_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")  # or not ASCII: `_escaped` handles these


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "files", type=path_word, nargs="+", metavar="FILE", help="pictures, folders of them, or .npy arrays"
    )
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="so many likely classes (default 1; of several labels an image, all)"
    )
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
    if options.top_k is None and not saved.has_labels:
        options.top_k = 1
    if options.top_k is not None and options.top_k < 1:
        raise OptionError("--top-k", "a number of classes ≥ 1", str(options.top_k))
    refused: list[XpcnnError] = []

    def refuse(error: XpcnnError) -> None:
        refused.append(error)
        print(f"xpcnn: {one_line(str(error))}", file=sys.stderr)

    def every() -> Iterator[tuple[str, Image]]:
        for path in _files(options.files, refuse):
            try:
                yield from images_in(path, saved, invert=options.invert, scale=options.scale)
            except MissingExtraError:  # it would be the same for every picture
                raise
            except XpcnnError as error:
                refuse(error)

    rows = saved.answers(every(), options.top_k)
    parts = _FORMATS[options.format](rows, saved.is_classifier or saved.has_labels)
    if options.out is None:
        sys.stdout.writelines(parts)
    else:
        write_atomically(options.out, "".join(parts).encode())
    return 2 if refused else 0


def _files(paths: Iterable[Path], refuse: Callable[[XpcnnError], None]) -> Iterator[Path]:
    """The files, and for a folder the pictures in it."""
    for path in paths:
        try:
            yield from files(path)
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
