"""Labels as files have them, whole numbers or names, as classes: the numbers 0, 1, 2 … and a name for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..typing import NDArray

# What stands where a label is missing; pandas reads these so, but for the question mark, which UCI's tables have.
_MISSING = {"", "?", "na", "n/a", "<na>", "#n/a", "#na", "nan", "-nan", "null", "none", "nil"}
MISSING_REMEDY = "leave such rows out, or name all classes with classes= if it is one"


def is_missing(text: str) -> bool:
    """Whether the text says that there is no label.

    >>> is_missing(" N/A"), is_missing("7")
    (True, False)
    """
    return text.strip().lower() in _MISSING


def class_names(who: str, array: NDArray) -> list[str]:
    """The names of classes that a file holds, (K,), texts or whole numbers.

    Raises
        DataError : they are neither, or no row

    >>> class_names("file", np.array([b"cat", b"dog"]))
    ['cat', 'dog']
    """
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(who, "texts or whole numbers (K,)", f"{array.dtype} {array.shape}")
    return list(map(str, _texts(array).tolist()))


def to_classes(
    who: str, parts: Sequence[NDArray], names: Sequence[str] = (), *, least: int = 2
) -> tuple[list[NDArray], tuple[str, ...]]:
    """Each part's labels as numbers of classes, and the classes' names.

    A class is a value that occurs in any part; numbers come in their order, texts in that of the alphabet. So labels
    that do not begin at 0, or leave numbers out, are numbered anew.

    Parameters
        parts : the labels of each part, (N,), whole numbers (of any type) or texts
        names : the classes' names; labels that are numbers below their count are those classes as they stand, and
            other values are named in their order
        least : how many classes there must be
    Returns
        each part's labels, (N,) int64, and the names
    Raises
        DataError : labels that are neither whole numbers nor texts, or not as many names as values;
            too few classes

    >>> to_classes("files", [np.array([5, 3, 5]), np.array([3])])
    ([array([1, 0, 1]), array([0])], ('3', '5'))
    >>> to_classes("files", [np.array(["dog", "cat"])])
    ([array([1, 0])], ('cat', 'dog'))
    """
    plain = [_plain(who, part, names) for part in parts]
    if plain[0].dtype.kind != "U" and any(part.dtype.kind == "U" for part in plain):
        raise DataError(who, "labels that are numbers, as in training", "texts to test on", "mend them")
    together = np.concatenate(plain)
    is_text = together.dtype.kind == "U"
    if names and not is_text and together.min() >= 0 and together.max() < len(names):
        numbers = together.astype(np.int64)
    else:
        values, numbers = np.unique(together, return_inverse=True)
        if names and len(names) != len(values):
            raise DataError(who, f"{len(values)} names, one a class", str(len(names)), f"the labels are {_few(values)}")
        names = names or [str(value) for value in values.tolist()]
    if len(names) < least:
        remedy = "name the classes that there are, or take regression=True for targets"
        raise DataError(who, "at least two classes", ", ".join(map(str, names)) or "none", remedy)
    ends = np.cumsum([len(part) for part in plain])[:-1]
    return [part.astype(np.int64) for part in np.split(numbers, ends)], tuple(map(str, names))


def to_targets(who: str, labels: NDArray) -> NDArray:
    """The targets of a regression as float32 (N, D), as a network gives them; (N,) becomes (N, 1).

    Raises
        DataError : they are no numbers, or not finite
    """
    if labels.dtype.kind not in "iuf":
        raise DataError(who, "numbers as targets of a regression", str(labels.dtype), "leave out regression")
    with np.errstate(over="ignore"):
        targets = labels.astype(np.float32)
    if not np.isfinite(targets).all():
        raise DataError(who, "finite targets, of float32", "NaN or infinity", "leave such images out")
    return targets[:, None] if targets.ndim == 1 else targets


def _plain(who: str, labels: NDArray, names: Sequence[str]) -> NDArray:
    """Labels (N,) as int64 or text, without blanks around it."""
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
        flat = np.char.strip(flat)
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
    """The array, its bytes as texts."""
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def _few(values: NDArray) -> str:
    told = [str(value) for value in values[:8].tolist()]
    return ", ".join(told) + (" …" if len(values) > 8 else "")
