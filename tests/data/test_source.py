"""A split gives the same batches, parts, statistics and digests from any source as from an array, and trains alike."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import xpcnn
from xpcnn import nn, optim, training
from xpcnn.data import Loader, Split
from xpcnn.data.order import buffered
from xpcnn.data.source import Source
from xpcnn.errors import DataError, FileError

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 2), dtype=np.uint8)
LABELS = np.arange(60) % 3


class Given:
    """An object of another program, with items at an array of positions."""

    shape, dtype = IMAGES.shape, IMAGES.dtype

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, positions):
        return IMAGES[positions]


class Ascending(Given):
    def __getitem__(self, positions):
        if (np.diff(positions) <= 0).any():
            raise TypeError("indexing elements must be in increasing order")  # as h5py says
        return IMAGES[positions]


class One(Given):
    def __getitem__(self, i: int):
        if not isinstance(i, int):
            raise TypeError("an integer")
        return IMAGES[i]


class Slices(Given):
    def __getitem__(self, part: slice):
        if not isinstance(part, slice):
            raise TypeError("a slice")
        return IMAGES[part]


class Failing(Source):
    """Fails at some item, while `bad` is set."""

    def __init__(self, error=None):
        self.shape, self.dtype, self.bad, self.error = IMAGES.shape, IMAGES.dtype, True, error

    def __getitem__(self, positions):
        if self.bad and self.error and 7 in positions:
            raise self.error
        return IMAGES[positions]


def memory_map(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def trained(split, validation, folder, *, epochs=2, **options):
    xpcnn.seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.2, rng=1), nn.Linear(60, 3, rng=0))
    trainer = training.Trainer(model, optim.Adam(model.parameters()), folder=folder, verbose=False)
    trainer.fit(Loader(split, 8, shuffle=True, seed=3), validation, epochs=epochs, **options)
    return model.state_dict()["2.weight"]


@pytest.mark.parametrize("kind", [Given, Ascending, One, Slices, memory_map])
def test_a_source_is_as_good_as_an_array(tmp_path, kind):
    array = Split(IMAGES, LABELS)
    lazy = Split(kind(tmp_path) if kind is memory_map else kind(), LABELS)
    assert isinstance(lazy.images, Source)
    assert lazy.scale_in_words == array.scale_in_words
    assert lazy.is_unit
    for one, other in zip((array, *array.split(0.3)), (lazy, *lazy.split(0.3)), strict=True):
        assert len(one) == len(other)
        assert one.digest == other.digest
        np.testing.assert_array_equal(one.statistics(), other.statistics())
        for (x, y), (x2, y2) in zip(Loader(one, 7, shuffle=True), Loader(other, 7, shuffle=True), strict=True):
            np.testing.assert_array_equal(xpcnn.to_numpy(x), xpcnn.to_numpy(x2))
            np.testing.assert_array_equal(xpcnn.to_numpy(y), xpcnn.to_numpy(y2))
    rest, part = lazy.split(0.3)
    assert rest.join(part).digest == array.split(0.3)[0].join(array.split(0.3)[1]).digest


@pytest.mark.parametrize("given", [Given(), One()])
def test_training_from_a_source_has_the_same_bits(tmp_path, given):
    weights = [
        trained(*Split(images, LABELS).split(0.2), tmp_path / str(i)) for i, images in enumerate((IMAGES, given))
    ]
    np.testing.assert_array_equal(*map(xpcnn.to_numpy, weights))


def test_what_gives_no_items_is_refused_in_one_line():
    class Gone(Given):
        def __getitem__(self, positions):
            raise RuntimeError("the\nnetwork is gone")

    class Coordinates(Given):
        def __getitem__(self, positions):
            return IMAGES[0, 0]

    for given, text in (
        (Gone(), "the network is gone"),
        (Coordinates(), r"got uint8 |gives none"),
        (object(), "to_numpy"),
    ):
        with pytest.raises(DataError, match=text) as caught:
            Split(given, LABELS)
        assert "\n" not in str(caught.value)


def test_negative_classes_of_a_source_are_found_before_the_first_step():
    class Labels(Source):
        shape, dtype = (60,), np.dtype("int64")

        def __getitem__(self, positions):
            return np.where(positions == 50, -1, LABELS[positions])

    model, split = nn.Sequential(nn.Flatten(), nn.Linear(60, 3, rng=0)), Split(IMAGES, Labels())
    for criterion in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(ignore_index=-1)):
        trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=0.01), criterion, verbose=False)
        if criterion.ignore_index is None:
            with pytest.raises(DataError, match="labels from 0 on, got -1 of item 50"):
                trainer.fit(Loader(split, 8), epochs=1)
            assert trainer.optimizer.steps == 0
        else:
            trainer.fit(Loader(split, 8), split, epochs=1)


def test_digests_of_another_meaning_are_left_alone():
    class Named(Given):
        digests = ("a", "b")

    assert Split(Named(), LABELS).digest == Split(IMAGES, LABELS).digest


def test_of_a_source_with_a_stated_scale_nothing_is_read_in_advance():
    class Counting(Source):
        shape, dtype, read = (1000, 4, 4, 1), np.dtype("float64"), 0

        def __getitem__(self, positions):
            Counting.read += len(positions)
            return np.full((len(positions), 4, 4, 1), 0.5)

    split = Split(Counting(), np.zeros(1000, np.int64), scale=2)
    assert Counting.read == 0
    x, _ = next(Loader(split, 10, prefetch=0).epoch(0))
    assert Counting.read == 10
    assert xpcnn.to_numpy(x).max() == 0.25


@pytest.mark.parametrize("error", [FileError("disk", "items", "none"), DataError("a.png", "a picture", "another")])
def test_a_source_that_fails_leaves_a_checkpoint_that_goes_on_bit_for_bit(tmp_path, error):
    source, whole = Failing(error), Split(IMAGES, LABELS)
    expected = trained(whole, None, tmp_path / "whole")
    digests = whole.digests
    source.digests = digests
    with pytest.raises(FileError, match=f"{error.who}: expected"):
        trained(Split(source, LABELS, scale=255), None, tmp_path / "run")
    assert (tmp_path / "run/checkpoint.safetensors").exists()
    source.bad = False
    found = trained(Split(source, LABELS, scale=255), None, tmp_path / "run", resume=True)
    np.testing.assert_array_equal(xpcnn.to_numpy(found), xpcnn.to_numpy(expected))


def test_a_source_that_hangs_ends_in_one_line():
    hold = threading.Event()

    class Hanging(Failing):
        def __getitem__(self, positions):
            if 59 in positions:
                hold.wait(60)
            return IMAGES[positions]

    batches = Loader(Split(Hanging(), LABELS, scale=255), 8, timeout=0.2).epoch(0)
    with pytest.raises(FileError, match=r"the next items within 0.2 s, got none: it hangs"):
        list(batches)
    hold.set()


def test_labels_of_any_shape_and_several_inputs():
    pixels, numbers = (IMAGES[..., 0] // 100).astype(np.uint8), np.ones((60, 5))
    for labels, dtype in (
        (pixels, "int64"),
        (IMAGES.astype(np.float32), "float32"),
        (np.eye(3, dtype="f4")[LABELS], "float32"),
    ):
        split = Split(IMAGES, labels).split(0.5)[0]
        _, y = next(Loader(split, 4).epoch(0))
        y = xpcnn.to_numpy(y)
        assert (y.shape, y.dtype) == ((4, *labels.shape[1:]), dtype)
    split = Split((IMAGES, numbers), LABELS, scale=(255, 1)).split(0.5)[1]
    (x, more), y = next(Loader(split, 4, shuffle=True).epoch(0))
    assert (x.shape, more.shape, y.shape) == ((4, 6, 5, 2), (4, 5), (4,))
    assert split.input_shape == ((6, 5, 2), (5,))
    with pytest.raises(DataError, match="60 items of each input, got 59"):
        Split((IMAGES, numbers[1:]), LABELS)


@pytest.mark.parametrize("shape", [(9, 3), (4,), (2, 3, 4, 3)], ids=["sequences", "rows", "volumes"])
def test_a_tuple_of_one_is_one_input_of_any_shape(shape):
    items = np.random.default_rng(1).normal(2, 3, size=(60, *shape)).astype(np.float32)
    split = Split((items,), LABELS, scale=1)
    assert split.input_shape == shape
    assert split.join(split).select(np.arange(70)).input_shape == shape
    kept, out = split.split(0.5)
    np.testing.assert_array_equal(out.batch(np.arange(30))[0], items[np.isin(split.digests, out.digests)])
    mean, std = split.statistics()
    np.testing.assert_allclose([mean, std], [f(items.reshape(-1, shape[-1]), axis=0) for f in (np.mean, np.std)], 1e-5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 3, rng=0))
    trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=0.1), verbose=False)
    trainer.fit(Loader(kept, 10, shuffle=True), out, epochs=1)
    assert trainer.evaluate(out).confusion.sum() == 30
    if len(shape) < 3:
        with pytest.raises(DataError, match=r"for rows or sequences, pass \(x,\)"):
            Split(items, LABELS)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (100, 1), (100, 7), (1000, 64), (100, 100), (10, 1000)])
def test_a_buffer_gives_each_item_once_and_never_too_early(n, size):
    order = buffered(n, size, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(n))
    if size < n:
        run = max(1, size // 16)
        begun = [len(set((order[: i + 1] // run).tolist())) for i in range(n)]  # runs that were needed so far
        assert all(count * run <= i + size + 2 * run for i, count in enumerate(begun))  # what the buffer can hold
    assert not n > 10 or order.tolist() != list(range(n))
