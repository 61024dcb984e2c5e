"""Functions that the trainer calls after each step or epoch; they can also end the training.

def show(trainer, step):                    on_step=(show,)
    print(step.step, step.loss)

def enough(trainer, row):                   on_epoch=(enough,)
    if row.validation_accuracy > 0.99:
        return STOP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from ..errors import OptionError
from .history import Epoch


class _Signal(Enum):
    STOP = "stop"

    def __repr__(self) -> str:
        return self.name


STOP: Final = _Signal.STOP  # a callback returns it to end the training


@dataclass(frozen=True)
class Step:
    """One step of the optimizer.

    >>> Step(step=1, epoch=1, batch=1, images=32, loss=2.3, accuracy=0.1, lr=0.01).loss
    2.3
    """

    step: int  # of the whole run, from 1
    epoch: int  # from 1
    batch: int  # batches of this epoch that are done
    images: int  # in the step's batches
    loss: float  # of all these images; NaN if their class weights are all 0
    accuracy: float  # on these images; NaN in a regression
    lr: float

    def numbers(self) -> dict[str, float]:
        """All of them by name."""
        return asdict(self)


OnStep: TypeAlias = Callable[[Any, Step], Any]  # the first argument is the Trainer
OnEpoch: TypeAlias = Callable[[Any, Epoch], Any]


def as_callbacks(name: str, given: Iterable[Any]) -> tuple[Any, ...]:
    """Check that all are functions; return them as a tuple."""
    many = isinstance(given, Iterable) and getattr(given, "ndim", 1) > 0
    callbacks = tuple(given) if many else (given,)
    if not (many and all(callable(each) for each in callbacks)):
        raise OptionError("Trainer", f"{name}: functions", repr(given), f"{name}=(function,)")
    return callbacks
