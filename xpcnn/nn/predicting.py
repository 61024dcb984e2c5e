"""Inference where xpcnn itself asks a network for predictions: through a plan, where that is faster.

    network = Predictor(model, input_shape)
    y = network(x)                              model(x), within rounding

Whether a batch goes through the plan depends on its size, its dtype and the network alone: so the same images give the
same bits, whatever was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..typing import Array, Shape
from .layer import Layer
from .own_layers import is_ours
from .planned_layers import kind_of
from .planning import Plan
from .summary import Summary

MOST_BYTES = 1 << 22  # of all outputs for one item; a plan keeps those of up to 7 items, for each number of items
MOST_NUMBERS = 1 << 15  # in one item: a network of larger ones has more outputs than that, and need not be tried


class Predictor:
    """A network that is called as it is, or planned if that is faster; the plan is made when it is first called.

    It is not planned where a plan would need much memory, where layers are observed, where they begin with a frozen
    part, whose outputs may be kept, and with layers of one's own, which are run for predictions only.

    Parameters
        model : of one input
        input_shape : of the items that are planned for; others go through the network
        frozen : True where nobody changes the network: a frozen plan is faster

    >>> from xpcnn.models import lenet5
    >>> x = np.ones((1, 28, 28, 1), np.float32)
    >>> model = lenet5(rng=0)
    >>> bool(np.allclose(Predictor(model, (28, 28, 1))(x), model(x), atol=1e-5))
    True
    """

    def __init__(self, model: Layer, input_shape: Shape, *, frozen: bool = False) -> None:
        self.model, self.input_shape, self.frozen = model, tuple(input_shape), frozen
        self._layers = [layer for _, layer in model.named_layers()]
        self._planned: tuple[list[Any], Callable[[Array], Array]] | None = None  # for arrays of these kinds

    def __call__(self, x: Array) -> Array:
        if type(x) is not np.ndarray or x.shape[1:] != self.input_shape or not len(x):
            return self.model(x)
        layers = () if self.frozen else self._layers
        kinds = [kind_of(vars(layer).get(key)) for layer in layers for key in layer.parameter_names]
        if self._planned is None or self._planned[0] != kinds:
            self._planned = kinds, self._plan()
        return self._planned[1](x)

    @np.errstate(all="ignore")  # of an example of zeros
    def _plan(self) -> Callable[[Array], Array]:
        """The plan, or the network itself where it is not planned."""
        usual = all(
            is_ours(type(layer)) and not layer.observed and getattr(layer, "divided", None) is None
            for layer in self._layers
        )
        if not usual or math.prod(self.input_shape) > MOST_NUMBERS:
            return self.model
        zeros, found = self.model.zeros(self.input_shape), Summary()
        if type(zeros) is not np.ndarray:
            return self.model
        self.model.summarize(zeros, found)
        if sum(row.bytes for row in found.rows) > MOST_BYTES:
            return self.model
        return Plan(self.model, self.input_shape, frozen=self.frozen)

    def __reduce__(self) -> Any:
        return partial(Predictor, frozen=self.frozen), (self.model, self.input_shape)
