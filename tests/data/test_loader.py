"""Batches: every image once an epoch, with its own label, in an order that seed and epoch alone decide."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.backend import current_backend, dtype_name
from xpcnn.data.dataset import Split
from xpcnn.data.loader import Loader
from xpcnn.errors import OptionError

from ..arrays import assert_close
from .test_dataset import marked


def shown(batches) -> list[list[int]]:
    """The images' numbers in each batch, read off their pixels."""
    return [np.round(xpcnn.to_numpy(x)[:, 0, 0, 0] * 255).astype(int).tolist() for x, _ in batches]


def assert_labels(y, expected) -> None:
    assert type(y).__module__.split(".")[0] == current_backend().name
    assert dtype_name(y) == "int64"
    np.testing.assert_array_equal(xpcnn.to_numpy(y), expected)


@pytest.mark.parametrize("shuffle", [False, True])
def test_images_stay_with_their_labels(xp, shuffle):
    """The seeds' mistake: images and labels shuffled separately."""
    seen = []
    for x, y in Loader(marked(23), 5, shuffle=shuffle).epoch(3):
        numbers = np.round(xpcnn.to_numpy(x)[:, 0, 0, 0] * 255).astype(np.int64)
        assert_labels(y, numbers % 10)
        seen += numbers.tolist()
    assert sorted(seen) == list(range(23))
    assert (seen == sorted(seen)) is not shuffle


def test_values(xp):
    split = Split(np.array([0, 51, 255], np.uint8).reshape(1, 3, 1, 1), np.array([4]))
    x, y = next(Loader(split, 1).epoch(0))
    assert_close(x, np.array([0, 0.2, 1], np.float32).reshape(1, 3, 1, 1))
    assert_labels(y, [4])
    floats = Split(np.array([0.25, 0.5], np.float32).reshape(1, 1, 2, 1), np.array([0]))
    assert_close(next(Loader(floats, 1).epoch(0))[0], floats.images)


def test_the_same_bits_on_every_backend(xp):
    x, _ = next(Loader(marked(250), 250, shuffle=True).epoch(1))
    with xpcnn.use_backend("numpy"):
        expected, _ = next(Loader(marked(250), 250, shuffle=True).epoch(1))
    np.testing.assert_array_equal(xpcnn.to_numpy(x), expected)
    assert xpcnn.to_numpy(x).dtype == np.float32


@pytest.mark.parametrize(
    ("size", "sizes", "dropped"), [(4, [4, 4, 2], 2), (5, [5, 5], 2), (10, [10], 1), (99, [10], 0)]
)
def test_keeps_the_short_tail(size, sizes, dropped):
    """Document 001's random_mini_batches does."""
    loader = Loader(marked(10), size, shuffle=True)
    assert [len(y) for _, y in loader.epoch(0)] == sizes
    assert len(loader) == len(sizes)
    if dropped:
        short = Loader(marked(10), size, shuffle=True, drop_last=True)
        assert [len(y) for _, y in short.epoch(0)] == [size] * dropped
        assert len(short) == dropped
    else:
        with pytest.raises(OptionError, match="batches of at most the 10 images, got 99"):
            Loader(marked(10), size, drop_last=True)


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        return shown(Loader(marked(30), 8, shuffle=True, seed=seed).epoch(epoch))

    assert order(1, 2) == order(1, 2)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    xpcnn.seed(99)
    loader = Loader(marked(30), 8, shuffle=True, seed=1)
    list(loader.epoch(0))
    assert shown(loader.epoch(2)) == order(1, 2)
    expected = np.random.default_rng([1, 2]).permutation(30)
    assert [number for batch in order(1, 2) for number in batch] == expected.tolist()


@pytest.mark.parametrize("start", range(5))
def test_goes_on_from_any_batch(start):
    loader = Loader(marked(30), 8, shuffle=True)
    assert shown(loader.epoch(1, start)) == shown(loader.epoch(1))[start:]


def test_iterates_over_the_epochs_one_after_another():
    loader = Loader(marked(10), 4, shuffle=True)
    for epoch in range(3):
        assert shown(loader) == shown(loader.epoch(epoch))


def test_batches_are_copies(rng):
    split = Split(rng.random((4, 2, 2, 1), np.float32), np.arange(4))
    before = split.images.copy()
    for x, y in Loader(split, 2).epoch(0):
        x *= 0
        y *= 0
    np.testing.assert_array_equal(split.images, before)
    np.testing.assert_array_equal(split.labels, range(4))


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_refuses_batch_sizes(size):
    with pytest.raises(OptionError, match="batch_size"):
        Loader(marked(10), size)


def test_refuses_epochs_and_seeds_that_are_not():
    loader = Loader(marked(10), 4)
    for epoch, start in ((-1, 0), (0, -1), (0, 4)):
        with pytest.raises(OptionError, match=r"epoch ≥ 0, start from 0 to 3"):
            loader.epoch(epoch, start)
    with pytest.raises(OptionError, match="seed: an integer ≥ 0, got -1"):
        Loader(marked(10), 4, seed=-1)
