"""How the trainer calls its callbacks: none misses a step or an epoch because a log could not be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .callback import STOP, Step
from .history import Epoch
from .untold import Untold

if TYPE_CHECKING:
    from .trainer import Trainer


def tell(
    trainer: Trainer,
    callbacks: Sequence[Callable[..., Any]],
    happened: Step | Epoch,
    save: Callable[[], None],
    first: int = 0,
) -> bool:
    """Call them, from the one of that number on; whether to go on.

    Where one raises, `save` writes a checkpoint. For OSError, as a log raises on a full disk, the checkpoint says from
    which callback on they are to be called again.
    """
    going = True
    for number, callback in enumerate(callbacks[first:], first):
        try:
            going = callback(trainer, happened) is not STOP and going
        except BaseException as error:
            step = happened if isinstance(happened, Step) else None
            trainer.position.untold = Untold(number, step) if isinstance(error, OSError) else None
            save()
            raise
    return going


def tell_rest(trainer: Trainer, save: Callable[[], None]) -> bool:
    """Call those that are to be called again, before the first step; whether to go on."""
    untold = trainer.position.untold
    if untold is None or not (untold.step or trainer.history):
        return True
    callbacks: Sequence[Callable[..., Any]] = trainer.on_step if untold.step else trainer.on_epoch
    going = tell(trainer, callbacks, untold.step or trainer.history[-1], save, untold.first)
    trainer.position.untold = None
    if not going:
        save()
    return going
