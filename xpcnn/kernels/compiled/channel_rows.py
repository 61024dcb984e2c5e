"""A batch as rows of numbers of which each has its own channel, for loops that treat every channel differently.

Loops are fast over long runs. With the batch last in memory (see `batch_last`), (N, …, C) is (P, C·N): a row has the
numbers of one position, N of each channel. In its usual order it is (P·N / k, k·C): a row has all channels of k
positions next to each other, and k divides their number. A factor of each channel is repeated for the numbers of a row.
"""

from __future__ import annotations

import numpy as np

from ...typing import NDArray
from ..batch_last import batch_first, batch_last, is_batch_last
from .loop import contiguous

RUN = 512  # numbers of a row, about, of images in the usual order with few channels


class ChannelRows:
    """How a batch of this shape and memory order is seen as rows.

    Parameters
        x : Array (N, …, C) without gaps in any order; all others are copied to the usual one, or with the batch last
    """

    def __init__(self, x: NDArray) -> None:
        self.shape, self.channels = x.shape, x.shape[-1]
        self.batch_is_last = is_batch_last(x)
        positions = x.size // self.channels
        most = max(1, min(positions, RUN // self.channels))
        self.together = len(x) if self.batch_is_last else max(k for k in range(1, most + 1) if positions % k == 0)

    def rows(self, x: NDArray) -> NDArray:
        """(N, …, C) → (M, L); a view if x has the memory order."""
        ordered = contiguous(batch_last(x) if self.batch_is_last else x)
        return ordered.reshape(-1, self.together * self.channels)

    def batch(self, rows: NDArray) -> NDArray:
        """(M, L) → (N, …, C), a view."""
        if self.batch_is_last:
            return batch_first(rows.reshape(*self.shape[1:], self.shape[0]))
        return rows.reshape(self.shape)

    def runs(self, rows: NDArray) -> NDArray:
        """(M, L) → (P, C, N), a view, where the batch is last."""
        return rows.reshape(-1, self.channels, self.together)

    def spread(self, *factors: NDArray) -> NDArray:
        """(C,) each → (k, L)."""
        c, times = self.channels, self.together
        table = np.empty((len(factors), *((c, times) if self.batch_is_last else (times, c))), factors[0].dtype)
        for row, each in zip(table, factors, strict=True):
            row[...] = each[:, None] if self.batch_is_last else each
        return table.reshape(len(factors), -1)
