"""Dropout layers: they drop numbers in `forward` only; `layer(x)` is the identity, with dx = dy."""

from __future__ import annotations

from ..ops.check import check_array, check_batch, check_floats
from ..ops.dropout import dropout_backward, dropout_forward
from ..options import as_number
from ..random import Seed, generator
from ..typing import Array, Cache, Shape
from .op_layer import OpLayer


class Dropout(OpLayer):
    """Sets each number to 0 with probability p in training; equations in `xpcnn.ops.dropout`.

    Parameters
        p : probability, in [0, 1)
        rng : seed or generator, from which this layer derives its own generator
    Shapes
        (N, …) → (N, …)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = Dropout(0.5, rng=0).forward(np.ones((1, 1000)))
    >>> sorted(set(y[0].tolist()))
    [0.0, 2.0]
    """

    pair = (dropout_forward, dropout_backward)
    config_names = ("p",)
    elementwise = True

    def __init__(self, p: float = 0.5, *, rng: Seed = None) -> None:
        self.p = as_number(type(self).__name__, "p", p, "[0, 1)")
        self.rng = generator(rng).spawn(1)[0]

    def __call__(self, x: Array) -> Array:
        check_array(type(self).__name__, x)
        return x

    def forward(self, x: Array) -> tuple[Array, Cache]:
        if self.infers:
            return self(x), None
        xp = check_floats(type(self).__name__, x)
        shape = self._drawn(x)  # all checks come before the draw
        keep = self.rng.random(shape, dtype="float32") >= self.p  # on the host
        return dropout_forward(x, xp.asarray(keep, device=x.device), p=self.p)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return (dy if input_grad else None, {}) if self.infers else super().backward(dy, cache, input_grad=input_grad)

    def _drawn(self, x: Array) -> Shape:
        """The mask's shape: one draw for numbers that are dropped together."""
        check_batch("Dropout", x, *x.shape[1:])
        return tuple(x.shape)


class Dropout2d(Dropout):
    """Sets whole channels to 0 with probability p in training, because neighbouring pixels are correlated.

    Parameters
        p : probability, in [0, 1)
        rng : seed or generator, from which this layer derives its own generator
    Shapes
        (N, H, W, C) → (N, H, W, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = Dropout2d(0.5, rng=0).forward(np.ones((1, 2, 2, 4)))  # whole channels are dropped
    >>> y[0, 0, 0]
    array([2., 2., 0., 0.])
    """

    def _drawn(self, x: Array) -> Shape:
        check_batch("Dropout2d", x, "H", "W", "C")
        return (x.shape[0], 1, 1, x.shape[3])


class Dropout1d(Dropout):
    """Sets whole channels of sequences to 0 with probability p in training, as `Dropout2d` those of images.

    Parameters
        p : probability, in [0, 1)
        rng : seed or generator, from which this layer derives its own generator
    Shapes
        (N, L, C) → (N, L, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = Dropout1d(0.5, rng=0).forward(np.ones((1, 2, 4)))  # whole channels are dropped
    >>> y[0, 0]
    array([2., 2., 0., 0.])
    """

    def _drawn(self, x: Array) -> Shape:
        check_batch("Dropout1d", x, "L", "C")
        return (x.shape[0], 1, x.shape[2])


class StochasticDepth(Dropout):
    """Sets whole items to 0 with probability p in training.

    It stands at the end of a residual block's body: an item then passes the block by its shortcut alone.

    Parameters
        p : probability, in [0, 1)
        rng : seed or generator, from which this layer derives its own generator
    Shapes
        (N, …) → (N, …)
    Raises
        OptionError, ShapeError, DTypeError
    Source
        G. Huang et al., Deep networks with stochastic depth, 2016, section 3

    >>> import numpy as np
    >>> y, cache = StochasticDepth(0.5, rng=0).forward(np.ones((100, 2)))
    >>> sorted(set(map(tuple, y.tolist())))
    [(0.0, 0.0), (2.0, 2.0)]
    """

    def _drawn(self, x: Array) -> Shape:
        check_batch("StochasticDepth", x, *x.shape[1:])
        return (x.shape[0],) + (1,) * (x.ndim - 1)
