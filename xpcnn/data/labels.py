"""Turns labels from files, whole numbers or names, into classes: the numbers 0, 1, 2 … and a name for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import normalize

import numpy as np

from ..errors import DataError, OptionError, warn
from ..options import as_names, repeated
from ..typing import NDArray
from .csv_columns import is_number

# Texts for a missing label: those of pandas, UCI's tables (?), databases (\N) and spreadsheets (#…).
_MISSING = {
    *("", "?", "--", "na", "n/a", "n.a.", "<na>", "nan", "-nan", "null", "none", "nil", "nat", "\\n"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    *("#n/a", "#na", "#n/a n/a", "#value!", "#ref!", "#div/0!", "#name?", "#null!", "#num!"),
}
MISSING_REMEDY = "leave such rows out, or name all classes with classes= if it is one"


def is_missing(text: str) -> bool:
    """True if the text says that there is no label.

    >>> is_missing(" N/A"), is_missing("7")
    (True, False)
    """
    return text.strip().lower() in _MISSING


def as_numbers(who: str, texts: list[str], classes: Sequence[str]) -> NDArray:
    """The texts, as numbers if all of them are numbers, but not if they are names such as 01."""
    if set(texts) <= set(classes) and not all(re.fullmatch(r"0|-?[1-9]\d*", name) for name in classes):
        return np.array(texts)
    whole = [bool(re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", text, re.ASCII)) for text in texts]
    if all(whole) or all(map(is_number, texts)):
        plain = [re.sub(r"^\+|\.0*$", "", text) for text in texts]
        numbers = np.array(list(map(int, plain)), np.int64) if all(whole) else np.array(plain, np.float64)
        alike: dict[float, str] = {}
        for text, number in zip(plain, numbers.tolist(), strict=True):
            if alike.setdefault(number, text) != text:
                what = f"the labels {alike[number]!r} and {text!r} are taken as one class"
                warn(who, what, "write them alike, or name all classes with classes= if they are two")
                break
        return numbers  # fractions are not classes; the caller refuses them
    if any(whole) and not classes:
        number, text = texts[whole.index(True)], texts[whole.index(False)][:40]
        remedy = "mend them, or name all classes with classes="
        warn(who, f"labels are numbers and texts, such as {number!r} and {text!r}, and are ordered as texts", remedy)
    return np.array(texts)


def class_names(who: str, array: NDArray) -> list[str]:
    """The names of classes from a file, (K,), texts or whole numbers.

    Raises
        DataError : they are neither, are not one-dimensional, or one occurs twice

    >>> class_names("file", np.array([b"cat", b"dog"]))
    ['cat', 'dog']
    """
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(who, "texts or whole numbers (K,)", f"{array.dtype} {array.shape}")
    names = list(map(str, _texts(array).tolist()))
    if (twice := repeated(names)) is not None:
        raise DataError(who, "names that differ", f"{twice!r} twice", "give each class a name of its own")
    return names


def to_classes(
    who: str, parts: Sequence[NDArray], names: Sequence[str] = (), *, least: int = 2
) -> tuple[list[NDArray], tuple[str, ...]]:
    """Each part's labels as numbers of classes, and the classes' names.

    Each value that occurs in any part is a class; numbers are sorted by size, texts alphabetically. So labels that do
    not begin at 0, or skip numbers, are renumbered.

    Parameters
        parts : the labels of each part, (N,), whole numbers (of any type) or texts
        names : the classes' names; `_of_names` explains which label is which
        least : the minimum number of classes
    Returns
        each part's labels, (N,) int64, and the names
    Raises
        DataError : labels that are neither whole numbers nor texts, or whose names are not clear; too few classes
        OptionError : `names` are not texts, or two are equal

    >>> to_classes("files", [np.array([5, 3, 5]), np.array([3])])
    ([array([1, 0, 1]), array([0])], ('3', '5'))
    >>> to_classes("files", [np.array(["dog", "cat"])])
    ([array([1, 0])], ('cat', 'dog'))
    """
    if isinstance(names, str):
        raise OptionError(who, "classes: names", repr(names), 'write ["cat", "dog"]')
    names = tuple(normalize("NFC", name.strip()) for name in as_names(who, "classes", names, distinct=True))
    plain = [_plain(who, part, names) for part in parts]
    if plain[0].dtype.kind != "U" and any(part.dtype.kind == "U" for part in plain):
        raise DataError(who, "labels that are numbers, as in training", "texts to test on", "mend them")
    together = np.concatenate(plain)
    if names:
        numbers = _of_names(who, together, names)
    else:
        values, numbers = np.unique(together, return_inverse=True)
        if together.dtype.kind != "U":
            _look_for_missing(who, values)
        names = tuple(map(str, values.tolist()))
    if len(names) < least:
        remedy = "name the classes that there are, or take regression=True for targets"
        raise DataError(who, "at least two classes", ", ".join(map(str, names)) or "none", remedy)
    ends = np.cumsum([len(part) for part in plain])[:-1]
    return [part.astype(np.int64) for part in np.split(numbers, ends)], names


def _of_names(who: str, labels: NDArray, names: tuple[str, ...]) -> NDArray:
    """The index of each label's name, if the names are given.

    Texts are names. Numbers are names that are written that way, or else indices from 0 on. Other numbers get the names
    in their order, but not if one is the index of another name: it would be read as that if others were missing.

    Raises
        DataError : texts that are not names; numbers that may mean two names, or more or fewer numbers than names
    """
    values, inverse = np.unique(labels, return_inverse=True)
    told, place = f"{_few(values)}, and the names {_few(names)}", {name: i for i, name in enumerate(names)}
    named = np.array([place.get(str(value), -1) for value in values.tolist()])
    if labels.dtype.kind == "U":
        if (named < 0).any():
            expected, got = (
                "labels that are among the names of classes",
                f"{_few(values[named < 0])}, not {_few(names)}",
            )
            raise DataError(who, expected, got, "give the names as the labels have them")
        return named[inverse]
    within = values[0] >= 0 and values[-1] < len(names)
    if (named >= 0).all():
        if within and (named != values).any():
            remedy = "leave classes out, or give names that are no numbers"
            raise DataError(who, "labels that are either names of classes or their places", told, remedy)
        return named[inverse]
    if within:
        return labels
    if len(names) != len(values):
        raise DataError(who, f"{len(values)} names, one a class", str(len(names)), f"the labels are {_few(values)}")
    if ((values >= 0) & (values < len(names)) & (values != np.arange(len(names)))).any():
        remedy = f"number the classes from 0 to {len(names) - 1}, in the order of their names"
        raise DataError(who, "labels that are names of classes, or their places from 0 on", told, remedy)
    return inverse


def _look_for_missing(who: str, values: NDArray) -> None:
    """Warn of one negative number among classes 0, 1, 2 …, as −1 stands for no label; −1, 1 and −1, 0, 1 are signs."""
    lowest = int(values[0])
    if len(values) > 1 and lowest < 0 <= values[1] and (len(values) > 3 or -lowest not in values):
        what = f"the label {lowest} is taken as a class, beside {_few(values[1:])}"
        warn(who, what, f"if it says that there is no label, {MISSING_REMEDY.partition(',')[0]}")


def to_targets(who: str, labels: NDArray) -> NDArray:
    """The targets of a regression as float32 (N, D), like a network's outputs; (N,) becomes (N, 1).

    Raises
        DataError : they are not numbers, or not finite
    """
    if labels.dtype.kind not in "iuf":
        raise DataError(who, "numbers as targets of a regression", str(labels.dtype), "leave out regression")
    with np.errstate(over="ignore"):
        targets = labels.astype(np.float32)
    if not np.isfinite(targets).all():
        raise DataError(who, "finite targets, of float32", "NaN or infinity", "leave such images out")
    return targets[:, None] if targets.ndim == 1 else targets


def _plain(who: str, labels: NDArray, names: Sequence[str]) -> NDArray:
    """Labels (N,) as int64 or text, without surrounding blanks."""
    flat = labels.reshape(-1) if labels.ndim == 2 and 1 in labels.shape else labels  # (N, 1) as Keras has them, (1, N)
    if flat.ndim != 1:
        remedy = "labels.argmax(1) if they are one-hot; regression=True if they are targets"
        raise DataError(who, "labels (N,)", str(labels.shape), remedy)
    flat = _texts(flat)
    if flat.dtype.kind == "f":
        whole = np.isfinite(flat) & (flat == np.round(flat)) & (np.abs(flat) < np.float64(2**53))
        if not whole.all():
            at = int(np.flatnonzero(~whole)[0])
            remedy = "regression=True if they are the targets of a regression"
            if not np.isfinite(flat[at]):
                remedy = "leave out the images that have no label"
            raise DataError(who, "labels that are whole numbers or texts", f"{flat[at]} of image {at + 1}", remedy)
    elif flat.dtype.kind == "U":
        flat = np.array([normalize("NFC", text) for text in np.char.strip(flat).tolist()], np.str_)
        lacking = [text for text in np.unique(flat).tolist() if is_missing(text) and text not in names]
        if lacking:
            at = int(np.flatnonzero(np.isin(flat, lacking))[0])
            raise DataError(who, "a label of each image", f"{flat[at].item()!r} of image {at + 1}", MISSING_REMEDY)
    elif flat.dtype.kind not in "biu":
        raise DataError(who, "labels that are whole numbers or texts", str(flat.dtype))
    if flat.dtype.kind == "u" and flat.size and flat.max() > np.iinfo(np.int64).max:  # int64 would make it negative
        raise DataError(who, "labels below 2⁶³", str(flat.max()), "number the classes 0, 1, 2 …")
    return flat if flat.dtype.kind == "U" else flat.astype(np.int64)


def _texts(array: NDArray) -> NDArray:
    """The array, with bytes decoded to texts."""
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def _few(values: NDArray | Sequence[str]) -> str:
    told = list(map(str, values[:8]))
    return ", ".join(told) + (" …" if len(values) > 8 else "")
