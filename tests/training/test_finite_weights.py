"""Weights that a step made infinite or NaN are never kept, and the error says after which step."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, Split
from xpcnn.errors import NonFiniteError, OptionError
from xpcnn.nn import BatchNorm1d, Flatten, Linear, Sequential
from xpcnn.optim import SGD
from xpcnn.training import Trainer
from xpcnn.training.checkpoint import CHECKPOINT
from xpcnn.training.finite_weights import FiniteWeights

from .small import batch, loader, split


class Spoils(SGD):
    """Whose step of that number overflows in one weight."""

    def __init__(self, parameters, at, value=np.inf):
        super().__init__(parameters, lr=0.01)
        self.at, self.value = at, value

    def step(self, grads):
        super().step(grads)
        if self.steps == self.at:
            self.parameters["1.weight"][0, 0] = self.value


def trainer(folder=None, at=None, value=np.inf, **options):
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    return Trainer(model, Spoils(model.parameters(), at, value), folder=folder, verbose=False, **options)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("at", [7, 14, 10])
@pytest.mark.parametrize("validated", [False, True])
def test_the_last_step_s_weights_are_not_kept(xp, tmp_path, value, at, validated):
    run = trainer(tmp_path, at, value)
    with pytest.raises(NonFiniteError) as caught:
        run.fit(loader(), split(9) if validated else None, epochs=2)
    if at % 7 == 0:
        said = f"Trainer: expected finite weights, got NaN or infinity in 1.weight, after step {at}"
        assert said in str(caught.value)
    kept = sorted(path.name for path in tmp_path.iterdir() if path.name[:9] not in ("nonfinite", "trained_o"))
    assert kept == ([] if at == 7 else [CHECKPOINT, "history.csv", "model.safetensors"])
    for path in tmp_path.glob("[cm]*.safetensors"):
        arrays, _ = xpcnn.io.read_tensors(path)
        assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_loop_of_one_s_own_is_told_at_that_step():
    run = trainer(at=2)
    run.train_step(*batch())
    with pytest.raises(NonFiniteError, match=r"finite weights, got NaN or infinity in 1\.weight, after step 2"):
        run.train_step(*batch())


def test_an_average_that_overflows_is_not_kept(xp, tmp_path):
    """The network's own weight is finite, and that of a pixel which is always black: the average's change overflows."""
    images = Split(split().images.copy(), split().labels)
    images.images[:, 0, 0, 0] = 0
    run = trainer(tmp_path, ema=0.9)
    run.model[1].weight[0, 0], run.average.model[1].weight[0, 0] = 2e38, -2e38
    with pytest.raises(NonFiniteError, match=r"infinity in 1\.weight, after step 7"):
        run.fit(Loader(images, 10), epochs=1)
    assert list(tmp_path.glob("[cm]*.safetensors")) == []


def test_running_statistics_that_overflow_are_not_kept(xp, tmp_path):
    """Training does not use them, so that no loss shows it."""

    def overflow(trainer, step):
        if step.step == 3:
            layer = trainer.model[1]
            layer.running_var = layer.running_var + float("inf")

    model = Sequential(Flatten(), BatchNorm1d(36), Linear(36, 3, rng=0))
    run = Trainer(model, SGD(model.parameters(), lr=0.01), folder=tmp_path, verbose=False, on_step=[overflow])
    with pytest.raises(NonFiniteError, match=r"infinity in 1\.running_var, after step 7"):
        run.fit(loader(), epochs=1)
    assert list(tmp_path.glob("[cm]*.safetensors")) == []


def test_a_weight_that_was_infinite_from_the_start_may_stay_so(tmp_path):
    """Such as the bias of a class that is never to be chosen."""
    model = Sequential(Flatten(), Linear(36, 4, rng=0))
    model[1].bias[3] = -np.inf
    run = Trainer(model, SGD({"1.weight": model[1].weight}, lr=0.01), folder=tmp_path, verbose=False)
    run.fit(Loader(split(), 10), epochs=1)
    assert (tmp_path / CHECKPOINT).exists()


def test_the_start_is_where_the_network_is_given():
    """A weight that becomes infinite between that and the first step was not infinite at the start."""
    model = Linear(2, 2, rng=0)
    model.bias[0] = -np.inf
    weights = FiniteWeights(model)
    model.weight[1, 0] = np.inf
    weights.begin(model)
    with pytest.raises(NonFiniteError, match="NaN or infinity in weight, now"):
        weights.check("who", model.state_dict(), "now")
    model.weight[1, 0] = 0
    weights.check("who", model.state_dict(), "now")


@pytest.mark.parametrize(("options", "looks"), [({}, 1), ({"ema": 0.9}, 2), ({"on_epoch": [lambda *told: None]}, 2)])
def test_at_the_end_of_an_epoch_all_weights_are_looked_at_once(tmp_path, monkeypatch, options, looks):
    """Those of a moving average as well; and again where a callback may have changed them."""
    run, seen, check = trainer(tmp_path, **options), [], FiniteWeights.check
    whole = run.model.state_dict()
    run.fit(loader(), epochs=1)  # a step looks at the parameters, which are all that this network has
    monkeypatch.setattr(
        FiniteWeights, "check", lambda self, *arguments: seen.append(arguments) or check(self, *arguments)
    )
    run.fit(loader(), epochs=2)
    assert all(arrays.keys() == whole.keys() for _, arrays, _ in seen)
    assert len(seen) == 7 + looks


def test_weights_that_a_callback_spoils_are_not_kept(tmp_path):
    def spoil(run, row):
        run.model[1].weight[0, 0] = np.nan

    with pytest.raises(NonFiniteError, match=r"finite weights, got NaN or infinity in 1\.weight"):
        trainer(tmp_path, on_epoch=[spoil]).fit(loader(), epochs=1)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_train_step_of_one_s_own_returns_what_the_loop_adds_up():
    run = trainer()
    step = run.train_step
    run.train_step = lambda x, y: tuple(step(x, y))[:2]
    with pytest.raises(OptionError, match=r"Trainer.fit: expected train_step to return a StepResult, got tuple"):
        run.fit(loader(), epochs=1)
