"""Batches of a split, in an order that depends on the seed and the epoch alone.

So a run that is stopped in the middle of an epoch goes on with the very batch that it would have had next, on
every backend.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..backend import asarray
from ..errors import OptionError
from ..options import as_count
from ..typing import Array
from .dataset import Host, Split


class Loader:
    """A split in batches.

    Parameters
        split : images and labels
        batch_size : images in a batch; the last batch of an epoch is shorter where they do not come out even
        shuffle : a new random order each epoch, instead of the split's own
        seed : of the shuffling, from 0 on
        drop_last : leave a short last batch out
    Raises
        OptionError : an argument makes no sense, or no batch would be left

    `for x, y in loader` is one epoch: number 0 the first time, 1 the next, and so on.

    >>> split = Split(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10))
    >>> [y.tolist() for x, y in Loader(split, 4).epoch(0)]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """

    def __init__(
        self, split: Split, batch_size: int, *, shuffle: bool = False, seed: int = 0, drop_last: bool = False
    ) -> None:
        if not isinstance(split, Split):
            raise OptionError("Loader", "a Split, such as digits().train", type(split).__name__)
        self.split = split
        self.batch_size = as_count("Loader", "batch_size", batch_size)
        self.shuffle, self.drop_last = shuffle, drop_last
        self.seed = as_count("Loader", "seed", seed, least=0)
        self._passes = 0
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
            start : the batch to begin with, from 0 on; `len(loader)` leaves none
        Returns
            pairs of x : Array (N, H, W, C), float32 in [0, 1], and y : Array (N,), int64
        Raises
            OptionError : there is no such epoch or batch
        """
        if epoch < 0 or not 0 <= start <= len(self):
            raise OptionError("Loader", f"epoch ≥ 0, start from 0 to {len(self)}", f"epoch {epoch}, start {start}")
        order = self._order(epoch)
        size = self.batch_size
        return (self._batch(order[i * size : (i + 1) * size]) for i in range(start, len(self)))

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        epoch = self._passes
        self._passes += 1
        return self.epoch(epoch)

    def _order(self, epoch: int) -> Host:
        if not self.shuffle:
            return np.arange(len(self.split))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.split))

    def _batch(self, index: Host) -> tuple[Array, Array]:
        images, labels = self.split.images[index], self.split.labels[index]  # one index for both
        if images.dtype == np.uint8:
            images = images.astype(np.float32)
            images /= np.float32(255)  # on the host, so that every backend has the same bits
        return asarray(images), asarray(labels)
