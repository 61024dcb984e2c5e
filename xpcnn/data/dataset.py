"""Labelled images in the host's memory: a `Split` is one set of them, a `Dataset` a set to train and one to test on.

One object holds images and labels and indexes them together, so that no caller has to keep them aligned.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Self

import numpy as np

from ..backend import refuse_mask
from ..errors import DataError, OptionError, readable, shortened
from ..options import as_count, as_names
from ..typing import NDArray, Shape
from . import display
from .digests import choose, image_digests
from .pixels import channels_last, to_floats
from .scale import BYTE, as_scale, scale_of, stored
from .statistics import channel_statistics


@dataclass(frozen=True, eq=False)
class Split:
    """Images, each with its label: a class, or for a regression the numbers to predict.

    Parameters
        images : NumPy array (N, H, W, C) of finite numbers; kept as uint8, uint16 or float32
        labels : NumPy array (N,), int64, from 0 on; for a regression the targets, finite float32 (N,) or (N, D)
        scale : the number that stands for white; images are divided by it before they enter a network. By default
            255 for bytes, 65535 for uint16, and 1 for floats in [0, 1] and for images of 0 and 1 (see `scale_of`);
            required for others. 1 leaves numbers unchanged, such as standardised ones
        channels_first : images are (N, C, H, W); None refuses images that look like that
    Raises
        DataError : other images or labels, different numbers of them, or none;  OptionError : not a scale

    >>> split = Split(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 0]))
    >>> len(split), split.input_shape
    (3, (8, 8, 1))
    """

    images: NDArray
    labels: NDArray
    scale: float = None  # type: ignore[assignment]  # a number from __post_init__ on
    channels_first: InitVar[bool | None] = None

    def __post_init__(self, channels_first: bool | None) -> None:
        images, labels = self.images, self.labels
        for name, array in (("images", images), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise DataError("Split", f"{name} as a NumPy array", type(array).__name__, "use xpcnn.to_numpy")
            refuse_mask(f"Split {name}", array)
        if images.ndim != 4 or 0 in images.shape:
            raise DataError("Split", "images (N, H, W, C), at least one", str(images.shape), "add missing axes")
        images = channels_last("Split", images, channels_first)
        if labels.dtype == np.float32:
            if labels.shape[:1] != images.shape[:1] or labels.ndim not in (1, 2) or 0 in labels.shape:
                expected = f"targets ({len(images)},) or ({len(images)}, D), one row an image"
                raise DataError("Split", expected, str(labels.shape), _remedy(images, labels))
            if not np.isfinite(labels).all():
                raise DataError("Split", "finite targets", "NaN or infinity", "leave such images out")
        else:
            if labels.shape != images.shape[:1]:
                expected = f"labels ({len(images)},), one an image"
                raise DataError("Split", expected, str(labels.shape), _remedy(images, labels))
            if labels.dtype != np.int64:
                if labels.dtype.kind in "SU":
                    remedy = "classes, labels = np.unique(labels, return_inverse=True)"
                else:
                    remedy = "labels.astype('int64'), or 'float32' for the targets of a regression"
                raise DataError("Split", "labels of int64", str(labels.dtype), remedy)
            if labels.min() < 0:
                raise DataError("Split", "labels from 0 on", str(labels.min()), "number the classes 0, 1, 2 …")
        scale = scale_of("Split", [images]) if self.scale is None else as_scale("Split", self.scale)
        object.__setattr__(self, "images", stored("Split", images, scale))
        object.__setattr__(self, "scale", scale)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        labels = f"labels 0 … {self.labels.max()}" if self.has_classes else f"targets {self.labels.shape[1:]}"
        scale = "" if self.scale == BYTE else f", scale {self.scale:g}"
        return f"Split({len(self)} images {self.input_shape}, {labels}{scale})"

    def _repr_html_(self) -> str:
        return display.split(self)

    @property
    def has_classes(self) -> bool:
        """True if the labels are classes, and not the targets of a regression."""
        return bool(self.labels.dtype == np.int64)

    @cached_property
    def is_unit(self) -> bool:
        """True if all images are in [0, 1] after division by the scale."""
        return bool(self.images.min() >= 0 and self.images.max() <= self.scale)

    @property
    def scale_in_words(self) -> str:
        """The range of the numbers and the scale: "0 … 255, divided by 255"."""
        return _in_words(self)

    @property
    def input_shape(self) -> Shape:
        """One image's shape, (H, W, C)."""
        return tuple(self.images.shape[1:])

    def select(self, index: NDArray | slice) -> Self:
        """The images at these positions, with their labels."""
        selected = replace(self, images=self.images[index], labels=self.labels[index], channels_first=False)
        if "digests" in vars(self):  # these are not computed twice
            vars(selected)["digests"] = self.digests[index]
        return selected

    @cached_property
    def digests(self) -> NDArray:
        """A digest of each image, int64 (N,), computed on first use; see `image_digests`."""
        return image_digests(self.images, self.scale)

    @cached_property
    def digest(self) -> str:
        """One digest of all images and labels in their order, 32 hexadecimal digits."""
        kind = (self.images.shape, self.images.dtype.str, self.labels.shape, self.labels.dtype.str, self.scale)
        whole = blake2b(repr(kind).encode(), digest_size=16)
        whole.update(self.digests.tobytes())
        whole.update(np.ascontiguousarray(self.labels).tobytes())
        return whole.hexdigest()

    def join(self, other: Self) -> Self:
        """These images followed by the other's, of the same size; as floats if the scales differ."""
        parts, scale = (self, other), self.scale if self.scale == other.scale else 1.0
        images = [part.images if scale == part.scale else to_floats(part.images, part.scale) for part in parts]
        labels = np.concatenate([part.labels for part in parts])
        joined = type(self)(np.concatenate(images), labels, scale, channels_first=False)
        vars(joined)["digests"] = np.concatenate([self.digests, other.digests])
        return joined

    def statistics(self) -> tuple[NDArray, NDArray]:
        """Each channel's mean and standard deviation over all images, divided by the scale as for a network.

        Returns
            mean, std : float64 (C,); std is 1 for a constant channel

        >>> images = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
        >>> [numbers.tolist() for numbers in Split(images, np.array([0])).statistics()]
        [[0.5], [0.5]]
        """
        mean, std = channel_statistics(self.images)
        return mean / self.scale, np.where(std > 0, std / self.scale, 1.0)

    def take(self, n: int) -> Self:
        """The first n images.

        Raises
            OptionError : there are not that many
        """
        if not 1 <= n <= len(self):
            raise OptionError("take", f"a number from 1 to {len(self)}", str(n))
        return self.select(slice(n))

    def split(self, fraction: float, seed: int = 0) -> tuple[Self, Self]:
        """Two splits without a common image: the rest, and a part that is chosen by the contents of the images.

        The choice depends on the images and the seed, not on names, labels or order (see `choose`). So images stay
        in their part when others are added or removed, and equal images are never in both.

        Parameters
            fraction : the part's size, such as 0.1 for validation
            seed : of the choice, from 0 on
        Raises
            OptionError : one side would be empty

        >>> split = Split(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10))
        >>> [len(each) for each in split.split(0.2)]
        [8, 2]
        """
        size = round(len(self) * fraction) if 0 < fraction < 1 else 0
        if not 0 < size < len(self):
            expected = f"a fraction that leaves both sides some of {len(self)} images"
            raise OptionError(
                "split", expected, str(fraction), "choose another; for xpcnn train, --validation 0 is none"
            )
        return self.divide(choose(self.digests, size, as_count("split", "seed", seed, least=0)))

    def divide(self, index: NDArray) -> tuple[Self, Self]:
        """Two splits: the rest, and the images at these positions."""
        chosen = np.zeros(len(self), bool)
        chosen[index] = True
        return self.select(~chosen), self.select(chosen)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    Parameters
        train, test : to learn from, and to judge by
        classes : each label's name; label i is classes[i]; () if the labels are the targets of a regression
        parts : where train and test were found, in words; "" if the data set is published with both
    Raises
        DataError : labels without a class, or images of two sizes
        OptionError : classes that are not texts, or two of which read the same
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
            if split.has_classes != bool(self.classes):
                expected = "names of the classes, or for a regression none"
                raise DataError(self.name, expected, f"{len(self.classes)} and {part} labels of {split.labels.dtype}")
            if split.has_classes and split.labels.max() >= len(self.classes):
                expected = f"{part} labels below {len(self.classes)}, the number of classes"
                raise DataError(self.name, expected, str(split.labels.max()))
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
    def input_shape(self) -> Shape:
        """One image's shape, (H, W, C)."""
        return self.train.input_shape

    @property
    def scale_in_words(self) -> str:
        """The range of the images' numbers and the scale: "0 … 255, divided by 255"."""
        if self.train.scale == self.test.scale:
            return _in_words(self.train, self.test)
        return f"to train {_in_words(self.train)}; to test {_in_words(self.test)}"


def _remedy(images: NDArray, labels: NDArray) -> str:
    """For labels that are not one for each image."""
    if labels.shape[:1] != images.shape[:1] or 0 in labels.shape:
        return "leave out images without a label, and labels without an image"
    if labels.ndim > 2:  # one for each pixel
        return f"labels.reshape({len(labels)}, -1).astype('float32'), and Flatten() at the network's end"
    if labels.shape[1] == 1:
        return "labels[:, 0]"
    return "labels.argmax(1) if a row is one-hot, labels.astype('float32') for the targets of a regression"


def _in_words(*splits: Split) -> str:
    low, high = min(split.images.min() for split in splits), max(split.images.max() for split in splits)
    scale = splits[0].scale
    return f"{low:zg} … {high:zg}, " + ("as they are" if scale == 1 else f"divided by {scale:g}")
