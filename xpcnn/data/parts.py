"""What is for training and what for testing, where a file does not say it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..options import as_count, as_number
from ..random import generator
from ..typing import Host, Shape
from .dataset import Dataset, Split
from .labels import to_classes, to_targets
from .pixels import to_images

TEST_FRACTION = 0.2
MOST_BYTES = 2**32  # of one data set in memory


def assemble(
    path: Path,
    train: tuple[Host, Host],
    test: tuple[Host, Host] | None,
    *,
    classes: Sequence[str] = (),
    regression: bool = False,
    image_shape: Shape | None = None,
    channels_first: bool | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
) -> Dataset:
    """A data set from arrays as files have them.

    Parameters
        train, test : images and labels; without a test, a fraction of train is held out
        classes, regression : see `to_classes` and `to_targets`;  image_shape, channels_first : see `to_images`
        test_fraction, seed : see `hold_out`
    Raises
        DataError : they are no labelled images
    """
    who = str(path)
    parts = [train] if test is None else [train, test]
    for images, labels in parts:
        n = len(images) if images.ndim else 0  # which `to_images` refuses
        if n and n not in labels.shape[:1] and labels.shape != (1, n):
            raise DataError(who, f"{n} labels, one an image", str(labels.shape))
    pictures = [to_images(who, x, image_shape=image_shape, channels_first=channels_first) for x, _ in parts]
    targets = [y for _, y in parts]
    names: tuple[str, ...] = ()
    if regression:
        targets = [to_targets(who, y) for y in targets]
    else:
        targets, names = to_classes(who, targets, classes)
    splits = [Split(x, y) for x, y in zip(pictures, targets, strict=True)]
    first, second = splits if len(splits) == 2 else hold_out(splits[0], test_fraction, seed)
    return Dataset(path.stem or who, first, second, names)


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """To train on, and to test on: of each class the same fraction, chosen at random but always alike.

    Parameters
        fraction : of the images, for testing; of a class with two images or more at least one, and not all
        seed : of the choice, from 0 on
    Raises
        OptionError : a fraction that is not between 0 and 1;  DataError : every class has one image only

    >>> split = Split(np.zeros((10, 4, 4, 1), np.uint8), np.array([0] * 5 + [1] * 5))
    >>> [part.labels.tolist() for part in hold_out(split, 0.2, seed=0)]
    [[0, 0, 0, 0, 1, 1, 1, 1], [0, 1]]
    """
    as_number("data set", "test_fraction", fraction, "(0, 1)")
    as_count("data set", "seed", seed, least=0)
    if not split.has_classes:
        return split.split(fraction, seed)
    rng = generator(seed)
    chosen = np.zeros(len(split), bool)
    by_class = np.argsort(split.labels, kind="stable")
    for positions in np.split(by_class, np.cumsum(np.bincount(split.labels))[:-1]):
        members = rng.permutation(positions)
        chosen[members[: min(max(round(len(members) * fraction), 1), len(members) - 1)]] = True
    if not chosen.any():
        raise DataError("data set", "two images of a class at least, one of them to test on", "one of each")
    return split.select(np.flatnonzero(~chosen)), split.select(np.flatnonzero(chosen))


def counterpart(path: Path) -> Path | None:
    """The file to test on that stands beside one to train on: the same name, with test instead of train."""
    for word, other in (("train", "test"), ("Train", "Test"), ("TRAIN", "TEST")):
        if word in path.name:
            candidate = path.with_name(path.name.replace(word, other))
            return candidate if candidate.is_file() else None
    return None
