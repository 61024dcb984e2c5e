"""Large arrays whose memory is used again.

A training step makes the same large arrays as the one before. The C library returns the memory of large arrays to the
system when they are freed, and the system clears fresh pages for the next ones; together that takes up to a quarter of
the time of a step. So the memory of arrays that are made here is kept when the last array on it is gone, at most
`XPCNN_CACHE_MIB` of it, and lent to the next array of about its size.
"""

from __future__ import annotations

import math
import mmap
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import settings
from ..typing import NDArray

LARGE = 1 << 18  # bytes; smaller arrays are the C library's
SPARE = 1.25  # memory of up to so many times the size will do

# a forked child's writes are its own; elsewhere than on Unix there are none
_PRIVATE: Any = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
_free: dict[mmap.mmap, None] = {}  # the one that came back last is last
_lock = threading.RLock()  # a thread that holds it may collect garbage, and so keep memory


def empty(shape: Sequence[int], dtype: Any) -> NDArray:
    """An array of unset numbers, as `numpy.empty`."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE or not (most := settings.cache_bytes()):
        return np.empty(shape, dtype)
    try:
        memory = _take(size)
    except OSError:  # there is no more: what is kept may be enough, else NumPy raises MemoryError
        with _lock:
            _free.clear()
        return np.empty(shape, dtype)
    whole: NDArray = np.frombuffer(memory, np.uint8)  # what every array on the memory refers to
    weakref.finalize(whole, _keep, memory, most).atexit = False
    array: NDArray = whole[:size].view(dtype).reshape(shape)
    return array


def empty_like(x: NDArray) -> NDArray:
    """An array of unset numbers in x's shape, dtype and memory order, without gaps."""
    axes = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    ordered = empty([x.shape[axis] for axis in axes], x.dtype)
    return ordered.transpose(*map(axes.index, range(x.ndim)))


def _take(size: int) -> mmap.mmap:
    with _lock:
        for memory in reversed(list(_free)):
            if size <= len(memory) <= size * SPARE and _withdraw(memory):
                return memory
    memory = mmap.mmap(-1, size, **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _keep(memory: mmap.mmap, most: int) -> None:
    with _lock:
        _free[memory] = None
        kept = sum(map(len, _free))
        for oldest in list(_free):
            if kept <= most:
                break
            if _withdraw(oldest):
                kept -= len(oldest)


def _withdraw(memory: mmap.mmap) -> bool:
    """Take it out; False if it is gone, because a garbage collection meanwhile has kept others and let it go."""
    return _free.pop(memory, memory) is None


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
