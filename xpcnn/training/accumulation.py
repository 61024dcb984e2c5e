"""The gradients of one step, from one batch or several; a step that fails changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..backend import is_numpy
from ..errors import NonFiniteError
from ..nn import PartsPlan
from ..nn.loss import Loss
from ..typing import Array
from .gradients import Gradients, batch_gradients, joined, step_gradients
from .sharded_gradients import ShardedBatch, Sharding, sharded_gradients
from .training_state import TrainingState


def accumulated_gradients(
    plan: PartsPlan,
    criterion: Loss,
    state: TrainingState,
    batches: Sequence[tuple[Any, Array] | ShardedBatch],
    *,
    sharding: Sharding,
    read: bool,
    report: Callable[[int, Any, Array, Gradients], NonFiniteError],
) -> Gradients:
    """The loss and the gradients of all the batches together.

    Parameters
        plan : of the model
        state : of the model
        batches : (x, y), or this process's shards, one or more
        sharding : says which shards these are
        read : look for NaN in each batch on a device, too, and wait for the device
        report : makes the error from (number of the batch, x, y, its gradients); it finds the model as it was before
            that batch
    Raises
        NonFiniteError : the loss or a gradient of a batch is NaN or infinite. After any error the model is unchanged
    """
    total = None
    with state.put_back_on_error() as before:
        for number, batch in enumerate(batches):
            before = state.take() if number else before
            if isinstance(batch, ShardedBatch):
                part = sharded_gradients(plan.model, criterion, batch, sharding)
            else:
                part = batch_gradients(plan, criterion, *batch)
            if (read or is_numpy(part.loss)) and not part.finite():
                state.put_back(before)
                raise report(number, *(batch.whole() if isinstance(batch, ShardedBatch) else batch), part)
            total = part if total is None else joined(total, part, criterion.reduction)
    assert total is not None
    return replace(total, grads=step_gradients(total, criterion.reduction))
