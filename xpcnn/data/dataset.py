"""A data set: labelled images to train on and others to test on, and the names of their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import DataError, readable, shortened
from ..options import as_names
from . import display
from .split import Split, range_in_words
from .targets import names_fit, task


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    Parameters
        train, test : to learn from, and to judge by
        classes : each label's name; label i is classes[i]. Of labels that are floats (N, K), each in [0, 1], the
            name of each column, which is a question of its own; () if they are the targets of a regression
        parts : where train and test were found, in words; "" if the data set is published with both
    Raises
        DataError : labels without a class, or images of two sizes
        OptionError : classes that are not texts, or two of which read the same

    >>> from xpcnn.data import digits
    >>> digits().train
    Split(1437 images (8, 8, 1), labels 0 … 9)
    >>> digits().input_shape, digits().classes[:3]
    ((8, 8, 1), ('0', '1', '2'))
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    parts: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", readable(self.name))
        classes = as_names("Dataset", "classes", self.classes, distinct=True)
        object.__setattr__(self, "classes", tuple(map(readable, classes)))
        for part, split in (("train", self.train), ("test", self.test)):
            if not isinstance(split, Split):
                raise DataError(str(self.name), f"{part}: a Split of images and labels", type(split).__name__)
            if not names_fit(self.classes, split.labels):
                expected = "names of the classes, or of each column of 0 and 1, or for a regression none"
                raise DataError(self.name, expected, f"{len(self.classes)} and {part} labels of {split.labels.dtype}")
            if split.highest_class >= len(self.classes) > 0:
                expected = f"{part} labels below {len(self.classes)}, the number of classes"
                raise DataError(self.name, expected, str(split.highest_class))
        if self.train.input_shape != self.test.input_shape:
            got = f"{self.train.input_shape} and {self.test.input_shape}"
            raise DataError(self.name, "images of one size in train and test", got)

    def __repr__(self) -> str:
        parts = f", parts={shortened(self.parts)!r}" if self.parts else ""
        classes = shortened(", ".join(self.classes), 80)
        named = f", classes={len(self.classes)}: {classes}" if classes else ""
        return f"Dataset({self.name!r}, train={self.train}, test={self.test}{named}{parts})"

    def _repr_html_(self) -> str:
        return display.dataset(self)

    @property
    def input_shape(self) -> Any:
        """One image's shape, (H, W, C); of several inputs a tuple of shapes."""
        return self.train.input_shape

    @property
    def task(self) -> str:
        """What there is to learn; see `data.targets.task`."""
        return task(self.classes, self.train.labels)

    @property
    def scale_in_words(self) -> str:
        """The range of the images' numbers and the scale: "0 … 255, divided by 255"."""
        if self.train.scale == self.test.scale:
            return range_in_words(self.train, self.test)
        return f"to train {range_in_words(self.train)}; to test {range_in_words(self.test)}"
