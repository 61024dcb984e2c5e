"""Images in a table of text: a row an image, a column of labels and one for each pixel, as in MNIST-as-CSV."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError, FileError, FormatError, OptionError
from ..options import as_path
from ..typing import Host, Shape
from .parts import MOST_BYTES, TEST_FRACTION, Parts, assemble, counterpart, reader

_LABELS = ("label", "labels", "class", "target", "y")  # of a column that holds the labels
_LONGEST_ROW = 2**22  # characters, of the first one


@reader
def csv_file(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = None,
    test: str | os.PathLike[str] | None = None,
    classes: Sequence[str] = (),
    regression: bool = False,
    image_shape: Shape | None = None,
    channels_first: bool | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Parts:
    """Images and labels from a .csv file, with a header or without.

    The first row is a header if it names the column of the labels, or a pixel in it is no number. Columns are
    separated by commas, semicolons or tabs. Labels are numbers or texts. Pixels of a row are an image's rows from
    the top, of RGB the three of a pixel side by side.

    Parameters
        label : the column of the labels, by its name or its number from 0 on (−1 is the last); by default the one
            called label, labels, class, target or y, else the first
        test : the file to test on, of the same columns; by default the one beside with "test" (or else "val")
            instead of "train" in its name, where there is one, else a fraction of the rows
        classes, regression, image_shape, channels_first, test_fraction, seed : as of `array_file`
        most_bytes : refuse larger files
    Raises
        FormatError : rows of several lengths, what is no number, or a file that is too large
        OptionError : `label` is no column;  FileError : the file cannot be read
        DataError : there are no labelled images in it
    """
    path = as_path("csv_file", path).expanduser()
    other = counterpart(path) if test is None else Path(test).expanduser()
    train = _read(path, label, regression, most_bytes)
    return assemble(
        path,
        train,
        None if other is None else _read(other, label, regression, most_bytes),
        classes=classes,
        regression=regression,
        image_shape=image_shape,
        channels_first=channels_first,
        test_fraction=test_fraction,
        seed=seed,
        found="" if other is None else f"{path.name} and {other.name}",
    )


def _read(path: Path, label: str | int | None, regression: bool, most_bytes: int) -> tuple[Host, Host]:
    """The pixels (N, D), and the labels (N,): numbers, or texts."""
    who = str(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if os.fstat(file.fileno()).st_size > most_bytes:
                raise FormatError(who, f"at most {most_bytes} bytes", "a larger file", "pass most_bytes")
            return _parse(who, file, label, regression)
    except UnicodeDecodeError as error:
        raise FormatError(who, "text in UTF-8", f"byte {error.start}: {error.reason}") from None
    except OSError as error:
        raise FileError.unreadable(who, error) from error


def _parse(who: str, file: IO[str], label: str | int | None, regression: bool) -> tuple[Host, Host]:
    line = file.readline(_LONGEST_ROW)
    while line and not line.strip():
        line = file.readline(_LONGEST_ROW)
    separator = max(",;\t", key=line.count)
    try:
        first = [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error as error:
        raise FormatError(who, "rows of a label and numbers", str(error)) from None
    if len(first) < 2:
        raise FormatError(who, "rows of a label and numbers, separated by commas", repr(line[:40]))
    column = _column(who, first, label)
    is_named = isinstance(label, str) or first[column].lower() in _LABELS
    if not is_named and all(_is_number(field) for i, field in enumerate(first) if i != column):
        file.seek(0)  # no header, but the first image
    start, of_texts = file.tell(), None if regression else column
    try:
        table, texts = _table(file, np.uint8, separator, of_texts)  # five times as fast as float32, if it fits
    except (ValueError, OverflowError):
        file.seek(start)
        try:
            table, texts = _table(file, np.float32, separator, of_texts)
        except ValueError as error:
            if isinstance(error, UnicodeDecodeError):
                raise
            found = _first_wrong(file, separator, len(first), of_texts, start > 0) or str(error).partition("\n")[0]
            remedy = "mend it, or name the column of labels with label="
            raise FormatError(who, "rows of a label and numbers, all of one length", found, remedy) from None
    if not len(table) or table.shape[1] != len(first):
        got = f"{len(table)} of {table.shape[1]}" if len(table) else "no rows"
        raise FormatError(who, f"rows of {len(first)} fields", got)
    pixels = np.delete(table, column, axis=1)  # (N, D)
    if not np.isfinite(pixels).all():
        row = int(np.flatnonzero(~np.isfinite(pixels).all(1))[0])
        raise DataError(who, "finite pixels", f"NaN or infinity in image {row + 1}", "leave it out")
    labels = table[:, column]
    return pixels, _as_numbers(texts)[labels.astype(np.int64)] if texts else labels


def _table(file: IO[str], dtype: Any, separator: str, column: int | None) -> tuple[Host, list[str]]:
    """The rest of the file, (N, 1 + D). In the column are places in the list of texts; without one all are numbers."""
    texts: dict[str, int] = {}

    def place(text: str) -> int:
        return texts.setdefault(text.strip().strip('"'), len(texts))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are no rows, which the caller sees
        table = np.loadtxt(
            file,
            dtype,
            comments=None,
            delimiter=separator,
            quotechar='"',
            converters=None if column is None else {column: place},
            ndmin=2,
            encoding=None,
        )
    return table, list(texts)


def _column(who: str, first: list[str], label: str | int | None) -> int:
    """The number of the column of labels."""
    if isinstance(label, str):
        if label not in first:
            raise OptionError(who, f"label: a column among {', '.join(first[:8])} …", repr(label))
        return first.index(label)
    if label is None:
        lower = [name.lower() for name in first]
        return next((lower.index(name) for name in _LABELS if name in lower), 0)
    if isinstance(label, bool) or not isinstance(label, int) or not -len(first) <= label < len(first):
        raise OptionError(who, f"label: a column from 0 to {len(first) - 1}, or −1", repr(label))
    return label % len(first)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_numbers(texts: list[str]) -> Host:
    """The texts, as whole numbers if all of them are."""
    if all(re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", text) for text in texts):
        return np.array([int(float(text)) for text in texts], np.int64)
    return np.array(texts)


def _first_wrong(file: IO[str], separator: str, fields: int, texts: int | None, has_header: bool) -> str:
    """What is wrong in the first line that is no row of so many fields, all but that column's numbers."""
    file.seek(0)
    reader = csv.reader(file, delimiter=separator)
    try:
        for row in filter(None, reader):
            if has_header:
                has_header = False
            elif len(row) != fields:
                return f"{len(row)} fields in line {reader.line_num}, not {fields}"
            elif wrong := [field for i, field in enumerate(row) if i != texts and not _is_number(field)]:
                return f"{wrong[0][:40]!r} in line {reader.line_num}"
    except csv.Error as error:
        return f"line {reader.line_num}: {error}"
    return ""
