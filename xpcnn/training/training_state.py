"""Save and restore the state of a model that training changes, for trials and for a step that failed.

`forward` advances generators (of dropout) and replaces running statistics (of batch norm). An optimizer's step writes
the parameters and the optimizer's own arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from ..backend import array_namespace
from ..nn import Layer
from ..optim.optimizer import Optimizer
from ..random import set_states, states
from ..typing import Array

Taken: TypeAlias = tuple[list[Array], dict[str, Any]]


class TrainingState:
    """The state of a model that `forward` changes in training."""

    def __init__(self, model: Layer) -> None:
        arrays = model.named_arrays(buffers=True)
        self.buffers = [(layer, key) for _, layer, key in arrays if key in layer.buffer_names]
        self.generators = model.generators()

    def take(self) -> Taken:
        """The current state; buffers are not copied, as nobody writes into them."""
        buffers = [getattr(layer, key) for layer, key in self.buffers]
        return buffers, states(self.generators)

    def put_back(self, taken: Taken) -> None:
        """Restore that state."""
        buffers, places = taken
        for (layer, key), array in zip(self.buffers, buffers, strict=True):
            setattr(layer, key, array)
        set_states(self.generators, places)

    @contextmanager
    def put_back_on_error(self) -> Iterator[Taken]:
        """Give the block the state as it is; restore it if the block raises."""
        before = self.take()
        try:
            yield before
        except BaseException:
            self.put_back(before)
            raise


@contextmanager
def unchanged(model: Layer, optimizer: Optimizer | None = None) -> Iterator[None]:
    """Restore the model and the optimizer at the end of the block, however it ends.

    Parameters
        optimizer : of the model, if the block makes steps; its arrays and the parameters are copied, and copied back
    """
    state = TrainingState(model)
    taken = state.take()
    arrays = [] if optimizer is None else [*optimizer.parameters.values(), *optimizer.state_dict().values()]
    copies = [array_namespace(array).asarray(array, copy=True) for array in arrays]
    numbers = None if optimizer is None else (optimizer.steps, optimizer.lr)
    try:
        yield
    finally:
        state.put_back(taken)
        for array, copy in zip(arrays, copies, strict=True):
            array[...] = copy
        if optimizer is not None and numbers is not None:
            optimizer.steps, optimizer.lr = numbers
