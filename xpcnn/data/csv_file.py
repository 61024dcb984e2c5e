"""Images in a table of text: a row an image, a column of labels and one for each pixel, as in MNIST-as-CSV."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError, FileError, FormatError, OptionError, warn
from ..options import as_path
from ..typing import NDArray, Shape
from .labels import MISSING_REMEDY, is_missing
from .splits import MOST_BYTES, TEST_FRACTION, Parts, assemble, counterpart, reader

_LABELS = ("label", "labels", "class", "target", "y", "classes", "targets", "category")  # of the column of labels
_PIXEL = re.compile(r"\D{0,8}[\s_-]*\d+([\sx_,-]+\d+)*", re.IGNORECASE)  # as a pixel's column is called: pixel0, 1x1
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
    scale: float | None = None,
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
            called label, labels, class, target, y or category, else the only one that is not called as pixels are
            (pixel0, 1x1); without a header, the first
        test : the file to test on, of the same columns; by default the one beside with "test" (or else "val")
            instead of "train" in its name, where there is one that has labels, else a fraction of the rows
        classes, regression, image_shape, channels_first, scale, test_fraction, seed : as of `array_file`
        most_bytes : refuse larger files
    Raises
        FormatError : rows of several lengths, what is no number, or a file that is too large
        OptionError : `label` is no column, or which one is the labels' cannot be seen
        FileError : the file cannot be read;  DataError : there are no labelled images in it, or rows without a label
    """
    path = as_path("csv_file", path).expanduser()
    other = counterpart(path) if test is None else Path(test).expanduser()
    read = partial(_read, label=label, regression=regression, classes=classes, most_bytes=most_bytes)
    train = read(path)
    if other is not None and _fields(other) == train[0].shape[1]:
        if test is not None:
            got = f"rows of {train[0].shape[1]} fields, as {path.name} has pixels"
            raise DataError(str(other), "a column of labels", got, "without test=, a part of the rows is held out")
        warn(str(other), f"it has no labels and is not read; a part of {path.name} is held out to test on")
        other = None
    return assemble(
        path,
        train,
        None if other is None else read(other),
        test_path=other,
        classes=classes,
        regression=regression,
        image_shape=image_shape,
        channels_first=channels_first,
        scale=scale,
        test_fraction=test_fraction,
        seed=seed,
        found="" if other is None else f"{path.name} and {other.name}",
    )


def _read(
    path: Path, *, label: str | int | None, regression: bool, classes: Sequence[str], most_bytes: int
) -> tuple[NDArray, NDArray]:
    """The pixels (N, D), and the labels (N,): numbers, or texts."""
    with _opened(path) as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise FormatError(str(path), f"at most {most_bytes} bytes", "a larger file", "pass most_bytes")
        return _parse(str(path), file, label, regression, classes)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise FormatError(str(path), "text in UTF-8", f"byte {error.start}: {error.reason}") from None
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def _fields(path: Path) -> int:
    """How many fields the first row has."""
    with _opened(path) as file:
        return len(_first_row(str(path), file)[0])


def _first_row(who: str, file: IO[str]) -> tuple[list[str], str]:
    """The fields of the first row that is not empty, and what separates them."""
    line = file.readline(_LONGEST_ROW)
    while line and not line.strip():
        line = file.readline(_LONGEST_ROW)
    separator = max(";\t,", key=line.count)  # of equally many, not the comma: it may be in numbers
    try:
        first = [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error as error:
        raise FormatError(who, "rows of a label and numbers", str(error)) from None
    if len(first) < 2:
        raise FormatError(who, "rows of a label and numbers, separated by commas", repr(line[:40]))
    if separator != "," and (wrong := [field for field in first if re.fullmatch(r"[+-]?\d+,\d+", field)]):
        raise FormatError(who, "numbers with a decimal point", repr(wrong[0]), "write 0.5 for 0,5")
    return first, separator


def _parse(
    who: str, file: IO[str], label: str | int | None, regression: bool, classes: Sequence[str]
) -> tuple[NDArray, NDArray]:
    first, separator = _first_row(who, file)
    column = _column(who, first, label)
    if _is_header(first, column, label):
        _check_names(who, first, column)
    else:
        file.seek(0)  # it is the first image
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
    places = table[:, column]
    if regression:
        return pixels, places
    places = places.astype(np.int64)
    for i, text in enumerate(texts):
        if is_missing(text) and text not in classes:
            row = int(np.flatnonzero(places == i)[0]) + 1
            at = f"image {row}, row {row + (start > 0)}"
            raise DataError(who, "a label in each row", f"{text!r} of {at}", MISSING_REMEDY)
    return pixels, _as_numbers(who, texts, classes)[places]


def _table(file: IO[str], dtype: Any, separator: str, column: int | None) -> tuple[NDArray, list[str]]:
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
    if label is not None:
        if isinstance(label, bool) or not isinstance(label, int) or not -len(first) <= label < len(first):
            raise OptionError(who, f"label: a column from 0 to {len(first) - 1}, or −1", repr(label))
        return label % len(first)
    lower = [name.lower() for name in first]
    named = next((lower.index(name) for name in _LABELS if name in lower), None)
    if named is not None or any(map(_is_number, islice(first, 1, None))) or not any(islice(first, 1, None)):
        return named or 0  # without it, those are no names
    others = [i for i, name in enumerate(first) if not _PIXEL.fullmatch(name)]
    if len(others) == 1:
        return others[0]
    expected = f"a column called {', '.join(_LABELS[:5])}, or one alone that is not called as pixels are"
    raise OptionError(who, expected, ", ".join(first[:4])[:60] + " …", "pass label=, its name or its number")


def _check_names(who: str, first: list[str], column: int) -> None:
    """Refuse a column that is neither the labels' nor a pixel's, such as an id."""
    others = [name for i, name in enumerate(first) if i != column and not _PIXEL.fullmatch(name)]
    if others and len(others) < len(first) / 2:
        what = f"also {', '.join(map(repr, others[:4]))[:80]}"
        raise FormatError(who, f"columns of pixels beside {first[column]!r}", what, "take such columns out")


def _is_header(first: list[str], column: int, label: str | int | None) -> bool:
    """Whether the first row has the columns' names, and not an image."""
    if isinstance(label, str) or first[column].lower() in _LABELS:
        return True
    fields = first[:column] + first[column + 1 :]
    if not any(map(_is_number, fields)):
        return True
    is_counted = any(all(field == str(i) for i, field in enumerate(fields, start)) for start in (0, 1))
    return is_counted and len(fields) > 2 and not _is_number(first[column])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_numbers(who: str, texts: list[str], classes: Sequence[str]) -> NDArray:
    """The texts, as numbers if all of them are."""
    numbers = [bool(re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", text)) for text in texts]
    if all(numbers):
        return np.array([int(float(text)) for text in texts], np.int64)
    if all(map(_is_number, texts)):
        return np.array(texts, np.float64)  # which are no classes, as the caller says
    if any(numbers) and not classes:
        number, text = texts[numbers.index(True)], texts[numbers.index(False)][:40]
        remedy = "mend them, or name all classes with classes="
        warn(who, f"labels are numbers and texts, such as {number!r} and {text!r}, and are ordered as texts", remedy)
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
