"""Several batches make one step as one batch of all their images would, whatever their sizes and the criterion."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import xpcnn
from tests.arrays import assert_close
from xpcnn.data import Loader
from xpcnn.errors import OptionError
from xpcnn.nn import (
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    HingeLoss,
    HuberLoss,
    Linear,
    LogSoftmax,
    MSELoss,
    NLLLoss,
    ReLU,
    Sequential,
)
from xpcnn.optim import SGD, Adam, Cosine
from xpcnn.training import Trainer
from xpcnn.training.gradients import Gradients, batch_gradients, joined

from .small import assert_same, host, split

SIZES = (5, 1, 7, 3)
WEIGHT = [0.2, 3.0, 1.0]
CRITERIA = {
    "mean": CrossEntropyLoss(),
    "sum": CrossEntropyLoss(reduction="sum"),
    "weighted": CrossEntropyLoss(weight=WEIGHT),
    "weighted sum": CrossEntropyLoss(weight=WEIGHT, reduction="sum"),
    "likelihood": NLLLoss(weight=WEIGHT),
    "hinge": HingeLoss(),
    "smooth": CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1),
    "soft": CrossEntropyLoss(weight=WEIGHT),
    "regression": MSELoss(),
    "huber": HuberLoss(reduction="sum"),
}


def network():
    return Sequential(Conv2d(1, 3, 3, rng=0), ReLU(), Flatten(), Linear(48, 3, rng=1), LogSoftmax()).astype("float64")


def batches(xp, name):
    rng = np.random.default_rng(7)
    images, labels = rng.normal(size=(sum(SIZES), 6, 6, 1)), rng.integers(0, 3, sum(SIZES))
    if name == "soft":
        labels = rng.dirichlet([1, 1, 1], sum(SIZES))
    elif name in ("regression", "huber"):
        labels = rng.normal(size=(sum(SIZES), 3)) * 3
    ends = np.cumsum((0, *SIZES))
    parts = [(xp.array(images[a:b]), xp.array(labels[a:b])) for a, b in pairwise(ends)]
    return (xp.array(images), xp.array(labels)), parts


@pytest.mark.parametrize("name", CRITERIA)
def test_batches_of_unequal_size_are_one_batch(xp, name):
    model, criterion = network(), CRITERIA[name]
    (x, y), parts = batches(xp, name)
    whole = batch_gradients(model, criterion, x, y)
    total = None
    for images, targets in parts:
        part = batch_gradients(model, criterion, images, targets)
        total = part if total is None else joined(total, part, criterion.reduction)
    assert_close(total.loss, np.asarray(xpcnn.to_numpy(whole.loss)))
    assert int(total.correct) == int(whole.correct)
    for key, gradient in whole.grads.items():
        assert_close(total.grads[key], xpcnn.to_numpy(gradient))


@pytest.mark.parametrize("name", ["mean", "weighted", "regression"])
def test_a_step_on_several_batches_is_that_of_all_images(xp, name):
    (x, y), parts = batches(xp, name)
    results = []
    for given in ([(x, y)], parts):
        model = network()
        run = Trainer(model, Adam(model.parameters(), lr=0.01), CRITERIA[name], clip_norm=0.1, verbose=False)
        loss, correct, _ = run.train_step(*given[0], *given[1:])
        assert run.optimizer.steps == 1
        results.append((float(loss), int(correct), host(model.parameters())))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    assert results[0][1] == results[1][1]
    for key, array in results[0][2].items():
        np.testing.assert_allclose(results[1][2][key], array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 7), (2, 4), (3, 3), (7, 1), (50, 1)])
def test_an_epoch_leaves_no_batch_out_and_the_schedule_counts_steps(accumulate, steps):
    """7 batches of 10, the last of 4: what is left at the end of an epoch is a step, too."""
    rates = Cosine(0.1, total=2 * steps)
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    seen = []
    run = Trainer(
        model, SGD(model.parameters(), lr=1.0), schedule=rates, accumulate=accumulate, verbose=False,
        on_step=[lambda trainer, step: seen.append(step)],
    )  # fmt: skip
    loader = Loader(split(), 10, shuffle=True, seed=4)
    run.fit(loader, epochs=2)
    assert run.optimizer.steps == 2 * steps
    assert [step.lr for step in seen] == [rates.lr_at(i) for i in range(2 * steps)]
    assert sum(step.images for step in seen) == 2 * 64
    assert seen[-1].batch == 7

    reference = Sequential(Flatten(), Linear(36, 3, rng=0))
    optimizer, criterion, losses = SGD(reference.parameters(), lr=1.0), CrossEntropyLoss(), []
    for epoch in range(2):
        given = list(loader.epoch(epoch))
        for i in range(0, 7, accumulate):
            x, y = (np.concatenate(each) for each in zip(*given[i : i + accumulate], strict=True))
            part = batch_gradients(reference, criterion, x, y)
            losses.append((float(part.loss), len(x)))
            optimizer.lr = rates.lr_at(optimizer.steps)
            optimizer.step(part.grads)
    for key, array in host(reference.parameters()).items():
        np.testing.assert_allclose(host(model.parameters())[key], array, rtol=1e-4, atol=1e-6)
    epochs = [losses[: len(losses) // 2], losses[len(losses) // 2 :]]
    for row, epoch in zip(run.history, epochs, strict=True):
        assert row.train_loss == pytest.approx(sum(loss * n for loss, n in epoch) / 64, rel=1e-6)


def test_one_batch_a_step_is_bit_for_bit_the_plain_loop():
    """Nothing is multiplied where there is nothing to join (`test_trainer` compares with the loop)."""
    runs = []
    for accumulate in (1, 50):
        model = Sequential(Flatten(), Linear(36, 3, rng=0))
        run = Trainer(model, SGD(model.parameters(), lr=0.1), accumulate=accumulate, verbose=False)
        run.fit(Loader(split(), 64), epochs=2)
        runs.append(host(model.parameters()))
    assert_same(*runs)


@pytest.mark.parametrize("value", [0, -1, 1.5, None, True])
def test_accumulate_is_a_count(value):
    model = Linear(2, 2)
    with pytest.raises(OptionError, match="Trainer: expected accumulate"):
        Trainer(model, SGD(model.parameters(), lr=0.1), accumulate=value)


@pytest.mark.parametrize("place", ["loss", "gradient"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_noticed(xp, place, bad):
    weight = np.ones((3, 4), "float32")
    if place == "gradient":
        weight[2, 3] = bad
    loss = xp.array(np.asarray(bad if place == "loss" else 1.0, "float32"), "float32")
    part = Gradients(loss, 0, 1, {"weight": xp.array(weight, "float32"), "bias": xp.array(np.ones(3), "float32")})
    assert not part.finite()
    assert part.not_finite() == (["weight"] if place == "gradient" else [])


def test_numbers_whose_sum_overflows_are_finite(xp):
    big = xp.array(np.full((3, 4), 3e38), "float32")
    part = Gradients(xp.array(np.asarray(1.0), "float32"), 0, 1, {"weight": big})
    assert part.finite()
    opposite = xp.array(np.asarray([np.inf, -np.inf]), "float32")
    assert not Gradients(xp.array(np.asarray(1.0), "float32"), 0, 1, {"weight": opposite}).finite()
