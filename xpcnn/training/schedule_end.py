"""Warn about schedules that end before the training, or still warm up when it ends."""

from __future__ import annotations

import math

from ..data.loader import Loader
from ..errors import warn
from ..optim.schedule import Cosine, Exponential, OneCycle, Schedule, StepDecay, WarmUp
from .position import Position

IDLE = 1e-6  # of the first rate


def idle_from(schedule: Schedule) -> int | None:
    """The step from which the rate stays constant, or is at most a millionth of the first; None if there is none.

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


def warm_up_steps(schedule: Schedule) -> int:
    """The number of steps at the start in which the rate rises.

    >>> warm_up_steps(OneCycle(0.1, 100)), warm_up_steps(WarmUp(OneCycle(0.1, 100), 5)), warm_up_steps(Cosine(0.1, 9))
    (30, 35, 0)
    """
    if isinstance(schedule, OneCycle):
        return math.floor(schedule.pct_start * schedule.total)
    return schedule.steps + warm_up_steps(schedule.schedule) if isinstance(schedule, WarmUp) else 0


def warn_of_schedule(
    schedule: Schedule, loader: Loader, position: Position, epochs: int, accumulate: int, steps: int
) -> None:
    """Warn if the schedule ends before the training, warms up until its end, or counts batches instead of steps.

    Parameters
        position : of the training at its start
        epochs : in total
        accumulate : batches per step
        steps : of the optimizer, done so far
    """
    end = idle_from(schedule)
    left = (epochs - position.epoch) * math.ceil(len(loader) / accumulate) - math.ceil(position.batch / accumulate)
    if left <= 0:
        return
    total, name = steps + left, type(schedule).__name__
    remedy = f"a schedule counts steps of the optimizer, not epochs or batches; in all, these are {total}"
    if (rising := warm_up_steps(schedule)) > total:
        what = f"{name} warms up for {rising} steps, and this training makes {total}"
        warn("Trainer.fit", f"{what}: the rate does not reach its largest", remedy)
    elif end is None:
        return
    elif total > end:
        rate = f"{min(left, total - end)} at a learning rate of at most {schedule.lr_at(end):.2g}"
        warn("Trainer.fit", f"{name} ends after {end} steps, and this training makes {total}, {rate}", remedy)
    elif accumulate > 1 and end == epochs * len(loader) > total:
        warn("Trainer.fit", f"{name} ends after {end} steps, and this training makes {total}, of batches", remedy)


def warn_of_idle_step(schedule: Schedule, steps: int) -> None:
    """Warn once, in the caller's own loop, that the schedule has ended: at the step after `steps`."""
    if steps == idle_from(schedule):
        what = f"{type(schedule).__name__} has ended after {steps} steps"
        warn("Trainer.train_step", what, "a schedule counts steps of the optimizer, not epochs")
