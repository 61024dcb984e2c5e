"""Names of parts of data sets: train and test, Training and Testing, seg_train, val2017, dev, x_trn …"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

TRAIN, TEST, VALIDATION = "train", "test", "validation"
WORDS = {
    TRAIN: ("train", "training", "trn"),
    TEST: ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    VALIDATION: ("val", "valid", "validation", "dev", "devel", "development"),
}
_KINDS = {word: kind for kind, words in WORDS.items() for word in words}
_FILLERS = ("set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos", "split", "part", "folder")
_GLUED = re.compile(rf"({'|'.join(sorted(_KINDS, key=len, reverse=True))})({'|'.join(_FILLERS)})")


class PartName(NamedTuple):
    """The meaning of a name: the kind of part, and the other words, which the parts of one data set share."""

    kind: str
    rest: tuple[str, ...]


def part_name(name: str) -> PartName | None:
    """The part that a folder's name states, if exactly one of its words does.

    >>> part_name("Training"), part_name("seg_test"), part_name("val2017")
    (PartName(kind='train', rest=()), PartName(kind='test', rest=('seg',)), PartName(kind='validation', rest=()))
    >>> part_name("trainset"), part_name("TrainImages"), part_name("trainer")
    (PartName(kind='train', rest=()), PartName(kind='train', rest=()), None)
    """
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))]
    words = [match[1] if (match := _GLUED.fullmatch(word)) else word for word in words]
    kinds = [_KINDS[word] for word in words if word in _KINDS]
    if len(kinds) != 1:
        return None
    return PartName(kinds[0], tuple(word for word in words if word not in _KINDS and word not in _FILLERS))


def parts_of(kinds: Sequence[str]) -> tuple[list[int], list[int]]:
    """The positions to train on and to test on; as in `image_folder`, val is to test on if there is no test."""
    test = next((kind for kind in (TEST, VALIDATION) if kind in kinds), None)
    if test is None or (test == VALIDATION and TRAIN not in kinds):
        return list(range(len(kinds))), []
    left = (TEST, VALIDATION)
    return [i for i, kind in enumerate(kinds) if kind not in left], [i for i, kind in enumerate(kinds) if kind == test]
