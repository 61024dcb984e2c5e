"""The gradients of one step, from one batch or several; a step that fails changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..backend import is_numpy
from ..errors import NonFiniteError
from ..nn import Layer
from ..nn.loss import Loss
from ..typing import Array
from .gradients import Gradients, batch_gradients, joined
from .training_state import TrainingState


def accumulated_gradients(
    model: Layer,
    criterion: Loss,
    state: TrainingState,
    batches: Sequence[tuple[Array, Array]],
    *,
    read: bool,
    report: Callable[[int, Array, Array, Gradients], NonFiniteError],
) -> Gradients:
    """The loss and the gradients of all the batches together.

    Parameters
        state : of the model
        batches : (x, y), one or more
        read : look for NaN in each batch on a device, too, and wait for the device
        report : makes the error from (number of the batch, x, y, its gradients); it finds the model as it was before
            that batch
    Raises
        NonFiniteError : the loss or a gradient of a batch is NaN or infinite. After any error the model is unchanged
    """
    total = None
    with state.put_back_on_error() as before:
        for number, (x, y) in enumerate(batches):
            before = state.take() if number else before
            part = batch_gradients(model, criterion, x, y)
            if (read or is_numpy(part.loss)) and not part.finite():
                state.put_back(before)
                raise report(number, x, y, part)
            total = part if total is None else joined(total, part, criterion.reduction)
    assert total is not None
    return total
