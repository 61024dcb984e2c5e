"""The moving average of the weights: its formula, what it averages, where it is used, and that it is resumed."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import FormatError, OptionError
from xpcnn.io import load_model
from xpcnn.nn import BatchNorm1d, Dropout, Flatten, Identity, Linear, Sequential
from xpcnn.training import MovingAverage, evaluate
from xpcnn.training.best_model import MODEL

from .small import assert_same, batch, everything, host, loader, rows, split, trainer


def test_it_is_the_formula(xp):
    """Σ over the past, written out: each value times (1 − d_t) times the d's of all later steps."""
    layer, decay, steps = Linear(2, 1, rng=0).astype("float64"), 0.7, 30
    average = MovingAverage(layer, decay)
    rng = np.random.default_rng(0)
    past = [xpcnn.to_numpy(layer.weight).copy()]
    for t in range(1, steps + 1):
        past.append(rng.normal(size=(1, 2)))
        layer.weight[...] = xp.array(past[-1])
        average.update(layer, t)
    d = [0.0, *(min(decay, (1 + t) / (10 + t)) for t in range(1, steps + 1))]
    assert d[1] == 2 / 11
    assert d[-1] == decay
    shares = [(1 - d[t] if t else 1) * np.prod(d[t + 1 :]) for t in range(steps + 1)]
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * value for share, value in zip(shares, past, strict=True))
    np.testing.assert_allclose(xpcnn.to_numpy(average.model.weight), expected, rtol=1e-12)
    np.testing.assert_array_equal(xpcnn.to_numpy(layer.weight), past[-1])  # the network is left alone


def test_what_does_not_change_stays_bit_for_bit(xp):
    layer = Linear(7, 5, rng=0)
    average = MovingAverage(layer, 0.999)
    before = host(layer.state_dict())
    for t in range(1, 200):
        average.update(layer, t)
    assert_same(host(average.state_dict()), before)


def test_running_statistics_are_averaged_and_generators_are_left_alone(xp):
    model = Sequential(BatchNorm1d(2), Dropout(0.5, rng=0))
    average = MovingAverage(model, 0.5)
    x = xp.array(np.random.default_rng(0).normal(3.0, 2.0, (50, 2)), "float32")
    model.forward(x)
    average.update(model, 1)
    for name in ("0.running_mean", "0.running_var"):
        start = 0.0 if "mean" in name else 1.0
        new = host(model.state_dict())[name]
        expected = start + (1 - 2 / 11) * (new - start)
        np.testing.assert_allclose(host(average.state_dict())[name], expected, rtol=1e-6)
    generator, other = model[1].rng, average.model[1].rng
    assert generator is not other


def test_the_average_is_validated_and_kept(xp, tmp_path):
    run = trainer(tmp_path, ema=0.9)
    history = run.fit(loader(), split(30, seed=1), epochs=4)
    saved = load_model(tmp_path / MODEL).model
    best = history[run.position.best_epoch - 1]
    assert evaluate(saved, split(30, seed=1)).loss == best.validation_loss
    tested, raw = run.evaluate(split(30, seed=1)), evaluate(run.model, split(30, seed=1))
    assert tested.loss == evaluate(run.average.model, split(30, seed=1)).loss == history[-1].validation_loss
    assert tested.loss != raw.loss


def test_training_is_as_without_it():
    plain, averaged = trainer(), trainer(ema=0.9)
    for run in (plain, averaged):
        run.fit(loader(), epochs=2)
    assert_same(host(plain.model.state_dict()), host(averaged.model.state_dict()))


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_a_resumed_run_has_the_same_average(xp, tmp_path, stop_after):
    options = {"ema": 0.95, "accumulate": 2}
    whole = trainer(tmp_path / "whole", **options)
    whole.fit(loader(), split(30, seed=1), epochs=2)
    stop = [lambda trainer, step: xpcnn.training.STOP if step.step == stop_after else None]
    trainer(tmp_path / "run", **options, on_step=stop).fit(loader(), split(30, seed=1), epochs=2)
    again = trainer(tmp_path / "run", **options)
    for array in [*again.model.parameters().values(), *again.average.state_dict().values()]:
        array[...] = array + 1.0  # whatever it was built with is replaced
    again.fit(loader(), split(30, seed=1), epochs=2, resume=True)
    assert_same(everything(again), everything(whole))
    assert rows(again) == rows(whole)
    assert (tmp_path / "run" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({"ema": 0.9}, {}, "a run with ema None, got 0.9"),
        ({}, {"ema": 0.9}, "a run with ema 0.9, got None"),
        ({"ema": 0.9}, {"ema": 0.99}, "a run with ema 0.99, got 0.9"),
        ({"accumulate": 2}, {"accumulate": 3}, "a run with accumulate 3, got 2"),
    ],
)
def test_a_run_with_another_average_is_refused(tmp_path, first, second, text):
    trainer(tmp_path, **first).fit(loader(), epochs=1)
    other = trainer(tmp_path, **second)
    before = everything(other)
    with pytest.raises(FormatError, match=text):
        other.fit(loader(), epochs=2, resume=True)
    assert_same(everything(other), before)


@pytest.mark.parametrize("value", [0, 1, -0.5, 1.5, float("nan"), "0.9", True])
def test_decays_that_make_no_sense(value):
    with pytest.raises(OptionError, match="decay"):
        trainer(ema=value)


def test_layers_that_stand_twice_are_averaged_as_one():
    shared = Linear(4, 4, rng=0)
    model = Sequential(Flatten(), shared, shared)
    average = MovingAverage(model, 0.5)
    assert average.model[1] is average.model[2]
    assert average.state_dict().keys() == model.state_dict().keys()


class Counts(Identity):
    buffer_names = ("calls",)

    def __init__(self):
        self.calls = np.zeros(1, np.int64)


def test_whole_numbers_are_taken_over_as_they_are():
    model = Counts()
    average = MovingAverage(model, 0.9)
    model.calls = np.array([7])
    average.update(model, 1)
    assert average.model.calls.tolist() == [7]


def test_the_trainer_counts_from_its_first_step():
    run = trainer(ema=0.9)
    expected = MovingAverage(run.model, 0.9)
    for step in (1, 2, 3):
        run.train_step(*batch())
        expected.update(run.model, step)
    assert_same(host(run.average.state_dict()), host(expected.state_dict()))
