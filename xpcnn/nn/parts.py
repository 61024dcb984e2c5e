"""Training in parts: a batch goes through a small network in parts of fixed size, each on one thread.

    y, cache = plan.forward(x)                                      as of the network
    _, grads = plan.backward(dy, cache, input_grad=False)

Checks, choices and new arrays in every layer take longer than the arithmetic of a small network, and threads that share
one layer wait for each other at its end. Where all layers treat each item by itself, a part of the batch needs no
other one. What runs of it, and in which memory, is found once for a number of items (`xpcnn.kernels.parts`). The loss
is that of the whole batch, and the gradients are added in the order of the parts.
"""

from __future__ import annotations

from threading import Lock
from typing import Any
from weakref import finalize

from ..errors import OptionError
from ..ops import dispatch
from ..ops.check import check_cache, check_gradient
from ..typing import Array, Cache
from .display import headline
from .layer import Layer, check_layer
from .part_chains import Chains

SIZES = 2  # numbers of items for which memory is kept


class PartsPlan:
    """A network's forward and backward of training; `nn.plan_training` makes it.

    Results are those of the network within rounding, and the same bits for any number of threads. It reads weights at
    each call. What it has no parts for, it passes to the network.

    >>> from xpcnn.nn import Linear
    >>> plan_training(Linear(4, 2, rng=0))
    PartsPlan(Linear, 10 parameters)
    """

    def __init__(self, model: Layer) -> None:
        check_layer("plan_training", model)
        self.model = model
        self._chains = Chains(model)
        self._idle: dict[Any, list[Any]] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"PartsPlan({headline(self.model)})"

    def __reduce__(self) -> Any:  # a copy has memory of its own
        return PartsPlan, (self.model,)

    def forward(self, x: Any) -> tuple[Any, Cache]:
        """As of the network: y (N, …), and a cache for this plan's `backward`.

        Parameters
            x : (N, …), as the network takes it
        Raises
            as the network's forward
        """
        chain = self._chains.of(x)
        if chain is None:
            y, cache = self.model.forward(x)
            return y, (None, cache)
        with dispatch.one_blas_thread() as threads:
            with self._lock:
                lent = self._lend(chain, len(x), threads)
            return lent.parts.forward(x), (lent, None)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = False) -> tuple[None, dict[str, Array]]:
        """The gradients of all parameters, with the cache that `forward` returned.

        Parameters
            dy : ∂L/∂y, of y's shape and dtype
        Returns
            None, {parameter name: ∂L/∂parameter, of the parameter's shape}
        Raises
            OptionError : input_grad is True, or the cache is another's;  ShapeError, DTypeError : dy does not fit
        """
        if input_grad:
            remedy = "call the network's own forward and backward"
            raise OptionError("plan_training", "input_grad=False", "True", remedy)
        fits = type(cache) is tuple and len(cache) == 2 and isinstance(cache[0], _Lent | None)
        check_cache("plan_training", cache, fits)
        lent, own = cache
        if lent is None:
            _, grads = self.model.backward(dy, own, input_grad=False)
            return None, grads
        check_gradient(type(self.model).__name__, dy, lent.parts.shape, lent.parts.like)
        with dispatch.one_blas_thread():
            return None, lent.parts.backward(dy)

    def _lend(self, chain: Any, items: int, threads: int) -> _Lent:
        """Memory that no other batch uses as long as it is lent."""
        key = (items, threads, chain)
        idle = self._idle[key] = self._idle.pop(key, [])  # the last one
        while len(self._idle) > SIZES:
            del self._idle[next(iter(self._idle))]
        lent = _Lent(idle.pop() if idle else dispatch.parts().Parts(chain, items, threads))
        finalize(lent, idle.append, lent.parts).atexit = False  # once nobody can call backward
        return lent


class _Lent:
    """Keeps a batch's memory from other batches as long as its cache is there."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts


def plan_training(model: Layer) -> PartsPlan:
    """Plan a network's training: small networks then run in parts of the batch, each on one thread.

    Parameters
        model : any network
    Returns
        PartsPlan : has the forward and backward of the network, and calls them where parts are impossible or slower:
            for other arrays than NumPy's, fewer than 16 items, layers that need the whole batch, as batch norm, and
            where an implementation is forced. Its backward has no dx: input_grad must be False
    Raises
        OptionError : `model` is no network

    >>> import numpy as np
    >>> from xpcnn.nn import Conv2d, Flatten, Linear, ReLU, Sequential
    >>> model = Sequential(Conv2d(1, 6, 5, rng=0), ReLU(), Flatten(), Linear(96, 10, rng=1))
    >>> plan = plan_training(model)
    >>> y, cache = plan.forward(np.ones((64, 8, 8, 1), np.float32))
    >>> _, grads = plan.backward(np.ones_like(y), cache, input_grad=False)
    >>> list(grads)
    ['0.weight', '0.bias', '3.weight', '3.bias']
    """
    return PartsPlan(model)
