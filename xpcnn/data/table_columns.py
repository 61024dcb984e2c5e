"""Finds, in a table of pictures, the columns of their files, labels and parts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError, FormatError, OptionError, XpcnnError, warn
from .csv_columns import IDS, LABELS, is_number, plain
from .part_names import part_name
from .picture_files import ENDINGS
from .splits import MOST_BYTES
from .table_file import Rows, first_row, open_table

_FILES: tuple[str, ...]
_FILES = ("filename", "filepath", "file", "path", "image", "img", "picture", "photo", "imagepath", "imagename")
_FILES += ("imagefile", "imgpath", "imgname", "imagefilename", "filenames", "images")
_SPLITS = ("split", "subset", "partition", "set", "part")


class TableColumns(NamedTuple):
    """The numbers of a table's columns; there may be no labels, and no parts."""

    image: int
    labels: tuple[int, ...]
    split: int | None
    several: bool  # each label is a question of its own


def has_pictures(rows: Rows) -> bool:
    """True if a column holds names of pictures: it is called so, or its fields end so."""
    at = _image(rows)
    return at is not None and not any(is_number(row[at]) for row in rows.fields)


def is_of_pictures(path: Path, encoding: str) -> bool:
    """True if `has_pictures` says so of the first row below the header."""
    try:
        with open_table(path, encoding, MOST_BYTES) as file:
            names, separator = first_row(str(path), file, "rows", least=1)
            fields = next(csv.reader(file, delimiter=separator), [])
    except (XpcnnError, csv.Error):
        return False  # whoever reads all of it says what is wrong
    return len(fields) == len(names) and has_pictures(Rows(names, [fields], [2]))


def table_columns(who: str, rows: Rows, image: Any, label: Any, split: Any) -> TableColumns:
    """The columns, by names or numbers from 0 on, or by what they are called and hold.

    Parameters
        label : a column or several; None for the one called label, class or target, else for all others but ids
    Raises
        OptionError : there is no such column;  FormatError : it is not clear which is meant
    """
    names = rows.names
    at = _image(rows) if image is None else _column(who, "image", names, image)
    if at is None:
        got = ", ".join(names[:8])
        raise FormatError(who, "a column of pictures, such as filename", got, "pass image=, its name")
    if names[at].lower().endswith(ENDINGS):
        raise FormatError(who, "a header above the rows", f"the picture {names[at]}", "write one, such as image,label")
    by_name = next((i for i, name in enumerate(names) if plain(name) in _SPLITS and i != at), None)
    part = by_name if split is None else _column(who, "split", names, split)
    if split is None and part is not None and (odd := [row[part] for row in rows.fields if kind_of(row[part]) is None]):
        warn(who, f"the column {names[part]!r} has {odd[0]!r}, which is neither train, val nor test: it is left alone")
        part, others = None, {at, part}
    else:
        others = {at} if part is None else {at, part}
    if label is not None:
        found = _given(who, names, label)
        return TableColumns(at, found, part, len(found) > 1 or isinstance(label, list | tuple))
    lower = [name.lower() for name in names]
    named = [lower.index(each) for each in LABELS if each in lower and lower.index(each) not in others]
    rest = [i for i, name in enumerate(names) if i not in others and plain(name) not in IDS]
    labels = tuple(named[:1] or rest)
    return TableColumns(at, labels, part, len(labels) > 1)


def kind_of(text: str) -> str | None:
    """The part that a field states, or None."""
    part = part_name(text)
    return part.kind if part and not part.rest else None


def _image(rows: Rows) -> int | None:
    named = [plain(name) for name in rows.names]
    ends = [i for i in range(len(named)) if all(row[i].lower().endswith(ENDINGS) for row in rows.fields[:100])]
    called = [named.index(name) for name in _FILES if name in named]
    return next((i for i in called if i in ends), ends[0] if len(ends) == 1 else next(iter(called), None))


def _given(who: str, names: list[str], label: Any) -> tuple[int, ...]:
    """The columns of labels: one, a list of them, or a text that names several, with commas between them."""
    if isinstance(label, str) and label not in names and "," in label:
        label = [each.strip() for each in label.split(",")]
    several = label if isinstance(label, list | tuple) else [label]
    found = tuple(_column(who, "label", names, each) for each in several)
    if not found or len(set(found)) < len(found):
        raise OptionError(who, "label: columns, each once", repr(label))
    return found


def _column(who: str, what: str, names: list[str], given: Any) -> int:
    if isinstance(given, str) and given in names:
        return names.index(given)
    if isinstance(given, int) and not isinstance(given, bool) and -len(names) <= given < len(names):
        return given % len(names)
    raise OptionError(who, f"{what}: a column among {', '.join(names[:8])}", repr(given))


def files_of(table: Path, rows: Rows, column: int, folder: Path | None, ending: str) -> list[Path]:
    """The pictures' files, relative to the table's folder or to the other one.

    Raises
        DataError : one is missing
    """
    root = table.parent if folder is None else table.parent / folder
    found = [_file(root, row[column], ending) for row in rows.fields]
    if missing := [i for i, path in enumerate(found) if not path.is_file()]:
        first = missing[0]
        got = f"no {found[first]}, in line {rows.lines[first]}" + (
            f", nor {len(missing) - 1} others" * (len(missing) > 1)
        )
        remedy = "pass folder=, in which they are, and ending=.png if the table leaves that out"
        raise DataError(str(table), "pictures that exist", got, remedy)
    return found


def _file(root: Path, text: str, ending: str) -> Path:
    name = text + ending if ending and not text.lower().endswith(ENDINGS) else text
    path = root / name
    return root / name.replace("\\", "/") if "\\" in name and not path.exists() else path


def first_fault(rows: Rows, column: int, wrong: Sequence[int]) -> str:
    """The first field that is wrong, and where it is."""
    i = wrong[0]
    return f"{rows.fields[i][column][:40]!r} in line {rows.lines[i]}, column {rows.names[column]}"
