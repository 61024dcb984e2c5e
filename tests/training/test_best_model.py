"""The best epoch's weights are there after the training, with and without a folder."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import OptionError
from xpcnn.nn import Flatten, Linear, ReLU, Sequential
from xpcnn.optim import Adam
from xpcnn.training import Evaluation, Trainer, evaluate

from .small import assert_same, everything, host, loader, split, trainer


class Own(ReLU):
    """A layer that no file can name."""


def own():
    return Sequential(Flatten(), Linear(36, 8, rng=0), Own(), Linear(8, 3, rng=1))


def scripted(monkeypatch, accuracies):
    """Validation that gives these; what the network was at each."""
    results, states = iter(accuracies), []

    def evaluate(model, *rest):
        states.append(host(model.state_dict()))
        return Evaluation(1.0, next(results), 1.0, np.zeros((3, 3), int))

    monkeypatch.setattr("xpcnn.training.trainer.evaluate", evaluate)
    return states


@pytest.mark.parametrize("options", [{}, {"ema": 0.5}])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("make", [None, own])
def test_it_is_that_of_the_best_epoch(xp, tmp_path, monkeypatch, options, kept, make):
    run = trainer(tmp_path if kept else None, make and make(), **options)
    states = scripted(monkeypatch, [0.5, 0.7, 0.6])
    run.fit(loader(), split(9), epochs=3)
    best = run.best_model
    assert_same(host(best.state_dict()), states[1])
    assert_same(host(run.kept_model.state_dict()), states[2])
    assert best is not run.kept_model


@pytest.mark.parametrize("kept", [False, True])
def test_of_equal_epochs_the_first_is_kept_and_patience_runs_on(tmp_path, monkeypatch, kept):
    run = trainer(tmp_path if kept else None, patience=2)
    states = scripted(monkeypatch, [0.5, 0.7, 0.7, 0.7, 0.7])
    assert len(run.fit(loader(), split(9), epochs=5)) == 4
    assert run.position.best_epoch == 2
    assert_same(host(run.best_model.state_dict()), states[1])


def test_without_validation_it_is_the_last():
    run = trainer()
    run.fit(loader(), epochs=2)
    best = run.best_model
    assert_same(host(best.state_dict()), host(run.model.state_dict()))
    best[0].weight[...] = 0.0
    assert float(np.abs(run.model[0].weight).max()) > 0  # a copy


def test_it_reaches_the_accuracy_that_the_history_says():
    run = trainer()
    history = run.fit(loader(), split(30, seed=1), epochs=6)
    tested = evaluate(run.best_model, split(30, seed=1))
    assert (tested.accuracy, -tested.loss) == max((row.validation_accuracy, -row.validation_loss) for row in history)


def test_before_the_first_epoch_there_is_none():
    with pytest.raises(OptionError, match=r"Trainer\.best_model: expected an epoch that is done, got none; call fit"):
        _ = trainer().best_model


def test_a_rehearsal_keeps_none():
    run = trainer(fast_dev_run=True)
    before = everything(run)
    run.fit(loader(), split(9), epochs=2)
    assert run.best_arrays is None
    assert_same(everything(run), before)


def test_a_resumed_run_has_it_from_its_folder(tmp_path):
    def run():
        model = own()
        return Trainer(model, Adam(model.parameters(), lr=0.01), folder=tmp_path, verbose=False)

    first = run()
    first.fit(loader(), split(9), epochs=2)
    again = run()
    again.fit(loader(), split(9), epochs=2, resume=True)
    assert_same(host(again.best_model.state_dict()), host(first.best_model.state_dict()))
