"""Schedules that end before the training does: what is left of it would be idle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..data.loader import Loader
from ..errors import warn
from ..optim.schedule import Cosine, Exponential, OneCycle, Schedule, StepDecay, WarmUp

if TYPE_CHECKING:
    from .trainer import Trainer

IDLE = 1e-6  # of the first rate


def idle_from(schedule: Schedule) -> int | None:
    """The step from which the rate is its last one, or at most a millionth of the first; None where it never is.

    >>> idle_from(Cosine(0.1, total=6)), idle_from(StepDecay(0.1, every=10)), idle_from(WarmUp(OneCycle(0.1, 20), 5))
    (6, 60, 25)
    """
    if isinstance(schedule, Cosine | OneCycle):
        return schedule.total
    if isinstance(schedule, StepDecay | Exponential) and schedule.factor < 1:
        return math.ceil(math.log(IDLE) / math.log(schedule.factor) - 1e-9) * schedule.every
    if isinstance(schedule, WarmUp) and (inner := idle_from(schedule.schedule)) is not None:
        return schedule.steps + inner
    return None


def warn_of_schedule(trainer: Trainer, loader: Loader, epochs: int) -> None:
    """Say that the schedule ends before the training does, or counts batches where several make a step."""
    end, several, at = idle_from(trainer.schedule), trainer.accumulate, trainer.position
    left = (epochs - at.epoch) * math.ceil(len(loader) / several) - math.ceil(at.batch / several)
    if end is None or left <= 0:
        return
    steps, name = trainer.optimizer.steps + left, type(trainer.schedule).__name__
    remedy = f"a schedule counts steps of the optimizer, not epochs or batches; in all, these are {steps}"
    if steps > end:
        rate = f"{min(left, steps - end)} at a learning rate of at most {trainer.schedule.lr_at(end):.2g}"
        warn("Trainer.fit", f"{name} ends after {end} steps, and this training makes {steps}, {rate}", remedy)
    elif several > 1 and end == epochs * len(loader) > steps:
        warn("Trainer.fit", f"{name} ends after {end} steps, and this training makes {steps}, of batches", remedy)


def warn_of_idle_step(trainer: Trainer) -> None:
    """Say once, in a loop of the caller's own, that the schedule has ended."""
    if trainer.loader is None and trainer.optimizer.steps == idle_from(trainer.schedule):
        what = f"{type(trainer.schedule).__name__} has ended after {trainer.optimizer.steps} steps"
        warn("Trainer.train_step", what, "a schedule counts steps of the optimizer, not epochs")
