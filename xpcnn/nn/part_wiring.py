"""What of a network is trained in parts: its steps, and the values that they read and write; see `xpcnn.nn.parts`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

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
from .pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .sequential import Sequential
from .shape import Flatten, ZeroPadChannels

FEWEST = 16  # items
MOST = 1 << 26  # multiply-adds of one item; what larger networks gain was not measured


class _NoParts(Exception):
    """A layer has no parts, or is unknown."""


def wiring(model: Layer, item: Shape, dtype: Any) -> Any:
    """The network's steps for items of that shape; None if it has none."""
    parts, arrays = dispatch.parts(), model.parameters()
    walk = _Walk(dtype)
    try:
        out = walk.run("", model, (0, item))
    except (_NoParts, XpcnnError):  # the network itself says what is wrong
        return None
    named = [name for entry in walk.entries for name in entry.names.values()]
    pays = walk.cost <= MOST and any(isinstance(entry.step, parts.Convolution) for entry in walk.entries)
    kinds = {(type(array), getattr(array, "dtype", None)) for array in arrays.values()}
    if not pays or set(named) != set(arrays) or kinds != {(np.ndarray, dtype)}:  # others are frozen, or used twice
        return None
    return parts.Wiring(walk.entries, item, out[1], {name: arrays[name].shape for name in named}, dtype)


class _Walk:
    """Follows a value, its number and the shape of an item of it, through the network, and notes a step a layer."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.entries, self.cost = dtype, list[Any](), 0

    def run(self, name: str, layer: Any, x: tuple[int, Shape], **options: Any) -> tuple[int, Shape]:
        kind, shape = type(layer), x[1]
        if kind not in (Sequential, Residual):
            return self._layer(name, layer, x, **options)
        if options or layer.infers:
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
        if layer.infers:
            raise _NoParts
        out = layer.output_shape(shape)
        self.cost += layer.multiply_adds(shape, out)
        if type(layer) is Flatten:
            return number, out
        names = {key: dotted(name, key) for key in layer.parameter_names if getattr(layer, key) is not None}
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
        self.forward, self.backward = (partial(with_layer_name, name, run) for run in (layer.forward, layer.backward))
