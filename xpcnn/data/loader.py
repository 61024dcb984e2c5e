"""Batches of a split, in an order that depends on the seed and the epoch alone.

So a run that stops in the middle of an epoch continues with exactly the batch that would have been next, on every
backend. Batches are made and augmented on the host, and then moved. Bytes can lie on a GPU, where batches are gathered
and augmented (`on_device.py`). Augmentation draws from a generator of the host that depends on seed, epoch and batch
alone, so batches are the same wherever they are made, ahead or not, in whichever thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..backend import asarray
from ..errors import OptionError
from ..options import MOST_SEED, as_count, as_flag, as_number
from ..shards import cut
from ..typing import Array, NDArray
from . import display
from .augment import Augment, takes_device_arrays
from .on_device import OnDevice, fits
from .order import buffered
from .prefetch import HANGING, prefetched
from .split import Split

Made = TypeVar("Made")
MOST_AT_ONCE = 256  # images in one batch of inference
PIXELS_AT_ONCE = 2**18  # pixels of all images together: 64 maps of them in float32 are 64 MiB
FEWEST_PIXELS = 2**14  # 4 MiB, which is negligible


def images_at_once(input_shape: Any, batch_size: int | None = None) -> int:
    """The number of images in one batch of inference: the larger the images, the fewer.

    Parameters
        input_shape : of one image; of several inputs a tuple of shapes, of which the largest counts
        batch_size : that of the training, if it is known: for large images, inference uses no larger batches

    >>> images_at_once((28, 28, 1)), images_at_once((64, 64, 3)), images_at_once((224, 224, 3))
    (256, 64, 5)
    >>> images_at_once((8, 8, 1), 4), images_at_once((64, 64, 3), 4), images_at_once((224, 224, 3), 8)
    (256, 4, 8)
    """
    shapes = input_shape if input_shape and isinstance(input_shape[0], tuple) else (input_shape,)
    pixels: int = max(math.prod(shape[:-1]) for shape in shapes)
    fit = PIXELS_AT_ONCE // pixels if batch_size is None else max(batch_size, FEWEST_PIXELS // pixels)
    return max(1, min(MOST_AT_ONCE, fit))


class Loader:
    """A split in batches.

    Parameters
        split : images and labels
        batch_size : images in a batch; the last batch of an epoch may be shorter
        shuffle : a new random order in each epoch, instead of the split's order
        seed : of the shuffling and the augmentation, from 0 on
        drop_last : leave a short last batch out
        augment : changes each batch, (x, y, rng) → (x, y), such as `augment.parse("flip,crop:4")`; see
            `xpcnn.data.augment`. A function of one's own gets NumPy's arrays
        prefetch : number of batches that a thread makes ahead while the loop works; the batches are the same.
            This pays if the loop waits for a GPU or for a disk. None: 0 of arrays, which training on a CPU needs no
            thread for, and what a source asks for, 1 or 2
        buffer : shuffle through a buffer of so many items, so that a source is read nearly in its order (see
            `order.buffered`); None: over all items, or through the buffer that a source asks for
        timeout : seconds to wait for a batch that is made ahead, before a source is taken to hang
    Raises
        OptionError : an argument makes no sense, or no batch would be left

    `for x, y in loader` is one epoch: 0 the first time, 1 the next time, and so on.

    >>> split = Split(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10))
    >>> [y.tolist() for x, y in Loader(split, 4).epoch(0)]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        augment: Augment | None = None,
        prefetch: int | None = None,
        buffer: int | None = None,
        timeout: float = HANGING,
    ) -> None:
        if not isinstance(split, Split):
            raise OptionError("Loader", "a Split, such as digits().train", type(split).__name__)
        self.split = split
        self.batch_size = as_count("Loader", "batch_size", batch_size)
        self.shuffle = as_flag("Loader", "shuffle", shuffle)
        self.drop_last = as_flag("Loader", "drop_last", drop_last)
        self.seed = as_count("Loader", "seed", seed, least=0, most=MOST_SEED)
        if augment is not None and (isinstance(augment, type) or not callable(augment)):
            remedy = f"pass augment.parse({augment!r})" if isinstance(augment, str) else "see data.augment"
            raise OptionError("Loader", "augment: a callable (x, y, rng) → (x, y)", repr(augment), remedy)
        if len(split.inputs) > 1 and augment is not None and takes_device_arrays(augment):  # one of this package
            remedy = "pass a function (x, y, rng) → (x, y) that takes and returns the tuple x"
            raise OptionError("Loader", "augment for several inputs", repr(augment), remedy)
        if getattr(augment, "clips", False) and not split.is_unit:
            remedy = "leave out what cuts off: brightness, contrast"
            raise OptionError("Loader", "augment for images beyond [0, 1]", repr(augment), remedy)
        self.augment = augment
        self.prefetch = split.prefetch if prefetch is None else as_count("Loader", "prefetch", prefetch, least=0)
        self.buffer = split.buffer if buffer is None else as_count("Loader", "buffer", buffer)
        self.timeout = as_number("Loader", "timeout", timeout, "(0, inf)")
        self._passes = 0
        self._held: OnDevice | None = None  # the split on a GPU
        if not len(self):
            raise OptionError("Loader", f"batches of at most the {len(split)} images", str(batch_size), "keep the last")

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self.split), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        shuffled = ", shuffled" if self.shuffle else ""
        augment = f", augment={self.augment!r}" if self.augment else ""
        return f"Loader({len(self)} batches of {self.batch_size}{shuffled}{augment}, {self.split!r})"

    def _repr_html_(self) -> str:
        return display.loader(self)

    def epoch(self, epoch: int, start: int = 0, step: int = 1) -> Iterator[tuple[Any, Array]]:
        """The batches of one epoch.

        Parameters
            epoch : its number, from 0 on
            start : the batch to begin with, from 0 on; with `len(loader)` there are none
            step : 2 for every second batch, and so on
        Returns
            pairs of x : Array (N, H, W, C), float32, images divided by the scale, or a tuple of several inputs; and
                y : Array (N, …), int64 classes or float32 targets; or the results of `augment`
        Raises
            OptionError : no such epoch or batch;  DataError, FileError : a source cannot be read, or hangs
        """
        if epoch < 0 or not 0 <= start <= len(self):
            raise OptionError("Loader", f"epoch ≥ 0, start from 0 to {len(self)}", f"epoch {epoch}, start {start}")
        there = self.augment is None or takes_device_arrays(self.augment)
        if step == 1 and there and fits(self.split.images, self.split.labels):
            if self._held is None:
                self._held = OnDevice(self.split.images, self.split.labels, self.split.scale)
            batches = self._held.batches(self._order(epoch), self.batch_size, start, len(self))
            return (self._augmented(*batch, [self.seed, epoch, n + 1]) for n, batch in enumerate(batches, start))
        make, numbers = partial(self._make, self._order(epoch), epoch, step), range(start, len(self), step)
        return ((_moved(x), asarray(y)) for x, y in self._ahead(make, numbers))

    def shards(
        self, epoch: int, start: int, shards: int, own: range
    ) -> Iterator[tuple[int, list[tuple[Array, Array]]]]:
        """The batches of one epoch in shards (see `xpcnn.shards`), of which only some are read.

        Augmentation draws from a generator that depends on the shard, too.

        Parameters
            epoch, start : as of `epoch`
            shards : in each batch
            own : the numbers of those to read
        Returns
            pairs of the number of items in the batch, and (x, y) of each own shard; of one without items, the first
            item of the batch

        >>> split = Split(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10))
        >>> [(items, [y.tolist() for x, y in parts]) for items, parts in Loader(split, 8).shards(0, 0, 4, range(1, 3))]
        [(8, [[2, 3], [4, 5]]), (2, [[9], [8]])]
        """
        order = self._order(epoch)

        def rows(number: int) -> list[NDArray]:
            index = self._part(order, number)
            cuts = cut(len(index), shards)
            return [index[cuts[s][0] : cuts[s][1]] if cuts[s][0] < cuts[s][1] else index[:1] for s in own]

        def make(number: int) -> tuple[int, list[tuple[Any, NDArray]]]:
            each = rows(number)
            self.split.expect(np.concatenate(rows(number + 1)))
            x, y = self.split.batch(np.concatenate(each))
            ends = np.cumsum([len(some) for some in each]).tolist()
            slices = [slice(end - len(some), end) for end, some in zip(ends, each, strict=True)]
            parts = [(tuple(a[at] for a in x) if isinstance(x, tuple) else x[at], y[at]) for at in slices]
            place = [self.seed, epoch, number + 1]
            made = [self._augmented(*part, [*place, s + 1]) for s, part in zip(own, parts, strict=True)]
            return len(self._part(order, number)), made

        batches = self._ahead(make, range(start, len(self)))
        return ((items, [(_moved(x), asarray(y)) for x, y in parts]) for items, parts in batches)

    def _ahead(self, make: Callable[[int], Made], numbers: Iterable[int]) -> Iterator[Made]:
        """Batches made ahead, if there are to be any."""
        return prefetched(make, numbers, self.prefetch, self.timeout) if self.prefetch else map(make, numbers)

    def indices(self, epoch: int, batch: int) -> NDArray:
        """The indices in the split of a batch's items, in their order: (N,), int64.

        >>> split = Split(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10))
        >>> Loader(split, 4).indices(0, 2).tolist()
        [8, 9]
        """
        if epoch < 0 or not 0 <= batch < len(self):
            got = f"epoch {epoch}, batch {batch}"
            raise OptionError("Loader", f"epoch ≥ 0, batch from 0 to {len(self) - 1}", got)
        return self._part(self._order(epoch), batch)

    def _part(self, order: NDArray, batch: int) -> NDArray:
        return order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def __iter__(self) -> Iterator[tuple[Any, Array]]:
        epoch = self._passes
        self._passes += 1
        return self.epoch(epoch)

    def _order(self, epoch: int) -> NDArray:
        if not self.shuffle:
            return np.arange(len(self.split))
        rng = np.random.default_rng([self.seed, epoch])
        return rng.permutation(len(self.split)) if self.buffer is None else buffered(len(self.split), self.buffer, rng)

    def _make(self, order: NDArray, epoch: int, step: int, number: int) -> tuple[Any, NDArray]:
        """Batch `number` of the epoch, on the host."""
        self.split.expect(self._part(order, number + step))
        x, y = self.split.batch(self._part(order, number))
        return self._augmented(x, y, [self.seed, epoch, number + 1])  # with 0 instead of 1 it would be the shuffling's

    def _augmented(self, images: Any, labels: Any, place: list[int]) -> tuple[Any, Any]:
        if self.augment is None:
            return images, labels
        rng = np.random.default_rng(place)
        changed = self.augment(images, labels, rng)
        both = changed if isinstance(changed, tuple) and len(changed) == 2 else ((), ())
        inputs = both[0] if isinstance(both[0], tuple) else (both[0],)
        counts = {getattr(each, "shape", ())[:1] for each in (*inputs, both[1])}
        if len(counts) != 1 or counts == {()}:
            raise OptionError("Loader", "augment to return (x, y), as many labels as images", repr(changed)[:80])
        return changed[0], changed[1]


def _moved(x: Any) -> Any:
    return tuple(map(asarray, x)) if isinstance(x, tuple) else asarray(x)
