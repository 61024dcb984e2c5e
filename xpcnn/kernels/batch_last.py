"""Arrays with the batch as the fastest-varying axis in memory, as the fast implementations for NumPy use them.

An array (N, …, C) looks the same to every operation, in any memory order. If its memory is that of a C-contiguous
(…, C, N), then
    - the KW·C·N numbers that a kernel row reads at one position of all images are one run, which is a matrix (KW·C, N)
      without a copy: a product needs no copy along the width;
    - elementwise work, pooling and padding run over W·C·N or C·N contiguous numbers, which suits vector units;
    - flattening images to rows of a matrix changes nothing in memory.
In its usual order, (N, H, W, C) has runs of C numbers, which may be 1 or 3.

Most operations copy arrays that have another order, and return their results in this one. So a network copies its
input once. NumPy's own functions keep the memory order of their arguments; so do compiled loops, with which a network
of fewer than `COMPILED_BATCH` images stays in the usual order.

Source: A. Krizhevsky's cuda-convnet (2011) kept the batch last for the same reason on the GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..typing import NDArray

FEW_CHANNELS = 8
MINIMUM_BATCH = 8  # images: with fewer, runs of N numbers are too short
MANY = 32  # images: with fewer, products of N columns are slow
COMPILED_BATCH = 32  # images: with fewer, compiled loops are faster with the channels last


def refuses_array(x: Any) -> str | None:
    """The reason why an implementation for NumPy refuses this array, or None."""
    if not isinstance(x, np.ndarray):
        return "the arrays are not NumPy's"
    if x.ndim < 2 or x.dtype.kind != "f":
        return "it is no batch of real numbers"
    return None


def refuses_batch(x: Any, *, one: bool = True) -> str | None:
    """The reason why an implementation that keeps the batch last refuses this batch, or None.

    Parameters
        one : whether it accepts a single image, whose memory order is the same, batch first or last
    """
    reason = refuses_array(x)
    if reason is None and x.shape[0] < MINIMUM_BATCH and not (one and x.shape[0] == 1):
        reason = f"there are fewer than {MINIMUM_BATCH} images"
    return reason


def refuses_last(x: Any, *, compiled: bool = False, turns: bool = False) -> str | None:
    """The reason why an implementation that keeps the channels last refuses images (N, H, W, C), or None.

    Images in the order with the batch last stay in it. So do networks: their images, which have few channels, are
    copied to that order if there are enough of them.

    Parameters
        compiled : whether it consists of compiled loops
        turns : whether it pays to leave that order for fewer images than `MANY`
    """
    reason = refuses_array(x)
    if reason is not None or x.ndim != 4 or x.shape[0] < MINIMUM_BATCH:
        return reason
    enough = COMPILED_BATCH if compiled else MINIMUM_BATCH
    if x.shape[3] < FEW_CHANNELS and x.shape[0] >= enough:
        return f"there are {enough} images or more with fewer than {FEW_CHANNELS} channels"
    if turns and x.shape[0] < MANY:
        return None
    return "the batch is last in memory" if is_batch_last(x) else None


def is_batch_last(x: NDArray) -> bool:
    """Whether the batch varies faster in memory than the channels; of one image both orders are the same."""
    return len(x) > 1 and abs(x.strides[0]) <= abs(x.strides[-1])


def keeps_channels_last(x: NDArray) -> bool:
    """Whether these are few images in the usual order of memory, which stay in it."""
    return x.ndim == 4 and x.shape[0] < MANY and bool(x.flags.c_contiguous)


def batch_last(x: NDArray) -> NDArray:
    """(N, …, C) → (…, C, N), C-contiguous; a view if x already has this memory order."""
    return np.ascontiguousarray(x.transpose(*range(1, x.ndim), 0))


def batch_first(x: NDArray) -> NDArray:
    """(…, C, N) → (N, …, C): a view."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1))


def chunks(total: int, most: int) -> list[slice]:
    """Divide 0 … total into nearly equal slices of length `most` or less; none if total is 0."""
    if not total:
        return []
    count = -(-total // most)
    size = -(-total // count)
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
