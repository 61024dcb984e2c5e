"""Plans: a network's inference for one shape, as a list of array calls in memory that is allocated once.

`model(x)` checks its arguments, chooses implementations and allocates arrays in every layer, each time. For one image
and a small network this takes longer than the arithmetic. A plan does it once:

    >>> import numpy as np
    >>> from xpcnn import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 5, rng=0), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(6, 10, rng=1))
    >>> faster = nn.plan(model, (28, 28, 1))
    >>> x = np.ones((1, 28, 28, 1), np.float32)
    >>> bool(np.allclose(faster(x), model(x), atol=1e-6))
    True

A plan sees weights that change. A frozen one has copies of them, from which it prepares its calls once:

    >>> deployed = nn.plan(model, (28, 28, 1), frozen=True)
    >>> for array in model.parameters().values():
    ...     array[...] = 0
    >>> bool(faster(x).any()), bool(deployed(x).any())
    (False, True)

How an operation is planned is said in `xpcnn.kernels.planned`. A layer that has no plan there runs as it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ops import dispatch
from ..options import as_flag
from .display import headline
from .layer import Layer, check_layer
from .part_chains import Chains
from .plan_steps import as_list, like, traced
from .planned_layers import PlannedLayers, private
from .summary import as_input_shape, speaking_of

MANY = 8  # items; so many run in parts, in compiled blocks, or in the network itself


class Plan:
    """A network's inference for items of one shape; `nn.plan` makes it.

    Its call returns what `model(x)` returns, within rounding. It reads weights and running statistics at each call, so
    it never uses old ones; a frozen plan is that of a copy of the network as it was, and never reads the network again.
    Several threads may call it: each then works in memory of its own.

    >>> from xpcnn.nn import Linear, ReLU, Sequential
    >>> plan(Sequential(Linear(4, 2), ReLU()), (4,))
    Plan(Sequential of 2 layers, 10 parameters; input (4,))
    """

    @np.errstate(all="ignore")  # of an example of zeros
    def __init__(self, model: Layer, input_shape: Any, *, frozen: bool = False) -> None:
        check_layer("plan", model)
        self.input_shape, self.frozen = as_input_shape(input_shape, "plan"), as_flag("plan", "frozen", frozen)
        self._model = model = private(model) if self.frozen else model
        self._samples = as_list(model.zeros(self.input_shape))
        with speaking_of(self.input_shape):
            model(like(self._samples))  # its errors name the layer
        layers = PlannedLayers(model)
        programs: tuple[Any, bool] = None, True
        own = self.frozen and layers.have_own_methods()
        if all(isinstance(each, np.ndarray) for each in self._samples) and not own:
            programs = traced(model, self._samples, self.frozen)
        self._chains, self._large = Chains(model, infers=True), dict[Any, Any]()
        self._programs, self._single = programs
        self._weights = sum(getattr(each, "nbytes", 0) for each in model.parameters().values())
        self._layers = layers  # the last: another thread that finds them unchanged has their programs

    def __repr__(self) -> str:
        return f"Plan({headline(self._model)}; input {self.input_shape}{', frozen' * self.frozen})"

    def __call__(self, x: Any) -> Any:
        """The network's output.

        Parameters
            x : as the network takes it. A plan is faster for 1 to 7 items of its shape, in the network's dtype, in a
                small network without batch norm for 16 or more, and with compiled loops for most others; anything
                else is passed to the network
        Raises
            ShapeError : a weight was replaced by one of another shape or dtype;  and as the network
        """
        arrays = as_list(x)
        items = 0 if dispatch.forced() is not None else self._items(arrays)
        many = items >= MANY
        if many or not items:
            chain = self._chains.of(x)
            if chain is not None:
                return self._in_parts(chain, x)
            if not many or not dispatch.asks_for_loops():
                return self._model(x)
        if not self.frozen:
            if self._layers.have_own_methods():
                return self._model(x)
            if self._layers.changed():
                Plan.__init__(self, self._model, self.input_shape)
                return self(x)
        programs = self._programs  # another thread may plan anew meanwhile
        if programs is None or (many and not programs.takes_many(items, self._weights)):
            return self._model(x)
        try:
            outputs = programs(arrays, dispatch.asks_for_loops(), many)
        except dispatch.planned().NotPlanned:
            self._programs = None
            return self._model(x)
        except ShapeError:
            if many:
                return self._model(x)  # which takes other weights, too
            raise
        return outputs[0] if self._single else tuple(outputs)

    def _in_parts(self, chain: Any, x: Any) -> Any:
        """The output of a large batch, in parts of it."""
        large = self._large.get(chain)
        if large is None:
            large = dispatch.parts().Inference(chain)
            self._large = {chain: large}  # those of other weights, and of items of other shapes, go
        with dispatch.one_blas_thread():
            return large(x)

    def _items(self, arrays: list[Any]) -> int:
        """How many items these arrays have; 0 if they are not of the shapes and dtypes that were planned."""
        shapes = [getattr(array, "shape", ()) for array in arrays]
        n: int = shapes[0][0] if shapes and shapes[0] else 0
        holds = len(arrays) == len(self._samples) and all(
            type(array) is np.ndarray and shape == (n, *sample.shape[1:]) and array.dtype == sample.dtype
            for array, shape, sample in zip(arrays, shapes, self._samples, strict=True)
        )
        return n if holds else 0

    def __reduce__(self) -> Any:
        return partial(Plan, frozen=self.frozen), (self._model, self.input_shape)


def plan(model: Layer, input_shape: Any, *, frozen: bool = False) -> Plan:
    """Plan a network's inference for items of one shape.

    Parameters
        model : any network
        input_shape : of one item, such as (28, 28, 1); of several inputs, a sequence of shapes
        frozen : False for a plan that sees what becomes of the network; True for one that is faster, as it is of a copy
            of the network as it is now: later changes of weights, running statistics or layers are not seen
    Returns
        Plan : a function of x that returns what model(x) returns. On other arrays than NumPy's, and where an
            implementation is forced, it calls the network
    Raises
        OptionError, ShapeError, DTypeError : as the network's inference; or a network with hooks is to be frozen

    >>> import numpy as np
    >>> from xpcnn.nn import Linear
    >>> layer = Linear(4, 2, rng=0)
    >>> x = np.ones((1, 4), np.float32)
    >>> bool(np.allclose(plan(layer, (4,))(x), layer(x)))
    True
    """
    return Plan(model, input_shape, frozen=frozen)
