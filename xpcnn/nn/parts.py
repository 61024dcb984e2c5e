"""Training in parts: a batch goes through a small network in parts of fixed size, each on one thread.

    y, cache = plan.forward(x)                                      as of the network
    _, grads = plan.backward(dy, cache, input_grad=False)

Checks, choices and new arrays in every layer take longer than the arithmetic of a small network, and threads that share
one layer wait for each other at its end. Where all layers treat each item by itself, a part of the batch needs no
other one. What runs of it, and in which memory, is found once for a number of items (`xpcnn.kernels.parts`). The loss
is that of the whole batch, and the gradients are added in the order of the parts.

It pays for convolutions that `xpcnn.kernels.rows` would run, as in LeNet-5. Where `winograd` would run, with more than
8 channels and 3×3 kernels, parts were slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Lock
from typing import Any
from weakref import finalize

import numpy as np

from ..errors import OptionError, XpcnnError
from ..ops import dispatch
from ..ops.check import check_gradient
from ..typing import Array, Cache, Shape
from .activation import ReLU
from .container import with_layer_name
from .conv import Conv2d
from .display import headline
from .dropout import Dropout
from .fusion import training_steps
from .layer import Layer, OpLayer, check_layer, dotted
from .linear import Linear
from .own_layers import is_ours
from .pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .sequential import Sequential
from .shape import Flatten

FEWEST = 16  # items
MOST = 1 << 23  # multiply-adds of one item; what larger networks gain was not measured
SIZES = 2  # numbers of items for which memory is kept
_OWN = {"forward", "backward"}  # attributes of a single object that takes the place of its class's


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
        self._chains: dict[Any, Any] = {}  # by the items' shape and dtype
        self._known: list[Any] = []  # the parameters that they were made for
        self._attributes: list[dict[str, Any]] = []  # of all layers
        self._idle: dict[Any, list[Any]] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"PartsPlan({headline(self.model)})"

    def __reduce__(self) -> Any:  # a copy has memory of its own
        return PartsPlan, (self.model,)

    def forward(self, x: Any) -> tuple[Any, Cache]:
        """As of the network."""
        with self._lock:
            chain = self._chain(x)
        if chain is None:
            y, cache = self.model.forward(x)
            return y, (None, cache)
        with dispatch.one_blas_thread() as threads:
            with self._lock:
                lent = self._lend(chain, len(x), threads)
            return lent.parts.forward(x), (lent, None)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = False) -> tuple[None, dict[str, Array]]:
        """The gradients of all parameters, with the cache that `forward` returned."""
        if input_grad:
            remedy = "call the network's own forward and backward"
            raise OptionError("plan_training", "input_grad=False", "True", remedy)
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

    def _chain(self, x: Any) -> Any:
        """The steps for this batch; None if it goes through the network as a whole."""
        if type(x) is not np.ndarray or x.ndim < 2 or len(x) < FEWEST or dispatch.forced() is not None:
            return None
        if any(_kind(getattr(layer, key)) != kind for layer, key, kind in self._known):  # an array was replaced
            self._chains.clear()
        if not self._chains:
            found = self.model.named_arrays(buffers=False, frozen=True)
            self._known = [(layer, key, _kind(getattr(layer, key))) for _, layer, key in found]
            self._attributes = [vars(layer) for _, layer in self.model.named_layers()]
        if not all(map(_OWN.isdisjoint, self._attributes)):
            return None
        key = x.shape[1:], x.dtype
        if key not in self._chains:
            self._chains[key] = _chain(self.model, *key)
        return self._chains[key]


def _kind(array: Any) -> Any:
    return type(array), getattr(array, "shape", None), getattr(array, "dtype", None)


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


class _NoParts(Exception):
    """A layer needs the whole batch, or is unknown."""


def _chain(model: Layer, item: Shape, dtype: Any) -> Any:
    """The network's steps for items of that shape; None if it has none."""
    parts, arrays = dispatch.parts(), model.parameters()
    entries: list[Any] = []
    shape, cost = item, 0
    try:
        for name, layer in _layers(model):
            out = layer.output_shape(shape)
            cost += layer.multiply_adds(shape, out)
            if type(layer) is not Flatten:
                names = {key: dotted(name, key) for key in layer.parameter_names if getattr(layer, key) is not None}
                entries.append(parts.Entry(_step(name, layer, shape, dtype), shape, out, names))
            shape = out
    except (_NoParts, XpcnnError):  # the network itself says what is wrong
        return None
    named = [name for entry in entries for name in entry.names.values()]
    pays = cost <= MOST and any(isinstance(entry.step, parts.Convolution) for entry in entries)
    kinds = {_kind(array)[::2] for array in arrays.values()}
    if not pays or set(named) != set(arrays) or kinds != {(np.ndarray, dtype)}:  # others are frozen, or used twice
        return None
    trained = next(i for i, entry in enumerate(entries) if entry.names)
    return parts.Chain(entries, item, shape, trained, {name: arrays[name].shape for name in named}, dtype)


def _layers(model: Layer, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The layers in the order in which they run in training, by their dotted names."""
    if type(model) is not Sequential:
        raise _NoParts
    children = model.children()
    for name, options in training_steps(children):
        child, full = children[name], dotted(prefix, name)
        if options or child.infers:
            raise _NoParts
        if type(child) is Sequential:
            yield from _layers(child, full)
        else:
            yield full, child


def _step(name: str, layer: Any, shape: Shape, dtype: Any) -> Any:
    """The layer's step: one of its own, if what would run otherwise is the implementation that it stands for."""
    parts, kind = dispatch.parts(), type(layer)
    x = np.broadcast_to(np.zeros((), dtype), (FEWEST, *shape))
    if kind is Dropout:
        return parts.Dropping(layer)
    if kind is ReLU and dispatch.choose("relu", x).name in ("blocks", "numba", "reference"):
        return parts.Rectifier(layer)
    if kind is Linear and len(shape) == 1 and dispatch.choose("linear", x, layer.weight).name == "batch_last":
        return parts.Dense(layer)
    if kind is Conv2d and layer.groups == 1 and layer.window.dilation == (1, 1):
        place = layer.window.place(*shape[:2])
        chosen = dispatch.choose("conv2d", x, layer.weight, window=layer.window).name
        if place.flipped is not None and chosen in ("rows", "winograd"):
            return (parts.Convolution if chosen == "rows" else parts.Winograd)(layer, place)
    if kind is MaxPool2d and dispatch.choose("max_pool2d", x, window=layer.window).name in ("batch_last", "numba"):
        window, place = layer.window, layer.window.place(*shape[:2])
        if window.stride == window.kernel and window.dilation == (1, 1) and not any(place.pads) and window.taps < 256:
            return parts.MaxPooling(layer, place)
    if kind in (MaxPool2d, AvgPool2d, GlobalAvgPool2d) or (is_ours(kind) and _is_function(layer)):
        return parts.AsItIs(_Named(name, layer))
    raise _NoParts


def _is_function(layer: Layer) -> bool:
    """True for a function of single numbers without parameters."""
    return isinstance(layer, OpLayer) and layer.elementwise and not layer.parameter_names and not layer.generators()


class _Named:
    """A layer whose errors tell its name."""

    def __init__(self, name: str, layer: Layer) -> None:
        self.forward, self.backward = (partial(with_layer_name, name, run) for run in (layer.forward, layer.backward))
