"""The gradients of one step, from one batch or several; a step that fails leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..backend import is_numpy
from ..typing import Array
from .gradients import Gradients, batch_gradients, joined
from .nonfinite_report import report
from .training_state import TrainingState

if TYPE_CHECKING:
    from .trainer import Trainer


def accumulated_gradients(trainer: Trainer, traces: TrainingState, batches: Sequence[tuple[Array, Array]]) -> Gradients:
    """The loss and the gradients of all the batches together.

    Parameters
        traces : of the trainer's model
        batches : (x, y), one or more
    Raises
        NonFiniteError : as `Trainer.fit`; whatever is raised, the model is as it was
    """
    begun, total = traces.take(), None
    try:
        for number, (x, y) in enumerate(batches):
            before = traces.take()
            part = batch_gradients(trainer.model, trainer.criterion, x, y)
            if (is_numpy(part.loss) or trainer.on_step or trainer.read_every == 1) and not part.finite():
                traces.put_back(before)
                raise report(trainer, number, x, y, part)
            total = part if total is None else joined(total, part, trainer.criterion.reduction)
    except BaseException:
        traces.put_back(begun)
        raise
    assert total is not None
    return total
