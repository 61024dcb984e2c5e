"""Plants NaN and infinity in a random layer, pass and step of a training: the error must state where."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.training.spoil import Spoil
from xpcnn import nn, optim
from xpcnn.data import Loader
from xpcnn.errors import NonFiniteError
from xpcnn.nn import Layer
from xpcnn.training import Trainer
from xpcnn.training.callback import Step

from .layers import Rng
from .row import Effort, Row
from .small import digest, split, state_of, workplace

FOUND = "found: layer, pass and step; nothing was written"
ELSEWHERE, WRITTEN, MISSED = "another layer, pass or step was named", "weights had been written", "not noticed"
TAKEN_AWAY = "infinity became a finite number, as tanh and ReLU make it, and so did all that followed"
PASSES = ("forward", "backward", "parameter gradient")
STEPS = 12


class BadGradient(nn.Linear):
    """A linear layer whose bias gets a gradient that is not finite, on request."""

    def __init__(self, when: Callable[[], bool], bad: float) -> None:
        super().__init__(8, 8, rng=5)
        self.when, self.bad = when, bad

    def backward(self, dy: Any, cache: Any, *, input_grad: bool = True) -> Any:
        dx, grads = super().backward(dy, cache, input_grad=input_grad)
        return dx, grads | ({"bias": grads["bias"] + np.float32(self.bad)} if self.when() else {})


class Planted(Spoil):
    """The identity, but it spoils the largest number or that number's gradient, which a ReLU before it passes on."""

    def forward(self, x: Any) -> Any:
        return self._spoiled(x, x, "forward"), x

    def backward(self, dy: Any, cache: Any, *, input_grad: bool = True) -> Any:
        return self._spoiled(dy, cache, "backward"), {}

    def _spoiled(self, array: Any, x: Any, direction: str) -> Any:
        if direction == self.direction and self.when():
            array = array + 0
            array[np.unravel_index(np.argmax(x), x.shape)] = self.bad
        return array


def rows(effort: Effort) -> list[Row]:
    """One row."""
    times = effort.times(600, 30)
    what = f"NaN or infinity from a random layer of a random network in one of {STEPS} steps: {', '.join(PASSES)}"
    row = Row("NaN in training", what, (FOUND,), (FOUND,), PASSES)
    for number in range(times):
        kind = PASSES[number % len(PASSES)]
        for nan in (False, True):
            with workplace() as folder:
                outcome, said = _trial(kind, effort.rng("nonfinite", number), folder, nan=nan)
            if outcome != TAKEN_AWAY:
                break
        row.add(outcome, f"case {number}: {said}", part=kind)
    return [row]


def _trial(kind: str, rng: Rng, folder: Path, *, nan: bool) -> tuple[str, str]:
    """One training.

    Parameters
        nan : plant NaN, whatever the generator says
    """
    at, bad = int(rng.integers(1, STEPS + 1)), float(rng.choice([np.nan, np.inf, -np.inf]))
    bad = np.nan if nan else bad
    trainer: Trainer

    def when() -> bool:
        return trainer.optimizer.steps == at - 1

    planted: Layer = BadGradient(when, bad) if kind == PASSES[2] else Planted(kind, when, bad)  # type: ignore[no-untyped-call]
    name, model = _network(rng, planted)
    states: dict[int, str] = {}
    losses: list[float] = []

    def keep(trainer: Trainer, step: Step) -> None:
        states[trainer.optimizer.steps] = _written(trainer)
        losses.append(step.loss)

    trainer = Trainer(
        model, optim.Adam(model.parameters(), lr=0.003), folder=folder, on_step=[keep], ema=0.9, verbose=False
    )
    states[0] = _written(trainer)
    try:
        trainer.fit(Loader(split(), 20, shuffle=True, seed=1), epochs=STEPS // 3)
    except NonFiniteError as error:
        text = str(error)
        place = (
            f"layer {re.escape(name)} \\({type(planted).__name__}\\), {'forward' if kind == 'forward' else 'backward'}"
        )
        if not re.search(f"{place}, in step {at},", text):
            return ELSEWHERE, f"layer {name}, {kind}, step {at}: {text}"
        same = _written(trainer) == states.get(at - 1)
        return (FOUND, "") if same else (WRITTEN, f"layer {name}, {kind}, step {at}")
    gone = np.isinf(bad) and np.isfinite(losses).all()
    return TAKEN_AWAY if gone else MISSED, f"layer {name}, {kind}, step {at}"


def _written(trainer: Trainer) -> str:
    """A digest of everything that a step writes."""
    state = state_of(trainer)
    return digest([state[name] for name in ("model", "optimizer", "average", "generators")])


def _network(rng: Rng, planted: Layer) -> tuple[str, nn.Sequential]:
    """A network of random layers, one of which is the planted one; and the dotted name of that layer."""
    wants_rows = isinstance(planted, BadGradient)
    images: list[Layer] = [nn.Conv2d(1, 4, 3, padding=1, rng=rng)]
    kinds: list[Callable[[], Layer]] = [
        lambda: nn.Conv2d(4, 4, 3, padding=1, rng=rng), lambda: nn.BatchNorm2d(4), nn.ReLU, nn.Tanh,
        lambda: nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, rng=rng), nn.ReLU())), nn.Identity,
    ]  # fmt: skip
    images += [kinds[rng.integers(len(kinds))]() for _ in range(rng.integers(1, 5))]
    rows: list[Layer] = [nn.Flatten(), nn.Linear(144, 8, rng=rng), nn.ReLU(), nn.Linear(8, 8, rng=rng)]
    place = ""
    if wants_rows:
        rows.insert(2, planted)
    elif rng.random() < 0.3:  # within a branch
        images.append(nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, rng=rng), planted)))
        place = ".body.1"
    elif rng.random() < 0.5:
        images.insert(int(rng.integers(1, len(images) + 1)), planted)
    else:
        rows.insert(int(rng.integers(1, len(rows) + 1)), planted)
    layers = [*images, *rows, nn.Linear(8, 3, rng=rng)]
    position = len(images) - 1 if place else next(i for i, each in enumerate(layers) if each is planted)
    return f"{position}{place}", nn.Sequential(*layers)
