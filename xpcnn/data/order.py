"""An order of items that is random, and in which a source is still read nearly from its beginning to its end."""

from __future__ import annotations

import numpy as np

from ..typing import NDArray

_RUNS = 16  # that a buffer holds


def buffered(n: int, size: int, rng: np.random.Generator) -> NDArray:
    """The positions 0 … n − 1, shuffled through a buffer: what `size` items in memory could deliver.

    Runs of size / 16 neighbours, in random order, flow into a buffer. Each time, a random one of the buffer's
    positions is next, and the flow's next position takes its place. So the source is read in runs, which suits disks
    and archives. With size ≥ n, all items are shuffled.

    Parameters
        size : of the buffer, ≥ 1; with 1, only the runs are shuffled
        rng : decides the order, and nothing else does
    Returns
        positions : int64 (n,), each once

    >>> sorted(buffered(10, 4, np.random.default_rng(0)).tolist()) == list(range(10))
    True
    """
    if size >= n:
        return rng.permutation(n)
    run = max(1, size // _RUNS)
    begins = rng.permutation(-(-n // run)) * run
    flow = (begins[:, None] + np.arange(run)).reshape(-1)
    flow = flow[flow < n]  # (n,)
    buffer, order = flow[:size].tolist(), []
    for position, place in zip(flow[size:].tolist(), rng.integers(size, size=n - size).tolist(), strict=True):
        order.append(buffer[place])
        buffer[place] = position
    return np.array([*order, *rng.permutation(buffer).tolist()], np.int64)
