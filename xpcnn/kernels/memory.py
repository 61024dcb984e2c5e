"""Reuse the memory of large arrays.

A training step makes the same large arrays as the step before. The C library returns the memory of freed large arrays
to the system, and the system clears fresh pages for the next ones. Together that takes up to a quarter of the time of a
step. So this module keeps the memory of its arrays, at most `XPCNN_CACHE_MIB` of it, when the last array that uses it
is gone, and gives it to the next array of about that size.
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

LARGE = 1 << 18  # bytes; the C library allocates smaller arrays
LINE = 64  # bytes of a line of a processor's cache
SPARE = 1.25  # the memory may be up to this many times the array's size

# private, so that a forked child writes to its own copy; only Unix forks
_PRIVATE: Any = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
_free: dict[mmap.mmap, None] = {}  # in the order of return
_lock = threading.RLock()  # reentrant: garbage collection in the thread that holds it may return memory


def empty(shape: Sequence[int], dtype: Any) -> NDArray:
    """An uninitialised array, as from `numpy.empty`."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE or not (most := settings.cache_bytes()):
        return np.empty(shape, dtype)
    try:
        memory = _take(size)
    except OSError:  # out of memory: kept memory may be enough, else NumPy raises MemoryError
        with _lock:
            _free.clear()
        return np.empty(shape, dtype)
    whole: NDArray = np.frombuffer(memory, np.uint8)  # every array in this memory refers to it
    weakref.finalize(whole, _keep, memory, most).atexit = False
    array: NDArray = whole[:size].view(dtype).reshape(shape)
    return array


def empty_like(x: NDArray) -> NDArray:
    """An uninitialised array of x's shape, dtype and memory order, without gaps."""
    axes = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    ordered = empty([x.shape[axis] for axis in axes], x.dtype)
    return ordered.transpose(*map(axes.index, range(x.ndim)))


def aligned(shape: Sequence[int], dtype: Any) -> NDArray:
    """Zeros that begin at the start of a cache line."""
    dtype = np.dtype(dtype)
    memory = np.zeros(math.prod(shape) * dtype.itemsize + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    array: NDArray = memory[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
    return array


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
    """Remove it from the free ones; False if it is gone, because garbage collection returned others and dropped it."""
    return _free.pop(memory, memory) is None


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
