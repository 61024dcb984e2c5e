"""Batches of a split, in an order that depends on the seed and the epoch alone.

So a run that stops in the middle of an epoch continues with exactly the batch that would have been next, on every
backend. Batches are made and augmented on the host, and then moved. Bytes that are not augmented can lie on a GPU,
where batches are gathered, with the same bits (`on_device.py`). Augmentation draws from a generator that depends
on seed, epoch and batch alone, so batches are the same whether they are made ahead or not, in whichever thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from ..backend import asarray
from ..errors import OptionError
from ..options import MOST_SEED, as_count, as_flag
from ..typing import Array, NDArray, Shape
from .augment import Augment
from .dataset import Split
from .on_device import OnDevice, fits
from .pixels import to_floats
from .prefetch import prefetched

MOST_AT_ONCE = 256  # images in one batch of inference
PIXELS_AT_ONCE = 2**18  # pixels of all images together: 64 maps of them in float32 are 64 MiB
FEWEST_PIXELS = 2**14  # 4 MiB, which is negligible


def images_at_once(input_shape: Shape, batch_size: int | None = None) -> int:
    """The number of images in one batch of inference: the larger the images, the fewer.

    Parameters
        batch_size : that of the training, if it is known: for large images, inference uses no larger batches

    >>> images_at_once((28, 28, 1)), images_at_once((64, 64, 3)), images_at_once((224, 224, 3))
    (256, 64, 5)
    >>> images_at_once((8, 8, 1), 4), images_at_once((64, 64, 3), 4), images_at_once((224, 224, 3), 8)
    (256, 4, 8)
    """
    pixels = math.prod(input_shape[:-1])
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
        augment : changes each batch of NumPy arrays, (x, y, rng) → (x, y), such as `augment.parse("flip,crop:4")`;
            see `xpcnn.data.augment`
        prefetch : number of batches that a thread makes ahead while the loop works; the batches are the same.
            This pays if the loop waits for a GPU; training on a CPU already keeps all cores busy
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
        prefetch: int = 0,
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
        if getattr(augment, "clips", False) and not split.is_unit:
            remedy = "leave out what cuts off: brightness, contrast"
            raise OptionError("Loader", "augment for images beyond [0, 1]", repr(augment), remedy)
        self.augment = augment
        self.prefetch = as_count("Loader", "prefetch", prefetch, least=0)
        self._passes = 0
        self._held: OnDevice | None = None  # the split on a GPU
        if not len(self):
            raise OptionError("Loader", f"batches of at most the {len(split)} images", str(batch_size), "keep the last")

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self.split), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of one epoch.

        Parameters
            epoch : its number, from 0 on
            start : the batch to begin with, from 0 on; with `len(loader)` there are none
        Returns
            pairs of x : Array (N, H, W, C), float32, images divided by the scale, and y : Array (N,), int64; for a
                regression, the targets; or the results of `augment`
        Raises
            OptionError : no such epoch or batch
        """
        if epoch < 0 or not 0 <= start <= len(self):
            raise OptionError("Loader", f"epoch ≥ 0, start from 0 to {len(self)}", f"epoch {epoch}, start {start}")
        if self.augment is None and fits(self.split.images):
            if self._held is None:
                self._held = OnDevice(self.split.images, self.split.labels, self.split.scale)
            return self._held.batches(self._order(epoch), self.batch_size, start, len(self))
        make, numbers = partial(self._make, self._order(epoch), epoch), range(start, len(self))
        batches = prefetched(make, numbers, self.prefetch) if self.prefetch else map(make, numbers)
        return ((asarray(x), asarray(y)) for x, y in batches)

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

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        epoch = self._passes
        self._passes += 1
        return self.epoch(epoch)

    def _order(self, epoch: int) -> NDArray:
        if not self.shuffle:
            return np.arange(len(self.split))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.split))

    def _make(self, order: NDArray, epoch: int, number: int) -> tuple[NDArray, NDArray]:
        """Batch `number` of the epoch, on the host."""
        index = self._part(order, number)
        images, labels = self.split.images[index], self.split.labels[index]  # one index for both
        images = to_floats(images, self.split.scale)  # on the host, so that every backend has the same bits
        if self.augment is None:
            return images, labels
        rng = np.random.default_rng([self.seed, epoch, number + 1])  # with 0 instead of 1 it would be the shuffling's
        changed = self.augment(images, labels, rng)
        counts = [getattr(each, "shape", ())[:1] for each in changed] if isinstance(changed, tuple) else []
        if len(counts) != 2 or counts[0] != counts[1] or not counts[0]:
            raise OptionError("Loader", "augment to return (x, y), as many labels as images", repr(changed)[:80])
        return changed[0], changed[1]
