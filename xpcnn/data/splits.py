"""Images for training and for testing: as files state it, or else a held-out part for testing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias

import numpy as np

from ..errors import DataError
from ..options import as_count, as_number
from ..typing import NDArray, Shape
from .dataset import Dataset
from .digests import choose
from .labels import to_classes, to_targets
from .part_names import TEST, VALIDATION, WORDS
from .pixels import to_images
from .scale import scale_of, warn_of_dark_part
from .source import Items, Mapped, Source
from .split import Split
from .targets import task

TEST_FRACTION = 0.2
MOST_BYTES = 2**32  # of one data set in memory
P = ParamSpec("P")
Pair: TypeAlias = tuple[Items, Any]  # images and labels


@dataclass(frozen=True, eq=False)
class Parts:
    """The contents of a file or folder. They may not be enough to train on: one class only, or images to test on only.

    Parameters
        who : the file or folder, for errors
        given : all images, or those stated for training; None if all are to test on
        stated : those stated for testing; None if there are none
        classes : as for `Dataset`
        found : where the stated parts are, in words
        test_fraction, seed : see `hold_out`
        needed : the requirements of training, in words

    >>> from xpcnn.data import load_parts
    >>> parts = load_parts("digits")
    >>> len(parts.given), len(parts.stated)
    (1437, 360)
    """

    who: str
    name: str
    given: Split | None
    stated: Split | None
    classes: tuple[str, ...]
    found: str = ""
    test_fraction: float = TEST_FRACTION
    seed: int = 0
    needed: str = "at least two classes"

    @property
    def train(self) -> Split | None:
        """The images to train on, if any."""
        return self._held_out[0] if self.stated is None else self.given

    @property
    def test(self) -> Split | None:
        """The images to test on: as stated, or held out.

        Raises
            as `hold_out`
        """
        return self._held_out[1] if self.stated is None else self.stated

    def __repr__(self) -> str:
        return f"Parts({self.name!r}, given={self.given}, stated={self.stated}, {len(self.classes)} classes)"

    @property
    def everything(self) -> Split:
        """All images: those to train on, then those to test on."""
        parts = [part for part in (self.given, self.stated) if part is not None]
        return parts[0] if len(parts) == 1 else parts[0].join(parts[1])

    @property
    def input_shape(self) -> Any:
        """One image's shape, (H, W, C)."""
        return self.everything.input_shape if self.given is None else self.given.input_shape

    @property
    def task(self) -> str:
        """What there is to learn; see `data.targets.task`."""
        part = self.stated if self.given is None else self.given
        return "" if part is None else task(self.classes, part.labels)

    @cached_property
    def _held_out(self) -> tuple[Split | None, Split | None]:
        return (None, None) if self.given is None else hold_out(self.given, self.test_fraction, self.seed)

    def dataset(self) -> Dataset:
        """The data set, for training.

        Raises
            DataError : there is not enough for training
        """
        train, test = self.train, self.test
        if train is None or test is None:
            remedy = "add images to train on; xpcnn eval, and data.load_parts, take images to test on alone"
            raise DataError(self.who, "images to train on", f"{self.found or 'images'} to test on alone", remedy)
        if self.task in ("classes", "pixels") and len(self.classes) < 2:
            raise DataError(self.who, self.needed, f"{self.classes[0]} alone", "xpcnn eval takes it as it is")
        found = self.found
        if self.stated is None:
            whole = " ".join([f"{self.test_fraction:g} of", "each class" if self.task == "classes" else "all images"])
            found = f"{whole}{found and f' in {found}'} held out to test on, by content (seed {self.seed})"
        return Dataset(self.name, train, test, self.classes, found)


def reader(parts: Callable[P, Parts]) -> Callable[P, Dataset]:
    """Turns a function that returns `Parts` into one that returns the `Dataset`; `inspect.unwrap` undoes it."""

    @wraps(parts)
    def read(*arguments: P.args, **options: P.kwargs) -> Dataset:
        return parts(*arguments, **options).dataset()

    read.__signature__ = signature(parts).replace(return_annotation="Dataset")  # type: ignore[attr-defined]
    return read


def assemble(
    path: Path,
    train: Pair | None,
    test: Pair | None,
    *,
    test_path: Path | None = None,
    classes: Sequence[str] = (),
    regression: bool = False,
    ignore_index: int | None = None,
    image_shape: Shape | None = None,
    channels_first: bool | None = None,
    scale: float | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    found: str = "",
) -> Parts:
    """The parts of a data set, from arrays as they are in files.

    Parameters
        train, test : images and labels; without a test set, a fraction of train is held out
        classes, regression : see `to_classes` and `to_targets`;  ignore_index : of masks, see `Split`
        image_shape, channels_first : see `to_images`
        scale : see `scale_of`; for whole numbers it is the same in both parts
        test_path : the file of the test set, if it is another one
        test_fraction, seed : see `hold_out`;  found : see `Parts`
    Raises
        DataError : they are not labelled images
    """
    who = str(path)
    of_test = str(test_path) if test_path is not None else who if train is None else f"{who} (test)"
    parts = [(part, name) for part, name in ((train, who), (test, of_test)) if part is not None]
    for (images, labels), name in parts:
        n = len(images) if images.shape else 0  # which `to_images` refuses
        if n and n not in labels.shape[:1] and labels.shape != (1, n):
            raise DataError(name, f"{n} labels, one an image", str(labels.shape))
    pictures: list[Items] = []
    for (x, _), name in parts:
        as_images = partial(to_images, name, image_shape=image_shape, channels_first=channels_first)
        pictures.append(Mapped(x, as_images) if isinstance(x, Source) else as_images(x))
    targets = [y for (_, y), _ in parts]
    names: tuple[str, ...] = ()
    if regression:
        targets = [to_targets(who, y) for y in targets]
    elif all(y.dtype.kind in "iub" and y.shape[:3] == x.shape[:3] for x, y in zip(pictures, targets, strict=True)):
        targets, names = _masks(who, targets, classes, ignore_index)
    else:
        targets, names = to_classes(who, targets, classes, least=1)
    alike = len({x.dtype.kind.replace("u", "i") for x in pictures}) == 1
    groups = [pictures] if alike else [[x] for x in pictures]
    scales = [common for group in groups for common in [scale_of(who, group, scale)] * len(group)]
    if alike:
        warn_of_dark_part([name for _, name in parts], pictures, scales[0])
    splits = [
        Split(x, y, each, channels_first=False, ignore_index=ignore_index)
        for x, y, each in zip(pictures, targets, scales, strict=True)
    ]
    given = None if train is None else splits[0]
    stated = None if test is None else splits[-1]
    return Parts(who, path.stem or who, given, stated, names, found, test_fraction, seed)


def _masks(
    who: str, targets: Sequence[NDArray], classes: Sequence[str], ignore_index: int | None
) -> tuple[list[NDArray], tuple[str, ...]]:
    """Masks (N, H, W), or (N, H, W, 1), as classes from 0 on, and the classes' names."""
    masks = [np.asarray(y[..., 0] if y.ndim == 4 else y) for y in targets]
    found = sorted({int(value) for y in masks for value in np.unique(y)} - {ignore_index})
    count = len(classes) or (found[-1] + 1 if found else 0)
    if not found or found[0] < 0 or found[-1] >= min(count, 256) or not (classes or len(found) == count):
        told = ", ".join(map(str, found[:8])) + (" …" if len(found) > 8 else "")
        expected = f"masks of classes 0 … {len(classes) - 1}" if classes else "masks of classes 0, 1, 2 …, each in some"
        raise DataError(who, expected, told or "none", "name the classes, or ignore_index=255 if that does not count")
    return [y.astype(np.uint8) for y in masks], tuple(classes) or tuple(map(str, range(count)))


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Images to train on, and to test on: the same fraction of each class, chosen by their contents (see `choose`).

    So an image stays in its part when it is renamed or when others are added or removed, except for a few if the count
    changes. Equal images of a class are all in the same part.

    Parameters
        fraction : of the images, for testing; from a class with two images or more at least one, and not all
        seed : of the choice, from 0 on
    Raises
        OptionError : a fraction that is not between 0 and 1;  DataError : every class has one image only

    >>> split = Split(np.zeros((10, 4, 4, 1), np.uint8), np.array([0] * 5 + [1] * 5))
    >>> [part.labels.tolist() for part in hold_out(split, 0.2, seed=0)]
    [[0, 0, 0, 0, 1, 1, 1, 1], [0, 1]]
    """
    as_number("data set", "test_fraction", fraction, "(0, 1)")
    as_count("data set", "seed", seed, least=0)
    if not split.has_classes or len(split.labels.shape) > 1:
        return split.split(fraction, seed)
    chosen = []
    by_class = np.argsort(split.labels, kind="stable")
    for positions in np.split(by_class, np.cumsum(np.bincount(split.labels))[:-1]):
        count = min(max(round(len(positions) * fraction), 1), len(positions) - 1)
        if count > 0:
            chosen.append(positions[choose(split.digests[positions], count, seed)])
    if not chosen:
        raise DataError("data set", "two images of a class at least, one of them to test on", "one of each")
    return split.divide(np.concatenate(chosen))


def counterpart(path: Path) -> Path | None:
    """The test file in the same folder as a training file: the same name, with test instead of train.

    Training becomes Testing or Test, and trn becomes tst; if there is no such file, val, valid, validation or dev.
    """
    for kind in (TEST, VALIDATION):
        for word in ("training", "train", "trn"):
            for other in WORDS[kind]:
                for case in (str.lower, str.capitalize, str.upper):
                    candidate = path.with_name(path.name.replace(case(word), case(other)))
                    if candidate.name != path.name and candidate.is_file():
                        return candidate
    return None
