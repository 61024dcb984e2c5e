"""Finds the column of labels in a table, and the order in which the other columns are an image's pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from ..errors import FormatError, OptionError
from ..typing import NDArray

LABELS = ("label", "labels", "class", "target", "y", "classes", "targets", "category")  # of the column of labels
_PIXEL = re.compile(r"\D{0,8}[\s_-]*\d+([\sx_,-]+\d+)*", re.IGNORECASE)  # names of a pixel's column: pixel0, 1x1
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII)
# Names of a column that numbers the rows or states their origin; "" is the index of pandas.
IDS = {"", "id", "ids", "index", "idx", "imageid", "imgid", "sampleid", "rowid", "row", "filename", "file", "unnamed0"}


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table.

    Parameters
        names : of all columns, from the header; () if there is none
        label : the number of the column of labels
        pixels : the numbers of the columns of pixels, in the order of the image's pixels
        is_guess : `label` is only a guess, made because the column is the first
    """

    names: tuple[str, ...]
    label: int
    pixels: NDArray
    is_guess: bool = False

    def pixel_names(self) -> list[str]:
        """The names of the pixels, in lower case."""
        return [self.names[i].lower() for i in self.pixels]


def columns_of(who: str, first: list[str], label: str | int | None) -> Columns:
    """The columns of a table, from its first row.

    Parameters
        first : the fields of the first row, which is a header or an image
        label : the column of labels, by its name or its number; None finds it
    Raises
        OptionError : `label` is not a column, or it is not clear which column has the labels
        FormatError : there are columns besides labels and pixels, or the order of the pixels is unknown
    """
    column = _column(who, first, label)
    others = np.delete(np.arange(len(first)), column)
    if not _is_header(first, column, label):
        return Columns((), column, others, label is None)
    _check_names(who, first, column)
    is_guess = label is None and first[column].lower() not in LABELS and is_number(first[column])
    return Columns(tuple(first), column, _in_order(who, first, others), is_guess)


def columns_to_test(
    who: str, first: list[str], label: str | int | None, train: Columns, train_name: str
) -> Columns | None:
    """The columns of the test table, in the order of those of the training table; None if it has no labels.

    Columns are matched by name if both tables have names, else by position.

    Parameters
        first, label : as for `columns_of`;  train, train_name : the other table's columns, and its name
    Raises
        as `columns_of`; FormatError : the pixels have other names
    """
    if len(first) == len(train.pixels):
        return None
    lower, name = [each.lower() for each in first], train.names[train.label].lower() if train.names else ""
    if not (name in lower and not is_number(name)) and not _is_header(first, train.label, None):
        if len(first) != len(train.pixels) + 1:
            return columns_of(who, first, label)
        return Columns((), train.label, train.pixels, train.is_guess)
    named = next((first[lower.index(each)] for each in (name, *LABELS) if each and each in lower), None)
    if train.names and named is None:
        return None
    found = columns_of(who, first, label if named is None else named)
    expected, got = (each.pixel_names() if train.names else [] for each in (train, found))
    if len(expected) != len(got) or expected == got:
        return found
    place = dict(zip(got, found.pixels, strict=True))
    if missing := [each for each in expected if each not in place]:
        other = next((each for each in got if each not in expected), got[0])
        raise FormatError(who, f"a column of pixels {missing[0]!r}, as {train_name} has", repr(other), "rename them")
    return Columns(found.names, found.label, np.array([place[each] for each in expected]))


def pixel_columns(who: str, first: list[str], count: int) -> tuple[NDArray, bool]:
    """The columns of images of `count` numbers, in the order of the pixels, and whether the first row is a header.

    Columns that are called as labels or ids are left out.

    Raises
        FormatError : there are more or fewer, or their order is unknown
    """
    named = not all(map(is_number, first)) or (len(first) > 3 and _are_counted(first))
    known = [i for i, name in enumerate(first) if not (named and (name.lower() in LABELS or plain(name) in IDS))]
    if len(known) != count:
        remedy = "call columns of labels label, and of ids id"
        raise FormatError(who, f"rows of {count} numbers, one image each", f"{len(known)} columns", remedy)
    columns = np.array(known)
    return _in_order(who, first, columns) if named else columns, named


def is_number(text: str) -> bool:
    """True if the text is a number as tables write it: Python would accept 1_0 as 10.

    >>> is_number("1.5e3"), is_number("1_0")
    (True, False)
    """
    return _NUMBER.fullmatch(text.strip()) is not None


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
    named = next((lower.index(name) for name in LABELS if name in lower), None)
    if named is not None or any(map(is_number, islice(first, 1, None))) or not any(islice(first, 1, None)):
        return named or 0  # without it, these are not names
    others = [i for i, name in enumerate(first) if not _PIXEL.fullmatch(name)]
    if len(others) == 1 and plain(first[others[0]]) not in IDS:
        return others[0]
    expected = f"a column called {', '.join(LABELS[:5])}, or one alone that is not called as pixels are"
    raise OptionError(who, expected, ", ".join(first[:4])[:60] + " …", "pass label=, its name or its number")


def plain(name: str) -> str:
    """A column's name without case, blanks and signs."""
    return re.sub(r"[\W_]+", "", name.lower())


def _check_names(who: str, first: list[str], column: int) -> None:
    """Refuse a column that holds neither labels nor pixels, such as an id."""
    others = [name for i, name in enumerate(first) if i != column and not _PIXEL.fullmatch(name)]
    if others and len(others) < len(first) / 2:
        what = f"also {', '.join(map(repr, others[:4]))[:80]}"
        raise FormatError(who, f"columns of pixels beside {first[column]!r}", what, "take such columns out")


def _is_header(first: list[str], column: int, label: str | int | None) -> bool:
    """True if the first row has the columns' names and not an image."""
    if isinstance(label, str) or first[column].lower() in LABELS:
        return True
    if len(first) > 3 and _are_counted(first):  # by pandas, without names
        return True
    fields = first[:column] + first[column + 1 :]
    if not any(map(is_number, fields)):
        return True
    return len(fields) > 2 and _are_counted(fields) and not is_number(first[column])


def _are_counted(fields: list[str]) -> bool:
    return any(all(field == str(i) for i, field in enumerate(fields, start)) for start in (0, 1))


def _in_order(who: str, first: list[str], pixels: NDArray) -> NDArray:
    """The columns of pixels, sorted by number if the table has them in text order: pixel0, pixel1, pixel10 …

    Raises
        FormatError : each has a number, but they are in no known order
    """
    names = [first[i] for i in pixels]
    if len(set(names)) < len(names) or all(_key(one) <= _key(next_) for one, next_ in pairwise(names)):
        return pixels
    places = sorted(range(len(names)), key=lambda k: _key(names[k]))
    if names == sorted(names):
        return pixels[places]
    if len({re.sub(r"\d+", "0", name, count=1, flags=re.ASCII) for name in names}) == 1:
        at = next(k for k, place in enumerate(places) if place != k)
        got = f"{names[at]!r} before {names[places[at]]!r}"
        raise FormatError(who, "columns of pixels in the order of their numbers", got, "sort the columns")
    return pixels


def _key(name: str) -> list[tuple[int, str]]:
    """A sort key: a name's texts, and its numbers by size, with any number of digits."""
    pieces = re.split(r"0*(\d+)", name, flags=re.ASCII)  # every second part is a number
    return [(len(piece) * (k % 2), piece) for k, piece in enumerate(pieces)]
