"""Images in a text table: one row per image, a column of labels and one for each pixel, as in MNIST-as-CSV."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError, FormatError, warn
from ..options import expanded
from ..typing import NDArray, Shape
from .csv_columns import Columns, columns_of, columns_to_test, is_number, pixel_columns
from .labels import MISSING_REMEDY, as_numbers, is_missing
from .splits import MOST_BYTES, TEST_FRACTION, Parts, assemble, counterpart, reader
from .table_file import first_row, open_table

_ROWS = "rows of a label and numbers"


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
    encoding: str = "utf-8",
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Parts:
    """Images and labels from a table (.csv, .tsv, .csv.gz), with or without a header.

    The first row is a header if it names the column of the labels, if a pixel in it is not a number, or if it numbers
    the columns. Columns are separated by commas, semicolons or tabs. Labels are numbers or texts. The pixels of a row
    are an image's rows from the top; in RGB, the three numbers of a pixel are adjacent. pixel0, pixel1, pixel10 … are
    sorted by number.

    Parameters
        label : the column of the labels, by its name or its number from 0 on (−1 is the last); by default the one
            called label, labels, class, target, y or category, else the only one whose name is not that of pixels
            (pixel0, 1x1) or rows (id, index); without a header, the first
        test : the file to test on. It has the same columns; they are matched by name if both files have a header,
            else by position. By default it is the file in the same folder with "test" (or else "val") instead of
            "train" in its name, if there is one with labels; else a fraction of the rows
        classes, regression, image_shape, channels_first, scale, test_fraction, seed : as of `array_file`
        encoding : of the text, such as "cp1252"
        most_bytes : refuse larger files
    Raises
        FormatError : rows of several lengths, pixels that are not numbers, or a file that is too large
        OptionError : `label` is not a column, or it is not clear which column has the labels
        FileError : the file cannot be read;  DataError : it has no labelled images, or rows without a label

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "few.csv"
    >>> _ = path.write_text("label,p0,p1,p2,p3" + "\\n0,0,255,0,255\\n1,255,0,255,0" * 5)
    >>> csv_file(path).train
    Split(8 images (2, 2, 1), labels 0 … 1)
    """
    path = expanded("csv_file", path)
    other = counterpart(path) if test is None else expanded("csv_file", test)
    read = partial(_read, regression=regression, classes=classes, encoding=encoding, most_bytes=most_bytes)
    train, columns = read(path, partial(columns_of, label=label))
    assert train is not None
    assert columns is not None
    beside = None
    if other is not None:
        beside, _ = read(other, partial(columns_to_test, label=label, train=columns, train_name=path.name))
        if beside is None and test is not None:
            got = f"none, as {path.name} has one"
            raise DataError(str(other), "a column of labels", got, "without test=, a part of the rows is held out")
        if beside is None:
            warn(str(other), f"it has no labels and is not read; a part of {path.name} is held out to test on")
            other = None
        elif not regression:
            _compare(str(other), beside[1], path.name, train[1])
    return assemble(
        path,
        train,
        beside,
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
    path: Path,
    choose: Callable[[str, list[str]], Columns | None],
    *,
    regression: bool,
    classes: Sequence[str],
    encoding: str,
    most_bytes: int,
) -> tuple[tuple[NDArray, NDArray] | None, Columns | None]:
    """The pixels (N, D) and the labels (N,), numbers or texts, from the columns that the first row determines."""
    with open_table(path, encoding, most_bytes) as file:
        first, separator = first_row(str(path), file, _ROWS)
        columns = choose(str(path), first)
        if columns is None:
            return None, None
        if not columns.names:
            file.seek(0)  # this row is the first image
        return _parse(str(path), file, separator, len(first), columns, regression, classes), columns


def _parse(
    who: str,
    file: IO[str],
    separator: str,
    fields: int,
    columns: Columns,
    regression: bool,
    classes: Sequence[str],
) -> tuple[NDArray, NDArray]:
    start, of_texts = file.tell(), None if regression else columns.label
    try:
        table, texts = _table(file, np.uint8, separator, of_texts)  # five times as fast as float32, if it fits
    except (ValueError, OverflowError):
        file.seek(start)
        try:
            table, texts = _table(file, np.float32, separator, of_texts)
        except ValueError as error:
            if isinstance(error, UnicodeDecodeError):
                raise
            found = _first_wrong(file, separator, fields, of_texts, start > 0) or str(error).partition("\n")[0]
            remedy = "mend it, or name the column of labels with label="
            raise FormatError(who, "rows of a label and numbers, all of one length", found, remedy) from None
    if not len(table) or table.shape[1] != fields:
        got = f"{len(table)} of {table.shape[1]}" if len(table) else "no rows"
        raise FormatError(who, f"rows of {fields} fields", got)
    pixels = np.take(table, columns.pixels, axis=1)  # (N, D)
    if not np.isfinite(pixels).all():
        row = int(np.flatnonzero(~np.isfinite(pixels).all(1))[0])
        raise DataError(who, "finite pixels", f"NaN or infinity in image {row + 1}", "leave it out")
    places = table[:, columns.label]
    if regression:
        return pixels, places
    places = places.astype(np.int64)
    for i, text in enumerate(texts):
        if is_missing(text) and text not in classes:
            row = int(np.flatnonzero(places == i)[0]) + 1
            at = f"image {row}, row {row + (start > 0)}"
            raise DataError(who, "a label in each row", f"{text!r} of {at}", MISSING_REMEDY)
    labels = as_numbers(who, texts, classes)[places]
    if columns.is_guess:
        _doubt(who, labels, pixels)
    return pixels, labels


def csv_images(path: Path, input_shape: Shape) -> NDArray:
    """The images in a table without labels: (N, *input_shape).

    Raises
        FormatError : rows of other lengths, or fields that are no numbers;  FileError : it cannot be read
    """
    who = str(path)
    with open_table(path, "utf-8", MOST_BYTES) as file:
        first, separator = first_row(who, file, _ROWS)
        columns, has_header = pixel_columns(who, first, int(np.prod(input_shape)))
        if not has_header:
            file.seek(0)
        start = file.tell()
        try:
            options: dict[str, Any] = {"delimiter": separator, "usecols": columns, "quotechar": '"'}
            table: NDArray = np.loadtxt(file, np.float32, comments=None, ndmin=2, **options)
        except ValueError as error:
            file.seek(start)
            found = _first_wrong(file, separator, len(first), None, has_header) or str(error).partition("\n")[0]
            raise FormatError(who, f"rows of {len(first)} numbers", found, "mend it") from None
    if not len(table):
        raise FormatError(who, "rows of numbers", "none")
    return table.reshape(-1, *input_shape)


def _doubt(who: str, labels: NDArray, pixels: NDArray) -> None:
    """Warn if the first column, which is the labels' only by default, looks less like labels than the last one."""
    last = pixels[:, -1]
    if labels.dtype.kind != "U" and not _are_classes(labels) and _are_classes(last) and last.max() < pixels.max():
        what = f"the labels are taken from the first column, but those of the last are {last.min():g} … {last.max():g}"
        warn(who, what, "pass label=-1 if the last column is that of the labels, else label=0")


def _are_classes(numbers: NDArray) -> bool:
    """True if these are 0 … K−1 or 1 … K, each about twice or more."""
    values = np.unique(numbers)
    return 2 <= len(values) <= len(numbers) / 2 and np.array_equal(values - min(values[0], 1), np.arange(len(values)))


def _compare(who: str, labels: NDArray, train_name: str, of_train: NDArray) -> None:
    """Warn of test labels that no training image has."""
    if labels.dtype.kind == of_train.dtype.kind and len(unknown := np.setdiff1d(labels, of_train)):
        told = ", ".join(map(str, unknown[:6])) + (" …" if len(unknown) > 6 else "")
        warn(who, f"it has labels that {train_name} lacks: {told}", "see that its columns are those of that file")


def _table(file: IO[str], dtype: Any, separator: str, column: int | None) -> tuple[NDArray, list[str]]:
    """The rest of the file, (N, 1 + D). `column` holds indices into the list of texts; without it, all are numbers."""
    texts: dict[str, int] = {}

    def place(text: str) -> int:
        return texts.setdefault(text.strip().strip('"'), len(texts))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are no rows; the caller handles that
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


def _first_wrong(file: IO[str], separator: str, fields: int, texts: int | None, has_header: bool) -> str:
    """The error in the first line that is not a row of that many fields, all numbers except in column `texts`."""
    file.seek(0)
    reader = csv.reader(file, delimiter=separator)
    try:
        for row in filter(None, reader):
            if has_header:
                has_header = False
            elif len(row) != fields:
                return f"{len(row)} fields in line {reader.line_num}, not {fields}"
            elif wrong := [field for i, field in enumerate(row) if i != texts and not is_number(field)]:
                return f"{wrong[0][:40]!r} in line {reader.line_num}"
    except csv.Error as error:
        return f"line {reader.line_num}: {error}"
    return ""
