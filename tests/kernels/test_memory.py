"""Memory is lent again only when no array is left on it, to arrays that fit, and a bounded part of it is kept."""

from __future__ import annotations

import gc
import os
import threading
import warnings

import numpy as np
import pytest

from xpcnn import settings
from xpcnn.errors import OptionError
from xpcnn.kernels import memory
from xpcnn.kernels.memory import empty, empty_like


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(memory, "_free", {})


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def kept() -> int:
    return sum(map(len, memory._free))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("shape", [(3,), (1 << 20,), (300, 7, 1001)])
def test_arrays_are_what_was_asked_for(shape, dtype):
    array = empty(shape, dtype)
    assert (array.shape, array.dtype, type(array)) == (shape, dtype, np.ndarray)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
    array[...] = 1
    assert array.sum() == array.size


def test_memory_comes_back_when_the_last_view_is_gone():
    array = empty((1024, 1024), np.float32)
    where, view = address(array), array.T[5:].view(np.int32)
    del array
    assert kept() == 0
    other = empty((1024, 1024), np.float32)
    assert address(other) != where
    del view
    assert kept() == 4 << 20
    again = empty((1024, 1020), np.float32)  # a little smaller
    assert address(again) == where
    assert kept() == 0


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20])
def test_memory_is_not_lent_to_what_does_not_fit(size):
    empty((size,), np.uint8)  # and gone at once
    before = kept()
    assert before == size
    larger = empty((size + 1,), np.uint8)
    assert kept() == before
    smaller = empty((int(size / 1.3),), np.uint8)
    assert kept() == before
    larger[...] = smaller[...] = 1


def test_small_arrays_are_not_kept():
    empty((1000,), np.float32)
    assert kept() == 0


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setenv("XPCNN_CACHE_MIB", "5")
    arrays = [empty(((2 << 20) + i,), np.uint8) for i in range(4)]
    last = [address(each) for each in arrays[2:]]
    while arrays:
        arrays.pop(0)
    assert kept() <= 5 << 20
    assert address(empty(((2 << 20) + 2,), np.uint8)) in last


def test_none_is_kept_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv("XPCNN_CACHE_MIB", "0")
    empty((1 << 20,), np.uint8)
    assert kept() == 0


def test_half_a_gigabyte_is_kept_unless_said_otherwise(monkeypatch):
    monkeypatch.delenv("XPCNN_CACHE_MIB", raising=False)
    assert settings.cache_bytes() == 1 << 29


@pytest.mark.parametrize("text", ["-1", "1.5", "all"])
def test_what_is_no_number_of_mib_is_one_clear_line(monkeypatch, text):
    monkeypatch.setenv("XPCNN_CACHE_MIB", text)
    with pytest.raises(OptionError, match=f"XPCNN_CACHE_MIB: expected a number of MiB ≥ 0, got '{text}'"):
        empty((1 << 20,), np.uint8)


def test_memory_that_a_cycle_held_comes_back_whenever_it_is_collected():
    class Node:
        pass

    for _ in range(20):
        node = Node()
        node.self, node.array = node, empty((1 << 20,), np.uint8)
    del node
    gc.collect()
    assert 0 < kept() <= 20 << 20


def test_several_threads_never_share_memory():
    failed = []

    def work(k):
        for i in range(200):
            array = empty(((1 << 20) + 4096 * (i % 3),), np.uint8)
            array[::4096] = k
            if not (array[::4096] == k).all():
                failed.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed


def test_more_than_there_is_is_a_memory_error(monkeypatch):
    empty((1 << 20,), np.uint8)
    with pytest.raises(MemoryError, match="Unable to allocate"):
        empty((1 << 40, 1 << 10), np.float32)
    assert kept() == 0


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 0, 2, 1)])
def test_empty_like_keeps_the_memory_order(order):
    x = np.zeros((40, 30, 20, 50), np.float32).transpose(order)
    like = empty_like(x)
    assert (like.shape, like.dtype, like.strides) == (x.shape, x.dtype, x.strides)
    assert empty_like(x[::2, :, 3:]).flags.owndata is False
    assert empty_like(x[::2, :, 3:]).shape == x[::2, :, 3:].shape


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_that_was_forked_while_the_lock_was_held_can_make_arrays():
    held, done = threading.Event(), threading.Event()

    def hold():
        with memory._lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        child = os.fork()
    if child == 0:
        empty((1 << 20,), np.uint8)
        os._exit(0)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        holder.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_writes_into_its_own_memory():
    array = empty((1 << 20,), np.uint8)
    array[...] = 1
    empty((3 << 20,), np.uint8)  # kept, and lent to both
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    lent = empty((3 << 20,), np.uint8)
    if child == 0:
        array[...] = lent[...] = 7
        os._exit(0)
    lent[...] = 3
    assert os.waitpid(child, 0)[1] == 0
    assert (array == 1).all()
    assert (lent == 3).all()
