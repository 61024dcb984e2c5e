"""Training with a class for each pixel: a small network learns masks; accuracy, intersection over union and resume are
those of the pixels that count, on any number of shards."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from xpcnn.data import Loader, Split
from xpcnn.errors import DataError
from xpcnn.nn import Conv2d, CrossEntropyLoss, DiceLoss, FocalLoss, ReLU, Sequential
from xpcnn.optim import Adam
from xpcnn.training import Trainer, evaluate
from xpcnn.training.gradients import correct_items

IGNORED = 255


def network(classes=3):
    return Sequential(Conv2d(1, 8, 3, padding=1, rng=0), ReLU(), Conv2d(8, classes, 3, padding=1, rng=1))


def masks(n, seed=0):
    """Pictures with a bright and a dark square; the class of a pixel is what it is in, and its border is ignored."""
    rng = np.random.default_rng(seed)
    images, labels = rng.normal(0.5, 0.05, (n, 12, 12, 1)).astype("f4"), np.zeros((n, 12, 12), np.uint8)
    for image, label in zip(images, labels, strict=True):
        for number, light in ((1, 1.0), (2, 0.0)):
            i, j = rng.integers(0, 8, 2)
            image[i : i + 4, j : j + 4] = light
            label[i : i + 4, j : j + 4] = number
    labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1] = (IGNORED,) * 4
    return Split(images, labels, 1.0)


def fit(criterion, folder=None, epochs=4, **options):
    model = network()
    trainer = Trainer(model, Adam(model.parameters(), lr=0.02), criterion, folder=folder, verbose=False, **options)
    trainer.fit(Loader(masks(48), 8, shuffle=True, seed=0), masks(16, 1), epochs=epochs)
    return trainer


@pytest.mark.parametrize("criterion", [CrossEntropyLoss, FocalLoss, DiceLoss])
def test_masks_are_learnt(criterion):
    trainer = fit(criterion(ignore_index=IGNORED), epochs=20)
    found = trainer.evaluate(masks(16, 1))
    assert found.mean_iou > 0.85, (found.mean_iou, found.accuracy)
    last = trainer.history[-1]
    assert 0.9 < last.train_accuracy <= 1
    assert last.validation_accuracy <= 1


def test_only_pixels_that_count_count():
    split, model = masks(5), network()
    found = evaluate(model, split, CrossEntropyLoss(ignore_index=IGNORED), batch_size=2)
    answers, kept = model(split.images).argmax(axis=-1), split.labels != IGNORED
    assert found.accuracy == np.mean(answers[kept] == split.labels[kept])
    assert found.confusion.sum() == kept.sum()
    either = [
        np.sum((answers == k)[kept] & (split.labels == k)[kept]) / np.sum(((answers == k) | (split.labels == k))[kept])
        for k in range(3)
    ]
    assert found.mean_iou == pytest.approx(np.mean(either), rel=1e-12)


def test_an_item_counts_as_its_fraction_of_right_pixels(xp):
    logits = xp.array(np.eye(2)[[[0, 0, 1, 1], [0, 1, 1, 1]]])
    labels = xp.array(np.array([[0, 0, 1, 0], [1, 1, 1, 1]]))
    assert float(correct_items(CrossEntropyLoss(), logits, labels)) == pytest.approx(2 * 6 / 8)
    assert float(correct_items(CrossEntropyLoss(ignore_index=0), logits, labels)) == pytest.approx(2 * 4 / 5)


@pytest.mark.parametrize("kind", [CrossEntropyLoss, DiceLoss, partial(FocalLoss, reduction="sum")])
def test_labels_that_are_all_ignored_have_no_accuracy(kind):
    images = masks(2)
    images = Split(images.images, np.full_like(images.labels, IGNORED), 1.0)
    with pytest.raises(DataError, match="expected a label that counts, got none but ignore_index"):
        evaluate(network(), images, kind(ignore_index=IGNORED))


def test_a_process_may_have_none_of_the_labels_that_count():
    """Of two that share the batches, the first has ignored labels alone."""
    images, said = masks(4), []
    images.labels[::2] = IGNORED

    class Pair:
        size = 2

        def __init__(self, rank):
            self.rank = rank

        def all(self, value):
            said.append(value)
            return [said.pop(0), value] if self.rank else [value]

    options = (network(), images, CrossEntropyLoss(ignore_index=IGNORED), 1)
    with pytest.raises(DataError):
        evaluate(*options, group=Pair(0))
    both, alone = evaluate(*options, group=Pair(1)), evaluate(*options)
    np.testing.assert_array_equal(both.confusion, alone.confusion)
    assert (both.loss, both.accuracy) == (pytest.approx(alone.loss), alone.accuracy)


def test_a_run_goes_on_bit_for_bit(tmp_path):
    whole = fit(CrossEntropyLoss(ignore_index=IGNORED), tmp_path / "whole", shards=2)
    fit(CrossEntropyLoss(ignore_index=IGNORED), tmp_path / "cut", epochs=2, shards=2)
    model = network()
    cut = Trainer(
        model,
        Adam(model.parameters(), lr=0.02),
        CrossEntropyLoss(ignore_index=IGNORED),
        folder=tmp_path / "cut",
        verbose=False,
        shards=2,
    )
    cut.fit(Loader(masks(48), 8, shuffle=True, seed=0), masks(16, 1), epochs=4, resume=True)
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(array, cut.model.state_dict()[name])
    assert [row.train_accuracy for row in whole.history] == [row.train_accuracy for row in cut.history]


def test_a_label_beyond_the_outputs_is_refused_before_training():
    with pytest.raises(DataError, match="labels below 3, as the model has outputs, got 255"):
        fit(CrossEntropyLoss())
