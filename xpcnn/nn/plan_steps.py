"""What a network's layers do in a plan: the steps that an example takes through it; see `xpcnn.nn.planning`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..ops import dispatch
from ..ops.batch_norm import batch_norm_affine
from ..typing import Array, NDArray, Shape
from .activation import ReLU
from .branches import Concat, Residual
from .container import Container, with_layer_name
from .conv import Conv2d
from .dropout import Dropout
from .fusion import FusedConvolution
from .hard_activation import ReLU6
from .join import Add, Maximum, Multiply, Subtract
from .layer import Layer
from .linear import Linear
from .norm import BatchNorm1d, BatchNorm2d
from .own_layers import is_ours
from .planned_layers import current
from .pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .shape import Flatten, ZeroPad2d, ZeroPadChannels

_JOINS: dict[type, np.ufunc] = {Add: np.add, Subtract: np.subtract, Multiply: np.multiply, Maximum: np.maximum}


def traced(model: Layer, samples: list[NDArray], frozen: bool) -> tuple[Any, bool]:
    """The network's programs, and whether there is one output; None if it cannot be planned.

    Parameters
        samples : an example of one item of each input
        frozen : whether weights stay as they are
    """
    tracer = _Tracer()
    inputs = [tracer.value(each) for each in samples]
    try:
        outputs = tracer.run("", model, like(inputs))
    except dispatch.planned().NotPlanned:
        return None, True
    entries = [each._replace(step=each.step.frozen()) for each in tracer.entries] if frozen else tracer.entries
    numbers = [[each.number for each in values] for values in (inputs, as_list(outputs))]
    wiring = dispatch.planned().Wiring(entries, tracer.shapes, *numbers, samples[0].dtype, frozen)
    return dispatch.planned().Programs(wiring), isinstance(outputs, _Value)


class _Value:
    """A value of the network: its number, and an example of one item."""

    def __init__(self, number: int, sample: NDArray) -> None:
        self.number, self.sample = number, sample


class _Tracer:
    """Follows an example through the network, and notes a step for each layer."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.entries: list[Any] = []

    def run(self, name: str, layer: Any, x: Any) -> Any:
        """Run a layer or a fused step on values, as `Container.run_inference` wants it."""
        own = is_ours(type(layer))
        if own and isinstance(layer, Residual):
            parts = layer.children()
            around = self.run("shortcut", parts["shortcut"], x) if "shortcut" in parts else x
            return self.run("", Add(), (self.run("body", parts["body"], x), around))
        if own and isinstance(layer, Concat) and layer.children():
            return self.run("", Concat(), tuple(self.run(name, each, x) for name, each in layer.children().items()))
        if own and isinstance(layer, Container) and not isinstance(layer, Concat):
            return layer.run_inference(x, self.run)
        reads = as_list(x)
        if own and isinstance(layer, Dropout):
            return reads[0]
        y = layer(like([each.sample for each in reads]))
        if not isinstance(y, np.ndarray) or y.dtype != reads[0].sample.dtype or y.shape[:1] != (1,):
            raise dispatch.planned().NotPlanned
        value = self.value(y)
        step = own and _STEPS.get(type(layer), _elementwise)(layer, [each.sample.shape for each in reads])
        step = step or dispatch.planned().AsItIs(partial(with_layer_name, name, layer))
        self.entries.append(dispatch.planned().Entry(step, tuple(each.number for each in reads), value.number))
        return value

    def value(self, sample: NDArray) -> _Value:
        self.shapes.append(sample.shape[1:])
        return _Value(len(self.shapes) - 1, sample)


def _conv2d(layer: Conv2d, shapes: list[Shape], norm: BatchNorm2d | None = None, relu: bool = False) -> Any:
    bias = current(layer, "bias")

    def shift() -> tuple[Array | None, Array | None]:
        return None, bias()

    return dispatch.planned().Convolution(
        current(layer, "weight"),
        shift if norm is None else _affine(norm, bias),
        layer.window.place(shapes[0][1], shapes[0][2]),
        filters=layer.out_channels,
        channels=layer.in_channels,
        groups=layer.groups,
        relu=relu,
    )


def _affine(norm: BatchNorm1d | BatchNorm2d, bias: Callable[[], Any] = lambda: None) -> Callable[[], Any]:
    """Return the factor and the offset of a batch norm as they are at the time of the call."""
    arrays = [current(norm, key) for key in (*norm.parameter_names, *norm.buffer_names)]

    def read() -> tuple[Array, Array]:
        for array in arrays:
            array()
        return batch_norm_affine(norm.weight, norm.bias, norm.running_mean, norm.running_var, bias(), eps=norm.eps)

    return read


def _pool(layer: MaxPool2d | AvgPool2d, shapes: list[Shape]) -> Any:
    place = layer.window.place(shapes[0][1], shapes[0][2])
    if isinstance(layer, AvgPool2d) and any(place.pads):  # each mean has its own number of elements
        return None
    return dispatch.planned().Pooling(place, np.add if isinstance(layer, AvgPool2d) else np.maximum)


def _join(layer: Layer, shapes: list[Shape]) -> Any:
    same_rank = len({len(shape) for shape in shapes}) == 1
    return dispatch.planned().Join(_JOINS[type(layer)]) if same_rank else None


def _zero_pad(layer: ZeroPad2d | ZeroPadChannels, shapes: list[Shape]) -> Any:
    return dispatch.planned().ZeroPadding([before for before, _ in layer.options()["widths"]])


def _elementwise(layer: Any, shapes: list[Shape]) -> Any:
    plain = isinstance(layer, Layer) and layer.elementwise and not layer.parameter_names and len(shapes) == 1
    return dispatch.planned().Elementwise(layer) if plain else None


_STEPS: dict[type, Callable[[Any, list[Shape]], Any]] = {
    Conv2d: _conv2d,
    FusedConvolution: lambda fused, shapes: (
        _conv2d(fused.conv, shapes, fused.norm, fused.relu) if isinstance(fused.conv, Conv2d) else None
    ),
    BatchNorm1d: lambda norm, shapes: dispatch.planned().Affine(_affine(norm)),
    BatchNorm2d: lambda norm, shapes: dispatch.planned().Affine(_affine(norm)),
    MaxPool2d: _pool,
    AvgPool2d: _pool,
    GlobalAvgPool2d: lambda layer, shapes: dispatch.planned().GlobalMean(),
    ReLU: lambda layer, shapes: dispatch.planned().Rectifier(),
    ReLU6: lambda layer, shapes: dispatch.planned().Rectifier((0.0, 6.0)),
    Linear: lambda layer, shapes: (
        dispatch.planned().Dense(current(layer, "weight"), current(layer, "bias")) if len(shapes[0]) == 2 else None
    ),
    ZeroPad2d: _zero_pad,
    ZeroPadChannels: _zero_pad,
    Flatten: lambda layer, shapes: dispatch.planned().Flattening(),
    Concat: lambda layer, shapes: dispatch.planned().Concatenation(),
    **dict.fromkeys(_JOINS, _join),
}


def as_list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) else [x]


def like(values: list[Any]) -> Any:
    """As a network takes them: one by itself, several as a tuple."""
    return values[0] if len(values) == 1 else tuple(values)
