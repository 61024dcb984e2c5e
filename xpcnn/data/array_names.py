"""The names that images and labels have in .npz and HDF5 files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, TypeAlias

from .part_names import TEST, TRAIN, VALIDATION, WORDS

PairName: TypeAlias = tuple[str, str]  # of images and labels
_LABELS = ("labels", "targets", "target", "label")


def _pairs(part: str) -> tuple[PairName, ...]:
    """The names of a part's images and labels, the usual ones first."""
    usual = (f"x_{part}", f"y_{part}"), (f"{part}_images", f"{part}_labels"), (f"X_{part}", f"y_{part}")
    letters = (f"X_{part}", f"Y_{part}"), *((f"{part}_{x}", f"{part}_{y}") for x, y in ("xy", "Xy", "XY"))
    words = product((f"{part}_images", f"{part}_data", f"{part}_imgs"), (f"{part}_{word}" for word in _LABELS))
    return *usual, *letters, *words, (f"{part}_images", f"{part}_masks"), (f"{part}_set_x", f"{part}_set_y")


WHOLE: tuple[PairName, ...] = (("images", "labels"), ("x", "y"), ("X", "y"), ("X", "Y"))
WHOLE += tuple(product(("images", "data", "image", "imgs"), _LABELS))
WHOLE += (("images", "masks"), ("arr_0", "arr_1"))  # np.savez(path, images, labels)
TRAIN_PAIRS = (*(pair for part in WORDS[TRAIN] for pair in _pairs(part)), *WHOLE)
TEST_PAIRS = tuple(pair for part in (*WORDS[TEST], *WORDS[VALIDATION]) for pair in _pairs(part))
CLASSES = ("classes", "class_names", "list_classes", "target_names", "label_names")
KNOWN = {*CLASSES, *(name for pair in (*TRAIN_PAIRS, *TEST_PAIRS) for name in pair)}


def find_pair(arrays: Mapping[str, Any], names: Iterable[PairName]) -> PairName | None:
    """The first of these pairs of names that both are there."""
    return next(((x, y) for x, y in names if x in arrays and y in arrays), None)
