"""Call the trainer's callbacks, so that none misses a step or an epoch because a log could not be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .callback import STOP, OnEpoch, OnStep, Step
from .history import Epoch
from .position import Position
from .untold import Untold


def tell(
    callbacks: Sequence[Callable[..., Any]],
    trainer: object,
    happened: Step | Epoch,
    position: Position,
    save: Callable[[], None],
    first: int = 0,
) -> bool:
    """Call each with (trainer, happened), from number `first` on; return False if one of them asks to stop.

    If one raises, `save` writes a checkpoint. After an OSError, as from a log on a full disk, the position records the
    first callback that must be called again.
    """
    going = True
    for number, callback in enumerate(callbacks[first:], first):
        try:
            going = callback(trainer, happened) is not STOP and going
        except BaseException as error:
            step = happened if isinstance(happened, Step) else None
            position.untold = Untold(number, step) if isinstance(error, OSError) else None
            save()
            raise
    return going


def tell_rest(
    on_step: Sequence[OnStep],
    on_epoch: Sequence[OnEpoch],
    trainer: object,
    history: Sequence[Epoch],
    position: Position,
    save: Callable[[], None],
) -> bool:
    """Before the first step, call those that must be called again; return False if one of them asks to stop."""
    untold = position.untold
    if untold is None or not (untold.step or history):
        return True
    callbacks: Sequence[Callable[..., Any]] = on_step if untold.step else on_epoch
    going = tell(callbacks, trainer, untold.step or history[-1], position, save, untold.first)
    position.untold = None
    if not going:
        save()
    return going
