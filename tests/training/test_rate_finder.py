"""The sweep over learning rates: its rates, smoothing, end and suggestions by hand; and that it leaves no trace."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, Split
from xpcnn.errors import DataError, NonFiniteError, OptionError
from xpcnn.nn import CrossEntropyLoss, Flatten, Linear, MSELoss, Sequential
from xpcnn.optim import SGD, Adam
from xpcnn.training import lr_find

from .small import assert_same, generators, host, loader, network, split


def sweep(optimizer=Adam, model=None, criterion=None, given=None, **options):
    model = model or network()
    return lr_find(model, optimizer(model.parameters(), lr=0.5), given or loader(), criterion, **options)


def test_the_rates_are_evenly_spaced_in_log():
    found = sweep(lowest=1e-6, highest=1e-2, steps=41)
    np.testing.assert_allclose(found.rates, np.logspace(-6, -2, 41), rtol=1e-12)
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 41


def test_it_is_training_at_these_rates(xp):
    """The losses are those of the plain loop, through the loader's epochs one after the other."""
    model, criterion = network(), xpcnn.nn.CrossEntropyLoss()
    optimizer = Adam(model.parameters(), lr=1.0)
    losses = []
    for epoch in range(2):
        for x, y in loader().epoch(epoch):
            logits, cache = model.forward(x)
            loss, loss_cache = criterion.forward(logits, y)
            _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
            optimizer.lr = float(1e-5 * (1e-1 / 1e-5) ** (len(losses) / 13))
            optimizer.step(grads)
            losses.append(float(loss))
    found = sweep(lowest=1e-5, highest=1e-1, steps=14)
    assert list(found.losses) == losses
    weights = 0.98 ** np.arange(14)
    smoothed = [np.dot(weights[: i + 1][::-1], losses[: i + 1]) / weights[: i + 1].sum() for i in range(14)]
    np.testing.assert_allclose(found.smoothed, smoothed, rtol=1e-9)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_everything_is_as_before(xp, optimizer):
    model = network()
    made = optimizer(model.parameters(), lr=0.5)
    made.step({name: 0.01 * array for name, array in model.parameters().items()})
    before = host(model.state_dict()), host(made.state_dict()), made.scalars(), generators(model)
    arrays = {name: id(array) for name, array in model.parameters().items()}
    given = loader()
    lr_find(model, made, given, steps=30)
    assert_same(host(model.state_dict()), before[0])
    assert_same(host(made.state_dict()), before[1])
    assert (made.scalars(), generators(model)) == before[2:]
    assert {name: id(array) for name, array in model.parameters().items()} == arrays
    np.testing.assert_array_equal(*(xpcnn.to_numpy(next(iter(each))[0]) for each in (given, loader())))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_everything_is_as_before_after_an_error(error):
    class Fails(SGD):
        def step(self, grads):
            super().step(grads)
            if self.steps == 5:
                raise error

    model = network()
    made = Fails(model.parameters(), lr=0.5, momentum=0.9)
    before = host(model.state_dict()), generators(model)
    with pytest.raises(error):
        lr_find(model, made, loader())
    assert_same(host(model.state_dict()), before[0])
    assert generators(model) == before[1]
    assert made.scalars() == {"steps": 0, "lr": 0.5}


def scripted(monkeypatch, losses):
    """A sweep in which the batches have these losses."""
    from xpcnn.training.gradients import Gradients

    given = iter(losses)

    def gradients(model, criterion, x, y):
        return Gradients(np.float32(next(given)), 0, 1, {k: np.zeros_like(p) for k, p in model.parameters().items()})

    monkeypatch.setattr("xpcnn.training.rate_finder.batch_gradients", gradients)
    monkeypatch.setattr("xpcnn.training.rate_finder.SMOOTHING", 0.0)


def test_the_suggestions(monkeypatch):
    """A tenth of the steps, of which the first is the steepest, is passed over; then from 6 to 3 is."""
    scripted(monkeypatch, [9, 7, 7, 6.5, 6, 3, 2.5, 2.0, 2.2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4])
    found = sweep(lowest=1.0, highest=1e19, steps=20)
    assert found.suggestion == pytest.approx(1e4)
    assert found.tenth == pytest.approx(1e6)
    assert "falls most steeply at 1e+04; a tenth of the rate with the lowest loss is 1e+06" in str(found)


@pytest.mark.parametrize("last", [8.1, math.nan, math.inf])
def test_it_ends_when_the_loss_explodes(monkeypatch, last):
    scripted(monkeypatch, [3, 2, 8.0, last, 1, 1])
    found = sweep(steps=6)
    assert found.losses == (3, 2, 8)


def test_a_loss_that_falls_nowhere(monkeypatch):
    scripted(monkeypatch, [1, 2, 3, 4, 4, 4])
    found = sweep(steps=6)
    assert found.suggestion is None
    assert "most steeply at nowhere" in str(found)


def test_a_rate_that_it_suggests_trains():
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    found = sweep(model=model)
    run = xpcnn.training.Trainer(model, Adam(model.parameters(), lr=found.suggestion), verbose=False)
    history = run.fit(loader(), epochs=5)
    assert history[-1].train_loss < 0.3 * history[0].train_loss


def test_a_regression():
    images = split()
    targets = xpcnn.data.Split(images.images, images.labels.astype("float32")[:, None])
    model = Sequential(Flatten(), Linear(36, 1, rng=0))
    assert sweep(model=model, criterion=MSELoss(), given=Loader(targets, 16)).suggestion > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lowest": 0}, "lowest"),
        ({"lowest": -1.0}, "lowest"),
        ({"highest": math.nan}, "highest"),
        ({"highest": math.inf}, "highest"),
        ({"lowest": 1.0, "highest": 1.0}, "rates lowest < highest"),
        ({"steps": 1}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"given": split()}, "a Loader"),
    ],
)
def test_arguments_that_make_no_sense(options, text):
    with pytest.raises(OptionError, match=f"lr_find: expected {text}"):
        sweep(**options)


def test_it_ends_where_a_step_is_refused(monkeypatch):
    """As SGD's is whose weights would be infinite: the loss after it would be."""
    from xpcnn.training.gradients import Gradients

    def gradients(model, criterion, x, y):
        return Gradients(np.float32(1), 0, 1, {k: np.full_like(p, 1e30) for k, p in model.parameters().items()})

    monkeypatch.setattr("xpcnn.training.rate_finder.batch_gradients", gradients)
    assert len(sweep(SGD, lowest=1.0, highest=1e19, steps=20).rates) == 10
    with pytest.raises(NonFiniteError, match="lr_find: expected a finite loss in the first steps, got inf"):
        sweep(SGD, lowest=1e10, highest=1e19, steps=20)


def test_a_model_that_is_spoilt_from_the_start():
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    model[1].bias[...] = np.nan
    with pytest.raises(NonFiniteError, match="lr_find: expected a finite loss in the first steps, got nan"):
        sweep(model=model)


def test_a_loss_that_explodes_at_once(monkeypatch):
    scripted(monkeypatch, [1, 5])
    with pytest.raises(NonFiniteError, match=r"a loss of at most 4 times the first in the first steps, got 5\.0; pass"):
        sweep()


def test_labels_that_the_model_has_no_output_for():
    with pytest.raises(DataError):
        sweep(model=Sequential(Flatten(), Linear(36, 2, rng=0)))


def test_batches_that_weigh_nothing_are_passed_over():
    """With one image a batch, and a class of weight 0, the losses are those of the other classes' images."""
    images = split()
    images = Split(images.images, np.arange(64) % 3)
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    optimizer = SGD(model.parameters(), lr=0.1)
    found = lr_find(
        model, optimizer, Loader(images, 1), CrossEntropyLoss(weight=[0.0, 1.0, 1.0]), highest=1e-6, steps=60
    )
    assert len(found.losses) == 40
    assert all(loss > 0 for loss in found.losses)
    nothing = CrossEntropyLoss(weight=[0.0, 0.0, 0.0])
    with pytest.raises(NonFiniteError, match="expected a finite loss in the first steps, got nan"):
        lr_find(model, optimizer, Loader(images, 1), nothing, steps=10)
