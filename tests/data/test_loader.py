"""Batches: every image once an epoch, with its own label, in an order that seed and epoch alone decide.

Augmentation draws by seed, epoch and batch, so that neither prefetching nor a start in the middle changes a bit.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import xpcnn
from xpcnn.backend import current_backend, dtype_name
from xpcnn.data.augment import Flip, parse
from xpcnn.data.digits import digits
from xpcnn.data.loader import Loader
from xpcnn.data.split import Split
from xpcnn.errors import OptionError
from xpcnn.models import mnist_cnn
from xpcnn.nn import CrossEntropyLoss
from xpcnn.optim import SGD

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


def noise(x, y, rng):
    """An augmentation that shows all of its draws."""
    return np.clip(x + rng.normal(0, 0.1, x.shape).astype(x.dtype), 0, 1), y


def host(batches) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(xpcnn.to_numpy(x).copy(), xpcnn.to_numpy(y).copy()) for x, y in batches]


def assert_same(actual, expected) -> None:
    assert len(actual) == len(expected)
    for (x, y), (x_, y_) in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(x, x_)
        np.testing.assert_array_equal(y, y_)


@pytest.mark.parametrize("prefetch", [1, 2, 9])
@pytest.mark.parametrize(
    "augment", [None, noise, parse("flip,vflip,shift:1,rotate:40,mixup:0.4", 10)], ids=["none", "noise", "parsed"]
)
def test_prefetching_changes_no_bit(xp, prefetch, augment):
    plain = Loader(marked(30), 8, shuffle=True, seed=3, augment=augment)
    ahead = Loader(marked(30), 8, shuffle=True, seed=3, augment=augment, prefetch=prefetch)
    for epoch in (0, 2):
        expected = host(plain.epoch(epoch))
        for start in (0, 1, 3, 4):
            assert_same(host(ahead.epoch(epoch, start)), expected[start:])
            assert_same(host(plain.epoch(epoch, start)), expected[start:])
    assert_same(host(ahead), host(plain.epoch(0)))


def test_batches_are_augmented_on_the_host_and_then_moved(xp):
    kinds = []

    def look(x, y, rng):
        kinds.append((type(x), x.dtype, type(y), y.dtype))
        return noise(x, y, rng)

    batches = list(Loader(marked(10), 4, shuffle=True, augment=look, prefetch=1).epoch(0))
    assert set(kinds) == {(np.ndarray, np.dtype("float32"), np.ndarray, np.dtype("int64"))}
    with xpcnn.use_backend("numpy"):
        expected = list(Loader(marked(10), 4, shuffle=True, augment=noise).epoch(0))
    for (x, y), (x_, y_) in zip(batches, expected, strict=True):
        assert type(x).__module__.split(".")[0] == current_backend().name
        np.testing.assert_array_equal(xpcnn.to_numpy(x), x_)
        assert_labels(y, y_)


def test_each_batch_draws_by_seed_epoch_and_number():
    def first_draw(x, y, rng):
        drawn.append(rng.random())
        return x, y

    drawn: list[float] = []
    for seed in (0, 1):
        loader = Loader(marked(30), 8, shuffle=True, seed=seed, augment=first_draw)
        for epoch in (0, 1):
            list(loader.epoch(epoch))
            drawn.append(np.random.default_rng([seed, epoch]).random())  # the shuffling's: another
    assert len(drawn) == len(set(drawn)) == 2 * 2 * 5


def test_augmentation_leaves_the_order_as_it_was():
    plain = Loader(marked(30), 8, shuffle=True, seed=5)
    augmented = Loader(marked(30), 8, shuffle=True, seed=5, augment=lambda x, y, rng: (x, y + 0 * rng.integers(9)))
    assert shown(augmented.epoch(2)) == shown(plain.epoch(2))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_augmentation_that_fails_is_heard_in_its_turn(prefetch):
    def fails(x, y, rng):
        if y[0] == 8:
            raise ZeroDivisionError("in the augmentation")
        return x, y

    batches = Loader(marked(30), 4, augment=fails, prefetch=prefetch).epoch(0)
    assert shown([next(batches), next(batches)]) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(ZeroDivisionError, match="in the augmentation"):
        next(batches)


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, y, rng: x,
        lambda x, y, rng: None,
        lambda x, y, rng: (x, y[1:]),
        lambda x, y, rng: (x, y, y),
        lambda x, y, rng: (None, None),
        lambda x, y, rng: [*x],
    ],
)
def test_refuses_what_an_augmentation_must_not_return(prefetch, wrong):
    with pytest.raises(OptionError, match=r"Loader: expected augment to return \(x, y\), as many labels as images"):
        next(Loader(marked(10), 4, augment=wrong, prefetch=prefetch).epoch(0))


def test_refuses_what_is_no_augmentation_or_count():
    for wrong in ("flip", 4, Flip):
        with pytest.raises(OptionError, match="Loader: expected augment: a callable"):
            Loader(marked(10), 4, augment=wrong)
    with pytest.raises(OptionError, match=r"got 'flip,crop:4'; pass augment.parse\('flip,crop:4'\)"):
        Loader(marked(10), 4, augment="flip,crop:4")
    for wrong in (-1, 1.5, True):
        with pytest.raises(OptionError, match="Loader: expected prefetch: an integer ≥ 0"):
            Loader(marked(10), 4, prefetch=wrong)


def test_an_epoch_that_is_left_early_leaves_no_thread():
    for _ in Loader(marked(30), 2, augment=noise, prefetch=4):
        break
    until = time.monotonic() + 10
    while any(each.name.startswith("xpcnn-prefetch") for each in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.parametrize("prefetch", [1, 3])
def test_training_beside_prefetching_changes_no_bit(prefetch, monkeypatch):
    """The operations' own threads, which hold BLAS to one, run at the same time."""
    monkeypatch.setattr("xpcnn.kernels.threads._ALONE", 0.0)
    monkeypatch.setenv("XPCNN_NUM_THREADS", "3")
    split = digits().train.take(300)
    before = threadpool_info()

    def trained(prefetch):
        model = mnist_cnn((8, 8, 1), rng=0)
        optimizer = SGD(model.parameters(), lr=0.05)
        augment = parse("shift:1,rotate:20,mixup:0.2", 10)
        for x, y in Loader(split, 32, shuffle=True, augment=augment, prefetch=prefetch):
            logits, cache = model.forward(x)
            _, loss_cache = CrossEntropyLoss().forward(logits, y)
            optimizer.step(model.backward(CrossEntropyLoss().backward(loss_cache), cache, input_grad=False)[1])
        return model.parameters()

    expected = trained(0)
    for name, array in trained(prefetch).items():
        np.testing.assert_array_equal(array, expected[name])
    assert threadpool_info() == before


@pytest.mark.parametrize("options", [{}, {"shuffle": True, "seed": 3}, {"shuffle": True, "drop_last": True}])
def test_where_a_batch_s_images_stand(options):
    loader = Loader(marked(23), 5, **options)
    for epoch in (0, 2):
        places = [loader.indices(epoch, batch).tolist() for batch in range(len(loader))]
        assert places == shown(loader.epoch(epoch))  # the images are numbered as they stand
    for epoch, batch in ((-1, 0), (0, -1), (0, len(loader))):
        with pytest.raises(OptionError, match="Loader: expected epoch ≥ 0, batch from 0 to"):
            loader.indices(epoch, batch)


def test_augmentation_of_several_inputs_is_a_function_of_ones_own():
    both = Split((np.zeros((4, 8, 8, 1), np.uint8), np.zeros((4, 2), np.float32)), np.arange(4), scale=(255, 1))
    with pytest.raises(OptionError, match="augment for several inputs"):
        Loader(both, 2, augment=parse("flip"))
    (x, _), _ = next(Loader(both, 2, augment=lambda x, y, rng: ((x[0] + 1, x[1]), y)).epoch(0))
    assert np.all(np.asarray(x) == 1)
