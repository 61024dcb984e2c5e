"""A step or a trainer that is given what makes no sense says so in one line, and all is as it was before."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, Split
from xpcnn.errors import NonFiniteError, OptionError, XpcnnError
from xpcnn.nn import CrossEntropyLoss, Flatten, Linear, Sequential
from xpcnn.optim import Adam
from xpcnn.training import Trainer, evaluate

from .small import assert_same, batch, everything, generators, network, split, trainer


def as_numpy():
    x, y = batch(5)
    return xpcnn.to_numpy(x), xpcnn.to_numpy(y)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x, y: (x, y + 5), "labels 0 … 2, got"),
        (lambda x, y: (x, y - 5), "labels 0 … 2, got"),
        (lambda x, y: (x, y.astype("float32")), "integer labels"),
        (lambda x, y: (x, y[:3]), r"labels \(5,\), got \(3,\)"),
        (lambda x, y: (x[:, :4], y), "layer 6: Linear"),
        (lambda x, y: (x.astype("int64"), y), "expected float32 or float64"),
        (lambda x, y: (x[:0], y[:0]), "at least one item"),
        (lambda x, y: (x * np.float32("nan"), y), "180 NaN of 180 numbers in the input"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_step_on_what_makes_no_sense_leaves_no_trace(change, text, place):
    """Also where it is the second batch of the step, or what is wrong is seen behind batch norm and dropout."""
    run = trainer(ema=0.9)
    good = as_numpy()
    run.train_step(*good)
    before = everything(run), generators(run.model), run.optimizer.scalars()
    batches = [good, good]
    batches[place] = change(*good)
    with pytest.raises(XpcnnError, match=text) as caught:
        run.train_step(*batches[0], *batches[1:])
    assert "\n" not in str(caught.value)
    assert_same(everything(run), before[0])
    assert (generators(run.model), run.optimizer.scalars()) == before[1:]


def test_a_step_after_a_run_names_no_images_of_that_run():
    """Its batches are the caller's own, and may be more than the loader had."""
    run = trainer()
    run.fit(Loader(split(), 64), epochs=1)
    x, y = as_numpy()
    with pytest.raises(NonFiniteError, match=r"numbers in the input, in step 2, epoch 2, batch 3; lower"):
        run.train_step(x, y, (x, y), (x * np.float32("nan"), y))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": None}, "a network, got NoneType"),
        ({"optimizer": "sgd"}, "an optimizer, such as .*, got 'sgd'"),
        ({"optimizer": None}, "an optimizer, such as .*, got None"),
        ({"criterion": CrossEntropyLoss}, r"a criterion, such as CrossEntropyLoss\(\), got <class"),
        ({"criterion": "mse"}, r"a criterion, such as CrossEntropyLoss\(\), got 'mse'"),
        ({"schedule": 0.1}, "a schedule, such as .*, got 0.1"),
    ],
)
def test_a_trainer_of_other_things_is_refused(options, text):
    model = network()
    options = {"model": model, "optimizer": Adam(model.parameters(), lr=0.1)} | options
    with pytest.raises(OptionError, match=f"Trainer: expected {text}"):
        Trainer(**options)


def test_an_evaluation_of_other_things_is_refused():
    with pytest.raises(OptionError, match="evaluate: expected a network, got NoneType"):
        evaluate(None, split())
    with pytest.raises(OptionError, match="evaluate: expected a criterion"):
        evaluate(network(), split(), CrossEntropyLoss)


@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_batches_of_classes_that_weigh_nothing_do_not_count(batch_size):
    model, labels = Sequential(Flatten(), Linear(36, 3, rng=0)), np.array([2] * 6 + [0, 1, 1, 0])
    images = Split(split(10).images, labels)
    criterion = CrossEntropyLoss(weight=[1.0, 2.0, 0.0])
    (x, y), *_ = Loader(images, 10).epoch(0)
    expected = float(criterion(model(x), y))
    assert evaluate(model, images, criterion, batch_size=batch_size).loss == pytest.approx(expected, rel=1e-6)
    nothing = Split(images.images, np.full(10, 2))
    with pytest.raises(NonFiniteError, match="evaluate: expected finite logits and loss"):
        evaluate(model, nothing, criterion, batch_size=batch_size)
