"""Arrays whose batch runs fastest in memory: the order in which the fast implementations for NumPy keep a batch.

An array (N, …, C) looks the same in any memory order, to every operation. If its memory is that of a C-contiguous
(…, C, N), then
    - what a kernel reads at one position of all images, KW·C·N numbers, is one run, and a matrix (KW·C, N) as it
      stands: a product needs no rows copied together, and no copy at all along the width;
    - elementwise work, pooling and padding run over W·C·N or C·N numbers at a stretch, as vector units want it;
    - flattening images to rows of a matrix changes nothing in memory.
(N, H, W, C) as it is usually stored has runs of C numbers, which may be 1 or 3.

An operation that is given an array in another order copies it; one that is given this order returns this order. So
a network copies its input once. NumPy's own functions keep the order of what they are given.

Source: A. Krizhevsky's cuda-convnet (2011) kept the batch last for the same reason on the GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..typing import NDArray

MINIMUM_BATCH = 8  # images: with fewer, runs of N numbers are too short


def refuses_array(x: Any) -> str | None:
    """Why an implementation for NumPy does not take this array, or None."""
    if not isinstance(x, np.ndarray):
        return "the arrays are not NumPy's"
    if x.ndim < 2 or x.dtype.kind != "f":
        return "it is no batch of real numbers"
    return None


def refuses_batch(x: Any, *, one: bool = True) -> str | None:
    """Why an implementation that keeps the batch last does not take this batch, or None.

    Parameters
        one : whether it takes one image, which has the same memory order, batch first or last
    """
    reason = refuses_array(x)
    if reason is None and x.shape[0] < MINIMUM_BATCH and not (one and x.shape[0] == 1):
        reason = f"there are fewer than {MINIMUM_BATCH} images"
    return reason


def batch_last(x: NDArray) -> NDArray:
    """(N, …, C) → (…, C, N), C-contiguous; a view, if it is that already."""
    return np.ascontiguousarray(x.transpose(*range(1, x.ndim), 0))


def batch_first(x: NDArray) -> NDArray:
    """(…, C, N) → (N, …, C): a view."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1))


def chunks(total: int, most: int) -> list[slice]:
    """0 … total in nearly equal slices of at most that many."""
    count = -(-total // most)
    size = -(-total // count)
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
