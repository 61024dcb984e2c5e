"""Pictures and their labels in a table: a row has the name of a file, and a class, several labels or numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, OptionError, warn
from ..options import expanded
from ..typing import NDArray, Pair
from .csv_columns import is_number
from .decode import Reading
from .labels import MISSING_REMEDY, as_numbers, is_missing, to_classes, to_targets
from .part_names import TEST, TRAIN, parts_of
from .pictures import read_pictures
from .split import Split
from .splits import MOST_BYTES, TEST_FRACTION, Parts, counterpart, reader
from .table_columns import TableColumns, files_of, first_fault, kind_of, table_columns
from .table_file import Rows, read_rows

_WHO, _ROWS = "picture_table", "a header, and rows of a picture and its label"
_YES_NO = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}


@reader
def picture_table(
    path: str | os.PathLike[str],
    *,
    image: str | int | None = None,
    label: str | int | Sequence[str] | None = None,
    split: str | int | None = None,
    folder: str | os.PathLike[str] | None = None,
    ending: str = "",
    encoding: str = "utf-8",
    test: str | os.PathLike[str] | None = None,
    classes: Sequence[str] = (),
    regression: bool = False,
    size: Pair | None = None,
    resize: str = "squash",
    channels: int | None = None,
    scale: float | None = None,
    broken: str = "error",
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    source: str | None = None,
    most_bytes: int | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Parts:
    """Pictures named in a table (.csv, .tsv, .csv.gz), with a header, and their labels.

    One column of labels has each picture's class. Several have 0 or 1, and each is a question of its own; the classes
    are then their names. With `regression`, they are numbers to predict.

    Parameters
        path : of the table; files are relative to its folder
        image : the column of files, by its name or number; by default the one called filename, file, path, image …
        label : the column of labels, or several; by default the one called label, class, target …, else all others
            but ids
        split : the column that says train, val or test; by default the one called split, subset …
        folder : where the pictures are, relative to the table's folder
        ending : of the files, such as ".png", if the table leaves it out
        encoding : of the table, such as "cp1252"
        test : the table to test on; by default the one with "test" instead of "train" in its name, if it has labels
        classes : the classes' names, in the order of the labels
        regression : the labels are numbers to predict
        size, resize, channels, scale, broken, source, most_bytes, cache : see `image_folder`
        test_fraction, seed : to hold out, unless there are parts; see `hold_out`
    Raises
        DataError : a file or label is missing, or a picture has two labels
        FormatError : a file is broken, or it is not clear which columns are meant
        OptionError : an option makes no sense;  FileError : a file cannot be read
        MissingExtraError : Pillow is not installed

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in range(10):
    ...     Image.new("L", (8, 8), 25 * number + 30).save(folder / f"{number}.png")
    >>> rows = [f"{number}.png,{'dark' if number < 5 else 'light'}" for number in range(10)]
    >>> _ = (folder / "table.csv").write_text("\\n".join(["image,label", *rows]))
    >>> picture_table(folder / "table.csv").classes
    ('dark', 'light')
    """
    reading = Reading.checked(
        _WHO,
        size=size,
        resize=resize,
        channels=channels,
        scale=scale,
        broken=broken,
        source=source,
        most_bytes=most_bytes,
        cache=cache,
    )
    place = expanded(_WHO, path)
    where = None if folder is None else expanded(_WHO, folder)
    tables = [_read(place, image, label, split, where, ending, encoding)]
    if not tables[0].columns.labels:
        raise DataError(str(place), "a column of labels", ", ".join(tables[0].rows.names), "xpcnn predict takes it")
    other = counterpart(place) if test is None and tables[0].columns.split is None else None
    if (beside := other if test is None else expanded(_WHO, test)) is not None:
        names = [tables[0].rows.names[i] for i in tables[0].columns.labels]
        second = _beside(beside, names, tables[0], image, where, ending, encoding, stated=test is not None)
        tables += [] if second is None else [second]
    numbers, named = _labels(tables, classes, regression)
    files = [file for table in tables for file in table.files]
    _check_doubled(str(place), files, numbers)
    kinds = tables[0].kinds if len(tables) == 1 else [TRAIN] * len(tables[0].files) + [TEST] * len(tables[1].files)
    images, kept = read_pictures(files, place.name.partition(".")[0], reading)
    everything = Split(images, numbers[kept], reading.white, channels_first=False, resize=resize)
    train, held = parts_of([kinds[i] for i in kept])
    given, stated = (everything.select(np.array(part)) if part else None for part in (train, held))
    found = ""
    if stated is not None:
        column = tables[0].columns.split
        found = f"{place.name} and {beside.name}" if beside else f"the column {tables[0].rows.names[column or 0]}"
    return Parts(str(place), place.name.partition(".")[0], given, stated, named, found, test_fraction, seed)


class _Table(NamedTuple):
    """What a table says; `kinds` are the parts, or "" ."""

    path: Path
    rows: Rows
    columns: TableColumns
    files: list[Path]
    kinds: list[str]


def table_pictures(path: Path, **options: Any) -> list[Path]:
    """The pictures that a table names, with labels or without.

    Parameters
        options : image, folder, ending and encoding, as of `picture_table`
    Raises
        as `picture_table`
    """
    folder = options.get("folder")
    where = None if folder is None else expanded(_WHO, folder)
    ending, encoding = options.get("ending", ""), options.get("encoding", "utf-8")
    return _read(path, options.get("image"), None, None, where, ending, encoding).files


def _read(path: Path, image: Any, label: Any, split: Any, folder: Path | None, ending: str, encoding: str) -> _Table:
    who, rows = str(path), read_rows(path, _ROWS, encoding, MOST_BYTES)
    columns = table_columns(who, rows, image, label, split)
    kinds = [""] * len(rows.fields)
    if (at := columns.split) is not None:
        found = [kind_of(row[at]) for row in rows.fields]
        if odd := [i for i, kind in enumerate(found) if kind is None]:
            raise DataError(who, "train, val or test in each row", first_fault(rows, at, odd), "mend it")
        kinds = [kind or "" for kind in found]
    return _Table(path, rows, columns, files_of(path, rows, columns.image, folder, ending), kinds)


def _beside(
    path: Path,
    labels: list[str],
    train: _Table,
    image: Any,
    folder: Path | None,
    ending: str,
    encoding: str,
    *,
    stated: bool,
) -> _Table | None:
    """The table to test on, whose columns have the names of the other's; None if it has no labels."""
    rows = read_rows(path, _ROWS, encoding, MOST_BYTES)
    if missing := [name for name in labels if name not in rows.names]:
        if stated:
            raise DataError(str(path), f"columns {', '.join(labels)}, as {train.path.name} has", f"no {missing[0]}")
        warn(str(path), f"it has no labels and is not read; a part of {train.path.name} is held out to test on")
        return None
    return _read(path, image, labels, None, folder, ending, encoding)


def _labels(tables: Sequence[_Table], classes: Sequence[str], regression: bool) -> tuple[NDArray, tuple[str, ...]]:
    """The labels of all rows, and the names of the classes; () for a regression."""
    who = str(tables[0].path)
    names = [tables[0].rows.names[i] for i in tables[0].columns.labels]
    columns: list[list[str]] = [[] for _ in names]
    for table in tables:
        for texts, at in zip(columns, table.columns.labels, strict=True):
            found = [row[at] for row in table.rows.fields]
            lacking = [i for i, text in enumerate(found) if is_missing(text) and text not in classes]
            if lacking:
                got = first_fault(table.rows, at, lacking)
                raise DataError(str(table.path), "a label in each row", got, MISSING_REMEDY)
            texts += found
    if regression:
        for table in tables:
            for at in table.columns.labels:
                if wrong := [i for i, row in enumerate(table.rows.fields) if not is_number(row[at])]:
                    raise DataError(str(table.path), "numbers to predict", first_fault(table.rows, at, wrong))
        return to_targets(who, np.array([list(map(float, texts)) for texts in columns]).T), ()
    if not tables[0].columns.several:
        texts = list(dict.fromkeys(columns[0]))
        places = {text: i for i, text in enumerate(texts)}
        values = as_numbers(who, texts, classes)[[places[text] for text in columns[0]]]
        (numbers,), named = to_classes(who, [values], classes, least=1)
        return numbers, named
    for table in tables:
        for at in table.columns.labels:
            if wrong := [i for i, row in enumerate(table.rows.fields) if row[at].lower() not in _YES_NO]:
                remedy = "label= names the column of the class, or regression=True predicts numbers"
                expected = f"0 or 1 in each of the columns {', '.join(names[:6])}"
                raise DataError(str(table.path), expected, first_fault(table.rows, at, wrong), remedy)
    if classes and list(classes) != names:
        raise OptionError(who, "no classes, as the columns have names", repr(list(classes)))
    return np.array([[_YES_NO[text.lower()] for text in texts] for texts in columns], np.float32).T, tuple(names)


def _check_doubled(who: str, files: Sequence[Path], labels: NDArray) -> None:
    """Refuse a picture that has two different labels."""
    first: dict[Path, int] = {}
    for i, file in enumerate(files):
        if (labels[first.setdefault(file, i)] != labels[i]).any():
            raise DataError(who, "one label of each picture", f"two of {file.name}", "take one of the rows out")
