"""Validation takes no more memory than training, whatever the images, and the batches' size makes no difference."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.limits import at_most
from xpcnn.data import Loader, Split
from xpcnn.data.loader import images_at_once
from xpcnn.io import load_model, save_model
from xpcnn.nn import Conv2d, CrossEntropyLoss, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
from xpcnn.optim import SGD
from xpcnn.plot.wrong import top_losses
from xpcnn.training import Trainer, evaluate
from xpcnn.training.best_model import MODEL, run_batch_size

SIZE = 64


def large(n):
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (n, SIZE, SIZE, 3)).astype("uint8"), np.arange(n) % 3)


def network():
    return Sequential(
        Conv2d(3, 16, 3, padding=1, rng=0), ReLU(), Conv2d(16, 16, 3, padding=1, rng=1), ReLU(), GlobalAvgPool2d(),
        Linear(16, 3, rng=2),
    )  # fmt: skip


def trainer(folder=None):
    model = network()
    return Trainer(model, SGD(model.parameters(), lr=0.01), folder=folder, verbose=False)


@pytest.fixture
def nothing_kept(monkeypatch):
    """Memory of earlier arrays is not used again, so that all that is taken is seen."""
    monkeypatch.setenv("XPCNN_CACHE_MIB", "0")


@pytest.fixture
def of_training(nothing_kept):
    """Bytes that an epoch of two batches of 4 takes at most."""
    images = large(8)
    tracemalloc.start()
    trainer().fit(Loader(images, 4), epochs=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_an_epoch_with_validation_takes_what_one_without_does(of_training):
    images, held, run = large(8), large(96), trainer()
    with at_most(of_training + 2**21):
        run.fit(Loader(images, 4), held, epochs=1)
    with at_most(of_training + 2**21):
        run.evaluate(held)


def test_a_saved_run_is_judged_in_as_little(of_training, tmp_path):
    held = large(96)
    trainer(tmp_path).fit(Loader(large(8), 4), epochs=1)
    saved = load_model(tmp_path / MODEL)
    assert run_batch_size(saved) == 4
    with at_most(of_training + 2**21):
        evaluate(saved.model, held, batch_size=run_batch_size(saved))
    with at_most(of_training + 2**21):
        top_losses(saved.model, held, 5, batch_size=run_batch_size(saved))


def test_scores_are_counted_and_not_kept():
    """100,000 rows of 100 scores would be 40 MB."""
    model = Sequential(Flatten(), Linear(1, 100, rng=0))
    images = Split(np.zeros((100_000, 1, 1, 1), np.uint8), np.arange(100_000) % 100)
    with at_most(2**23):
        evaluate(model, images)


@pytest.mark.parametrize("batch_size", [1, 7, 30, 96])
def test_the_batches_size_makes_no_difference(xp, batch_size):
    rng = np.random.default_rng(1)
    images = Split(rng.integers(0, 256, (96, 5, 5, 1)).astype("uint8"), rng.integers(0, 8, 96))
    model = Sequential(Flatten(), Linear(25, 8, rng=0))
    whole = evaluate(model, images, CrossEntropyLoss(weight=[1, 2, 0, 1, 1, 5, 1, 1]), batch_size=96)
    parts = evaluate(model, images, CrossEntropyLoss(weight=[1, 2, 0, 1, 1, 5, 1, 1]), batch_size=batch_size)
    assert (parts.accuracy, parts.top5_accuracy) == (whole.accuracy, whole.top5_accuracy)
    assert 0 < whole.accuracy < whole.top5_accuracy < 1
    np.testing.assert_array_equal(parts.confusion, whole.confusion)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)


@pytest.mark.parametrize("size", [1, 8, 28, 64, 224, 4000])
def test_large_images_are_taken_one_at_a_time_and_small_ones_together(size):
    alone = images_at_once((size, size, 3))
    assert 1 <= alone <= 256
    assert alone == 1 or alone * size * size <= 2**18
    for batch_size in (1, 4, 256, 5000):
        known = images_at_once((size, size, 3), batch_size)
        assert known <= max(batch_size, 2**14 // size**2)
        assert min(batch_size, 256) <= known <= 256


@pytest.mark.parametrize("said", [0, -3, "4", None, 2.5, [4]])
def test_a_file_that_says_nonsense_is_taken_as_one_that_says_nothing(tmp_path, said):
    save_model(network(), tmp_path / MODEL, input_shape=(SIZE, SIZE, 3), extra={"batch_size": said})
    assert run_batch_size(load_model(tmp_path / MODEL)) == images_at_once((SIZE, SIZE, 3))
