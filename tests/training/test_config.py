"""A run's settings: every schedule that has a name, and settings that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import OptionError
from xpcnn.optim import OPTIMIZERS
from xpcnn.optim.schedule import Constant, Cosine, Exponential, OneCycle, Plateau, StepDecay, WarmUp
from xpcnn.training.config import SCHEDULES, RunConfig
from xpcnn.training.run import start

LR, TOTAL = 0.3, 60
LOW = LR / 25e4  # where one cycle ends
# kind, and the rates of the first step, a third of the way, the last step, and one that no run takes any more
RATES = {
    "constant": (Constant, LR, LR, LR, LR),
    "step": (StepDecay, LR, LR / 10, LR / 100, LR / 1000),
    "exponential": (Exponential, LR, LR * 0.01 ** (1 / 3), LR * 0.01 ** (59 / 60), LR / 100),
    "cosine": (Cosine, LR, LR * 0.75, LR * np.sin(np.pi / 120) ** 2, 0.0),
    "warmup": (WarmUp, LR / 4, LR * (1 + np.cos(np.pi * 17 / 60)) / 2, LR * np.sin(np.pi / 30) ** 2, None),
    "onecycle": (OneCycle, LR / 25, LOW + (LR - LOW) * (1 + np.cos(np.pi * 3 / 42)) / 2, LOW, LOW),
    "plateau": (Plateau, LR, LR, LR, LR),
}


@pytest.mark.parametrize("name", RATES)
def test_every_schedule_spans_the_run(name):
    assert SCHEDULES.keys() == RATES.keys()
    kind, first, third, last, after = RATES[name]
    made = SCHEDULES[name](LR, TOTAL)
    assert type(made) is kind
    assert [made.lr_at(step) for step in (0, 20, 59)] == pytest.approx([first, third, last], rel=1e-12)
    if after is not None:
        assert made.lr_at(TOTAL) == pytest.approx(after, rel=1e-12, abs=1e-18)
    rates = [made.lr_at(step) for step in range(TOTAL)]
    assert max(rates) == pytest.approx(LR, rel=1e-3)  # `lr` is the highest
    assert min(rates) > 0  # no step of the run is wasted


@pytest.mark.parametrize("name", RATES)
def test_every_schedule_of_a_run_of_one_step(name):
    assert 0 < SCHEDULES[name](LR, 1).lr_at(0) <= LR


@pytest.mark.parametrize("name", [name for name in RATES if name not in ("onecycle", "cosine")])
def test_every_name_trains(tmp_path, name):
    """With the optimizers in turn."""
    optimizer = list(OPTIMIZERS)[list(SCHEDULES).index(name) % len(OPTIMIZERS)]
    config = RunConfig(model="mlp", epochs=1, batch_size=256, lr=0.01, optimizer=optimizer, schedule=name)
    assert np.isfinite(start(config, tmp_path / "run", verbose=False)["test_loss"])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("epochs", [0, -1, 1.5, True, "3", None]),
        ("batch_size", [0, -64, 32.0]),
        ("lr", [0, -0.1, float("nan"), float("inf"), "fast"]),
        ("weight_decay", [-1e-3, float("nan"), float("inf")]),
        ("validation", [-0.1, 1, 1.5, float("nan")]),
        ("patience", [0, -1, 2.5]),
        ("seed", [-1, 0.5, None]),
        ("accumulate", [0, -1, 1.5, True, None]),
        ("ema", [0, 1, -0.5, float("nan"), "0.9"]),
        ("optimizer", ["lion", "", "SGD", None]),
        ("schedule", ["linear", None]),
        ("model", ["alexnet", None]),
    ],
)
def test_settings_that_make_no_sense(name, values):
    for value in values:
        with pytest.raises(OptionError, match=rf"\b{name.replace('_', '[-_]')}\b") as caught:
            RunConfig(**{name: value})
        assert str(value) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_settings_on_the_edge_are_fine():
    config = RunConfig(epochs=1, batch_size=1, validation=0.0, patience=1, seed=0, lr=1e-9)
    assert config.patience == 1
    assert RunConfig(patience=None, validation=0.999).patience is None
