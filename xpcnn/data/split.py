"""Labelled images, in memory or in a source.

One object holds images and labels and indexes them together, so that no caller has to keep them aligned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any, Self

import numpy as np

from ..errors import OptionError
from ..options import as_choice, as_count, as_label
from ..typing import NDArray
from . import display
from .digests import choose, image_digests
from .inputs import as_floats, as_inputs, input_scale, is_unit, joined
from .pixels import to_floats
from .resizing import RESIZES
from .scale import BYTE, extremes_of, stored
from .source import Items, Source, as_source, blocks, selected
from .statistics import channel_statistics
from .targets import as_targets, check_targets, highest_class, in_words


@dataclass(frozen=True, eq=False)
class Split:
    """Images, each with its label: a class, or for a regression the numbers to predict.

    Images and labels are arrays in memory, or sources, which are read batch by batch: see `data.source`. Of a source
    only shape and type are checked; its numbers are read in advance only where no scale is stated and the type does
    not tell it.

    Parameters
        images : NumPy array (N, H, W, C) of finite numbers, kept as uint8, uint16 or float32; or a source of that
            shape; or a tuple of such, of any shapes (N, …): several inputs of a network, or a single one, such as
            sequences or rows
        labels : (N,), int64, classes from 0 on; (N, H, W), integers, a class a pixel; or float32 (N, …), finite:
            targets of a regression, probabilities of the classes, several labels of 0 and 1, an image
        scale : the number that stands for white; images are divided by it before they enter a network. By default
            255 for bytes, 65535 for uint16, and 1 for floats in [0, 1] and for images of 0 and 1 (see `scale_of`);
            required for others. 1 leaves numbers unchanged, such as standardised ones. For several inputs a tuple
        channels_first : images are (N, C, H, W); None refuses images that look like that
        ignore_index : the class of pixels that do not count, such as 255
        resize : how pictures were brought to this size, which a saved network does as well; see `data.resizing`
    Raises
        DataError : other images or labels, different numbers of them, or none;  OptionError : not a scale

    >>> split = Split(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 0]))
    >>> len(split), split.input_shape
    (3, (8, 8, 1))
    >>> Split((np.zeros((2, 8, 8, 1)), np.zeros((2, 5))), np.array([0, 1])).input_shape
    ((8, 8, 1), (5,))
    >>> Split((np.zeros((2, 100, 3)),), np.array([0, 1])).input_shape
    (100, 3)
    """

    images: Any  # Items, or a tuple of several
    labels: Any  # Items
    scale: Any = None  # a number from __post_init__ on, or a tuple of several
    channels_first: InitVar[bool | None] = None
    ignore_index: int | None = field(default=None, kw_only=True)
    resize: str = field(default="squash", kw_only=True)

    def __post_init__(self, channels_first: bool | None) -> None:
        as_choice("Split", "resize", self.resize, RESIZES)
        object.__setattr__(self, "ignore_index", as_label("Split", self.ignore_index))
        inputs, labels = as_inputs(self.images, channels_first), as_source("Split", "labels", self.labels)
        check_targets("Split", labels, inputs[0].shape)
        stated = self.scale if isinstance(self.scale, tuple) else (self.scale,) * len(inputs)
        if len(stated) != len(inputs):
            raise OptionError("Split", f"a scale for each of {len(inputs)} inputs", repr(self.scale))
        scales = list(map(input_scale, inputs, stated))
        kept = [
            each if isinstance(each, Source) else stored("Split", each, scale)
            for each, scale in zip(inputs, scales, strict=True)
        ]
        for name, value in (("scale", self._as_given(scales)), ("images", self._as_given(kept)), ("labels", labels)):
            object.__setattr__(self, name, value)

    def _as_given(self, inputs: Iterable[Any]) -> Any:
        """A tuple of what each input has, or for one input that alone."""
        every = tuple(inputs)
        return every if len(every) > 1 else every[0]

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        scale = "" if set(self._scales) == {BYTE} else f", scale {', '.join(f'{each:g}' for each in self._scales)}"
        return f"Split({len(self)} images {self.input_shape}, {in_words(self.labels)}{scale})"

    @property
    def inputs(self) -> tuple[Items, ...]:
        """The images of each input, as a tuple also if there is one."""
        return self.images if isinstance(self.images, tuple) else (self.images,)

    @property
    def _scales(self) -> tuple[float, ...]:
        return self.scale if isinstance(self.scale, tuple) else (self.scale,)

    def _repr_html_(self) -> str:
        return display.split(self)

    @property
    def has_classes(self) -> bool:
        """True if the labels are classes, of images or pixels, and not floats."""
        return bool(self.labels.dtype.kind in "iu")

    @cached_property
    def highest_class(self) -> int:
        """The highest class among the labels that count; −1 if they are no classes."""
        return highest_class(self.labels, self.ignore_index)

    @cached_property
    def is_unit(self) -> bool:
        """True if all images are in [0, 1] after division by the scale."""
        return all(is_unit(each, scale) for each, scale in zip(self.inputs, self._scales, strict=True))

    @property
    def scale_in_words(self) -> str:
        """The range of the numbers and the scale: "0 … 255, divided by 255"."""
        return range_in_words(self)

    @property
    def input_shape(self) -> Any:
        """One image's shape, (H, W, C); of several inputs a tuple of shapes."""
        return self._as_given(tuple(each.shape[1:]) for each in self.inputs)

    @property
    def prefetch(self) -> int:
        """The number of batches that a loader makes ahead: none of arrays, and some of sources, which take time."""
        return max(getattr(each, "ahead", 0) for each in (*self.inputs, self.labels))

    @property
    def buffer(self) -> int | None:
        """The items that a loader shuffles through, if a source is fast only in order; else None."""
        sizes = [size for each in (*self.inputs, self.labels) if (size := getattr(each, "buffer", None))]
        return min(sizes, default=None)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """What each source is: place, number, bytes, a digest of names and sizes; in values of JSON. None of arrays."""
        return [each.facts() for each in (*self.inputs, self.labels) if isinstance(each, Source)]

    def batch(self, index: NDArray) -> tuple[Any, NDArray]:
        """The items at these positions as a network gets them: (x, y), x divided by the scale, float32."""
        both = zip(self.inputs, self._scales, strict=True)  # on the host, so that every backend has the same bits
        return self._as_given(to_floats(each[index], scale) for each, scale in both), as_targets(self.labels[index])

    def expect(self, index: NDArray) -> None:
        """Tell the sources which items will be read next."""
        for each in (*self.inputs, self.labels):
            if isinstance(each, Source):
                each.expect(index)

    def select(self, index: NDArray | slice) -> Self:
        """The images at these positions, with their labels; those of a source stay where they are."""
        images, labels = tuple(selected(each, index) for each in self.inputs), selected(self.labels, index)
        part = replace(self, images=images, labels=labels, channels_first=False)
        if "digests" in vars(self):  # these are not computed twice
            vars(part)["digests"] = self.digests[index]
        return part

    @cached_property
    def digests(self) -> NDArray:
        """A digest of each image, int64 (N,), computed on first use; see `image_digests`."""
        found = [
            each.digests if isinstance(each, Source) and each.digests is not None else image_digests(each, scale)
            for each, scale in zip(self.inputs, self._scales, strict=True)
        ]
        return found[0] if len(found) == 1 else image_digests(np.stack(found, axis=1).view(np.uint8), BYTE)

    @cached_property
    def digest(self) -> str:
        """One digest of all images and labels in their order, 32 hexadecimal digits."""
        kinds = [part for each in self.inputs for part in (each.shape, each.dtype.str)]
        kind = (*kinds, self.labels.shape, self.labels.dtype.str, self.scale)
        whole = blake2b(repr(kind).encode(), digest_size=16)
        whole.update(self.digests.tobytes())
        for block in blocks(self.labels):
            whole.update(np.ascontiguousarray(block).tobytes())
        return whole.hexdigest()

    def join(self, other: Self) -> Self:
        """These images followed by the other's, of the same size; as floats if the scales differ."""
        mine, its, scale = self.inputs, other.inputs, self.scale
        if scale != other.scale:
            mine, its = tuple(map(as_floats, mine, self._scales)), tuple(map(as_floats, its, other._scales))
            scale = self._as_given(1.0 for _ in mine)
        labels = joined(self.labels, other.labels)
        images = tuple(map(joined, mine, its))
        both = replace(self, images=images, labels=labels, scale=scale, channels_first=False)
        if not any(isinstance(each, Source) for each in both.inputs):
            vars(both)["digests"] = np.concatenate([self.digests, other.digests])
        return both

    def statistics(self) -> tuple[NDArray, NDArray]:
        """Each channel's mean and standard deviation over all images, divided by the scale as for a network.

        Returns
            mean, std : float64 (C,); std is 1 for a constant channel
        Raises
            OptionError : there are several inputs

        >>> images = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
        >>> [numbers.tolist() for numbers in Split(images, np.array([0])).statistics()]
        [[0.5], [0.5]]
        """
        if isinstance(self.images, tuple):
            raise OptionError("statistics", "one input", f"{len(self.images)}", "Split(images[0], labels).statistics()")
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


def range_in_words(*splits: Split) -> str:
    """The range of the numbers in splits of one scale, and the scale: "0 … 255, divided by 255"."""
    if isinstance(splits[0].images, tuple):
        return f"divided by {', '.join(f'{each:g}' for each in splits[0].scale)}"
    extremes = [extremes_of("Split", split.images) for split in splits]
    low, high, scale = min(low for low, _ in extremes), max(high for _, high in extremes), splits[0].scale
    return f"{low:zg} … {high:zg}, " + ("as they are" if scale == 1 else f"divided by {scale:g}")
