"""Compares runs with random settings that stop at a random step and continue with the same runs without a stop."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

from xpcnn.errors import XpcnnWarning
from xpcnn.training import STOP, Trainer

from .row import Effort, Row
from .small import digest, random_trainer, split, state_of, workplace

EQUAL, OTHER = "equal, bit for bit", "different"
EPOCHS = 3


def rows(effort: Effort) -> list[Row]:
    """One row: weights, optimizer, average, schedule, generators and history."""
    times = effort.times(200, 15)
    what = "a run of random settings, stopped at one to three random steps and resumed by new objects"
    row = Row("resume at random steps", what, (EQUAL,), (EQUAL,))
    for number in range(times):
        with workplace() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", XpcnnWarning)  # warns of a schedule that does not fit: settings are random
            wrong = _trial(effort, number, folder)
        row.add(OTHER if wrong else EQUAL, f"case {number}: {', '.join(wrong)}")
    return [row]


def _trial(effort: Effort, number: int, folder: Path) -> list[str]:
    """The differences at the end."""
    make = partial(random_trainer, partial(effort.rng, "resume", number))
    alone, loader = make(folder / "alone")
    alone.fit(loader, split(20, 1), epochs=EPOCHS)
    rng, steps = effort.rng("stops", number), alone.optimizer.steps
    for stop in sorted(rng.integers(1, steps + 1, rng.integers(1, 4)).tolist()):
        going, loader = make(folder / "stopped", on_step=[partial(_stop, stop)])
        going.fit(loader, split(20, 1), epochs=EPOCHS, resume=(folder / "stopped").exists())
    going, loader = make(folder / "stopped")
    going.fit(loader, split(20, 1), epochs=EPOCHS, resume=True)
    expected, found = state_of(alone), state_of(going)
    return [name for name in expected if digest(expected[name]) != digest(found[name])]


def _stop(at: int, trainer: Trainer, step: object) -> object:
    return STOP if trainer.optimizer.steps >= at else None
