"""The steps of a network for parts of a batch, with the shape of an item that each reads, and of what it makes of it.

See `xpcnn.nn.parts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from .. import settings
from ..errors import XpcnnError
from ..ops import dispatch
from ..typing import Shape
from .activation import ReLU
from .container import with_layer_name
from .conv import Conv2d
from .dropout import Dropout
from .fusion import training_steps
from .layer import Layer, dotted
from .linear import Linear
from .op_layer import OpLayer
from .own_layers import is_ours
from .planned_layers import PlannedLayers, kind_of
from .pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .sequential import Sequential
from .shape import Flatten

FEWEST = 16  # items
LARGE = 32  # items, with which the network itself would have the batch last in memory, as the steps have
SHAPES = 8  # of items, for which steps are kept
MOST = 1 << 26  # multiply-adds of one item; what larger networks gain was not measured


class _NoParts(Exception):
    """A layer needs the whole batch, or is unknown."""


class Chains:
    """A network's steps, for items of several shapes, as long as its parameters are of the same shapes and dtypes.

    Parameters
        infers : whether for inference, without backward
    """

    def __init__(self, model: Layer, infers: bool = False) -> None:
        self.model, self.infers = model, infers
        self.found: dict[Any, Any] = {}  # by the items' shape and dtype, and whether loops are compiled
        self._known: list[Any] = []  # the parameters that they were made for, also those that are None
        self._layers: PlannedLayers | None = None
        self._lock = Lock()

    def of(self, x: Any) -> Any:
        """The steps for this batch; None if it goes through the network as a whole."""
        if type(x) is not np.ndarray or x.ndim < 2 or len(x) < FEWEST or dispatch.forced() is not None:
            return None
        with self._lock:
            return self._of(x.shape[1:], x.dtype, settings.numba())

    def _of(self, *key: Any) -> Any:
        replaced = any(kind_of(getattr(layer, name)) != kind for layer, name, kind in self._known)
        if self._layers is None or replaced or self._layers.changed():
            self.found.clear()
            layers = [layer for _, layer in self.model.named_layers()]
            own = [(layer, name) for layer in layers for name in layer.parameter_names]
            self._known = [(layer, name, kind_of(getattr(layer, name))) for layer, name in own]
            self._layers = PlannedLayers(self.model)
        if self._layers.have_own_methods():
            return None
        if key not in self.found:
            while len(self.found) >= SHAPES:
                del self.found[next(iter(self.found))]
            self.found[key] = chain(self.model, *key[:2], infers=self.infers)
        return self.found[key]


def chain(model: Layer, item: Shape, dtype: Any, *, infers: bool = False) -> Any:
    """The network's steps for items of that shape; None if it has none."""
    parts, entries, gradients = dispatch.parts(), list[Any](), dict[str, Shape]()
    shape, cost = item, 0
    arrays = {} if infers else model.parameters()
    try:
        for name, layer in _layers(model, infers):
            own = [key for key in layer.parameter_names if getattr(layer, key) is not None]
            if any(kind_of(getattr(layer, key))[::2] != (np.ndarray, dtype) for key in own):
                return None
            out = layer.output_shape(shape)
            cost += layer.multiply_adds(shape, out)
            if type(layer) is not Flatten and not (infers and type(layer) is Dropout):
                step = _step(name, layer, shape, dtype, infers)
                if isinstance(step, parts.Rectifier) and entries and entries[-1].step.takes_relu(infers):
                    entries[-1].step.relu = True
                    continue
                names = {} if infers else {key: dotted(name, key) for key in own}
                entries.append(parts.Entry(step, shape, out, names))
                gradients |= {each: getattr(layer, key).shape for key, each in names.items()}
            shape = out
    except (_NoParts, XpcnnError):  # the network itself says what is wrong
        return None
    named = sum(len(entry.names) for entry in entries)
    pays = cost <= MOST and any(isinstance(entry.step, parts.Convolution) for entry in entries)
    if not pays or named != len(arrays) or set(gradients) != set(arrays):  # others are frozen, or used twice
        return None
    trained = next((i for i, entry in enumerate(entries) if entry.names), 0)
    return parts.Chain(entries, item, shape, trained, gradients, dtype)


def _layers(model: Layer, infers: bool, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The layers in the order in which they run, by their dotted names."""
    if type(model) is not Sequential:
        raise _NoParts
    children = model.children()
    for name, options in training_steps(children):
        child, full = children[name], dotted(prefix, name)
        if options or (child.infers and not infers):
            raise _NoParts
        if type(child) is Sequential:
            yield from _layers(child, infers, full)
        else:
            yield full, child


def _step(name: str, layer: Any, shape: Shape, dtype: Any, infers: bool) -> Any:
    """The layer's step: one of its own, if what would run otherwise is the implementation that it stands for.

    Where a compiled convolution would run that no step stands for, inference takes the step of NumPy's form: parts are
    then faster than the network itself. For training they are not.
    """
    parts, kind = dispatch.parts(), type(layer)
    x = np.broadcast_to(np.zeros((), dtype), (LARGE, *shape))
    if kind is Dropout:
        return parts.Dropping(layer)
    if kind is ReLU and dispatch.choose("relu", x).name in ("blocks", "numba", "reference"):
        return parts.Rectifier(layer)
    if kind is Linear and len(shape) == 1 and dispatch.choose("linear", x, layer.weight).name == "batch_last":
        return parts.Dense(layer)
    if kind is Conv2d and layer.groups == 1 and layer.window.dilation == (1, 1):
        place = layer.window.place(*shape[:2])
        chosen = dispatch.choose("conv2d", x, layer.weight, window=layer.window)
        if infers and chosen not in parts.CONVOLUTIONS:
            chosen = dispatch.choose_without_loops("conv2d", x, layer.weight, window=layer.window)
        if place.flipped is not None and chosen in parts.CONVOLUTIONS:
            step = parts.CONVOLUTIONS[chosen]
            compiled = settings.numba() and parts.refuses_numbers(x) is None
            return (parts.COMPILED.get(step, step) if compiled else step)(layer, place)
    if kind is MaxPool2d:
        window, place = layer.window, layer.window.place(*shape[:2])
        runs = dispatch.choose("max_pool2d", x, window=window).name
        if runs == "numba":
            return parts.CompiledMaxPooling(layer, place)
        tiles = window.stride == window.kernel and window.dilation == (1, 1) and not any(place.pads)
        if runs == "batch_last" and tiles and window.taps < 256:
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
        self._call = partial(with_layer_name, name, layer)
        self.forward, self.backward = (partial(with_layer_name, name, run) for run in (layer.forward, layer.backward))

    def __call__(self, x: Any) -> Any:
        return self._call(x)
