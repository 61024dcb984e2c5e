"""What of a network is trained in parts: its steps, and the values that they read and write; see `xpcnn.nn.parts`."""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from .. import settings
from ..errors import XpcnnError
from ..ops import dispatch
from ..typing import Shape
from .activation import ReLU
from .branches import Residual
from .container import with_layer_name
from .conv import Conv2d
from .dropout import Dropout
from .fusion import training_steps
from .layer import Layer, OpLayer, dotted
from .linear import Linear
from .norm import BatchNorm1d, BatchNorm2d
from .own_layers import is_ours
from .planned_layers import PlannedLayers
from .pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .sequential import Sequential
from .shape import Flatten, ZeroPadChannels

FEWEST = 16  # items
MANY = 64  # items; for so many, parts with batch norm were no faster
MOST = 1 << 26  # multiply-adds of one item; what larger networks gain was not measured


class _NoParts(Exception):
    """A layer has no parts, or is unknown."""


class Wirings:
    """A network's steps, for items of several shapes, as long as its parameters are of the same shapes and dtypes.

    Parameters
        infers : whether for inference, without backward
    """

    def __init__(self, model: Layer, infers: bool = False) -> None:
        self.model, self.infers = model, infers
        self.found: dict[Any, Any] = {}  # by the items' shape and dtype, whether they are few, and loops compiled
        self._known: list[Any] = []  # the parameters that they were made for
        self._layers: PlannedLayers | None = None
        self._lock = Lock()

    def of(self, x: Any) -> Any:
        """The steps for this batch; None if it goes through the network as a whole."""
        if type(x) is not np.ndarray or x.ndim < 2 or len(x) < FEWEST or dispatch.forced() is not None:
            return None
        with self._lock:
            return self._of(x.shape[1:], x.dtype, len(x) < MANY, settings.numba())

    def _of(self, *key: Any) -> Any:
        replaced = any(_kind(getattr(layer, key)) != kind for layer, key, kind in self._known)  # an array
        if self._layers is None or replaced or self._layers.changed():
            self.found.clear()
            named = self.model.named_arrays(buffers=False, frozen=True)
            self._known = [(layer, key, _kind(getattr(layer, key))) for _, layer, key in named]
            self._layers = PlannedLayers(self.model)
        if self._layers.have_own_methods():
            return None
        if key not in self.found:
            self.found[key] = wiring(self.model, *key[:3], infers=self.infers)
        return self.found[key]


def _kind(array: Any) -> Any:
    return type(array), getattr(array, "shape", None), getattr(array, "dtype", None)


def wiring(model: Layer, item: Shape, dtype: Any, few: bool, *, infers: bool = False) -> Any:
    """The network's steps for items of that shape; None if it has none."""
    parts, walk = dispatch.parts(), _Walk(dtype, infers)
    try:
        out = walk.run("", model, (0, item))
    except (_NoParts, XpcnnError):  # the network itself says what is wrong
        return None
    named = [name for entry in walk.entries for name in entry.names.values()]
    arrays = {} if infers else model.parameters()
    pays = walk.cost <= MOST and any(isinstance(entry.step, parts.Convolution) for entry in walk.entries)
    if not few and any(isinstance(entry.step, parts.BatchNorm) for entry in walk.entries):
        return None
    if not pays or set(named) != set(arrays):  # others are frozen, or used twice
        return None
    return parts.Wiring(walk.entries, item, out[1], {name: arrays[name].shape for name in named}, dtype)


class _Walk:
    """Follows a value, its number and the shape of an item of it, through the network, and notes a step a layer."""

    def __init__(self, dtype: Any, infers: bool) -> None:
        self.dtype, self.infers, self.entries, self.cost = dtype, infers, list[Any](), 0

    def run(self, name: str, layer: Any, x: tuple[int, Shape], **options: Any) -> tuple[int, Shape]:
        kind, shape = type(layer), x[1]
        if kind not in (Sequential, Residual):
            return self._layer(name, layer, x, **options)
        if options or (layer.infers and not self.infers):
            raise _NoParts
        children = layer.children()
        if kind is Sequential:
            for child, more in training_steps(children):
                x = self.run(dotted(name, child), children[child], x, **more)
            return x
        body = self.run(dotted(name, "body"), children["body"], x)
        around = self.run(dotted(name, "shortcut"), children["shortcut"], x) if "shortcut" in children else x
        if body[1] != around[1] or body[0] == around[0] or body[0] == x[0]:
            raise _NoParts
        return self._note(dispatch.parts().Adding(layer), (body[0], around[0]), (shape := body[1], shape), shape, {})

    def _layer(self, name: str, layer: Any, x: tuple[int, Shape], **options: Any) -> tuple[int, Shape]:
        number, shape = x
        if layer.infers and not self.infers:
            raise _NoParts
        out = layer.output_shape(shape)
        self.cost += layer.multiply_adds(shape, out)
        if type(layer) is Flatten or (type(layer) is Dropout and self.infers):
            return number, out
        own = [key for key in layer.parameter_names if getattr(layer, key) is not None]
        if any(_kind(getattr(layer, key))[::2] != (np.ndarray, self.dtype) for key in own):
            raise _NoParts
        if type(layer) in (BatchNorm1d, BatchNorm2d) and self.infers:  # an affine map, which is part of a convolution
            raise _NoParts
        names = {} if self.infers else {key: dotted(name, key) for key in own}
        return self._note(_step(name, layer, shape, self.dtype, **options), (number,), (shape,), out, names)

    def _note(
        self, step: Any, reads: tuple[int, ...], shapes: tuple[Shape, ...], out: Shape, names: dict[str, str]
    ) -> tuple[int, Shape]:
        number = len(self.entries) + 1
        self.entries.append(dispatch.parts().Entry(step, reads, number, shapes, out, names))
        return number, out


def _step(name: str, layer: Any, shape: Shape, dtype: Any, relu: bool = False) -> Any:
    """The layer's step: one of its own, if what would run otherwise is the implementation that it stands for."""
    parts, kind = dispatch.parts(), type(layer)
    x = np.broadcast_to(np.zeros((), dtype), (FEWEST, *shape))
    if kind in (BatchNorm1d, BatchNorm2d) and layer.running_mean.dtype == layer.running_var.dtype == dtype:
        return parts.BatchNorm(layer, relu)
    if relu:
        raise _NoParts
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
    if kind in (Conv2d, MaxPool2d, AvgPool2d, GlobalAvgPool2d, ZeroPadChannels) or (
        is_ours(kind) and _is_function(layer)
    ):
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
