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

How an operation is planned is said in `xpcnn.kernels.planned`. A layer that has no plan there runs as it is.
"""

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
from .display import headline
from .dropout import Dropout
from .fusion import FusedConvolution
from .hard_activation import ReLU6
from .join import Add, Maximum, Multiply, Subtract
from .layer import Layer, check_layer
from .linear import Linear
from .norm import BatchNorm1d, BatchNorm2d
from .own_layers import is_ours
from .part_chains import Chains
from .planned_layers import PlannedLayers, current
from .pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .shape import Flatten, ZeroPad2d, ZeroPadChannels
from .summary import as_input_shape

MANY = 8  # items; for so many, the network's own operations are faster
_JOINS: dict[type, np.ufunc] = {Add: np.add, Subtract: np.subtract, Multiply: np.multiply, Maximum: np.maximum}


class Plan:
    """A network's inference for items of one shape; `nn.plan` makes it.

    Its call returns what `model(x)` returns, within rounding. It reads weights and running statistics at each call, so
    it never uses old ones. Several threads may call it: each then works in memory of its own.

    >>> from xpcnn.nn import Linear, ReLU, Sequential
    >>> plan(Sequential(Linear(4, 2), ReLU()), (4,))
    Plan(Sequential of 2 layers, 10 parameters; input (4,))
    """

    @np.errstate(all="ignore")  # of an example of zeros
    def __init__(self, model: Layer, input_shape: Any) -> None:
        check_layer("plan", model)
        self.model, self.input_shape = model, as_input_shape(input_shape, "plan")
        self._samples = _as_list(model.zeros(self.input_shape))
        model(_like(self._samples))  # its errors name the layer
        layers = PlannedLayers(model)
        programs: tuple[Any, bool] = None, True
        if all(isinstance(each, np.ndarray) for each in self._samples):
            programs = _Tracer().programs(model, self._samples)
        self._chains, self._large = Chains(model, infers=True), dict[Any, Any]()
        self._programs, self._single = programs  # for few items
        self._layers = layers  # the last: another thread that finds them unchanged has their programs

    def __repr__(self) -> str:
        return f"Plan({headline(self.model)}; input {self.input_shape})"

    def __call__(self, x: Any) -> Any:
        """The network's output.

        Parameters
            x : as the network takes it. A plan is faster for fewer than 8 items of its shape, in the network's dtype,
                and without batch norm for 16 or more; anything else is passed to the network
        Raises
            ShapeError : a weight was replaced by one of another shape or dtype;  and as the network
        """
        arrays = _as_list(x)
        if dispatch.forced() is not None or not self._holds(arrays):
            return self._in_parts(x)
        if self._layers.have_own_methods():
            return self.model(x)
        if self._layers.changed():
            Plan.__init__(self, self.model, self.input_shape)
            return self(x)
        programs = self._programs  # another thread may plan anew meanwhile
        if programs is None:
            return self.model(x)
        try:
            outputs = programs(arrays)
        except dispatch.planned().NotPlanned:
            self._programs = None
            return self.model(x)
        return outputs[0] if self._single else tuple(outputs)

    def _in_parts(self, x: Any) -> Any:
        """The output of a large batch: in parts of it, or by the network itself."""
        chain = self._chains.of(x)
        if chain is None:
            return self.model(x)
        large = self._large.get(chain)
        if large is None:
            large = dispatch.parts().Inference(chain)
            self._large = {chain: large}  # those of other weights, and of items of other shapes, go
        with dispatch.one_blas_thread():
            return large(x)

    def _holds(self, arrays: list[Any]) -> bool:
        """True if these arrays are of the shapes and dtypes that were planned."""
        shapes = [getattr(array, "shape", ()) for array in arrays]
        return (
            len(arrays) == len(self._samples)
            and 0 < (n := shapes[0][0] if shapes[0] else 0) < MANY
            and all(
                type(array) is np.ndarray and shape == (n, *sample.shape[1:]) and array.dtype == sample.dtype
                for array, shape, sample in zip(arrays, shapes, self._samples, strict=True)
            )
        )

    def __reduce__(self) -> Any:
        return Plan, (self.model, self.input_shape)


def plan(model: Layer, input_shape: Any) -> Plan:
    """Plan a network's inference for items of one shape.

    Parameters
        model : any network
        input_shape : of one item, such as (28, 28, 1); of several inputs, a sequence of shapes
    Returns
        Plan : a function of x that returns what model(x) returns. On other arrays than NumPy's, and where an
            implementation is forced, it calls the network
    Raises
        OptionError, ShapeError, DTypeError : as the network's inference

    >>> import numpy as np
    >>> from xpcnn.nn import Linear
    >>> layer = Linear(4, 2, rng=0)
    >>> x = np.ones((1, 4), np.float32)
    >>> bool(np.allclose(plan(layer, (4,))(x), layer(x)))
    True
    """
    return Plan(model, input_shape)


class _Value:
    """A value of the network: its number, and an example of one item."""

    def __init__(self, number: int, sample: NDArray) -> None:
        self.number, self.sample = number, sample


class _Tracer:
    """Follows an example through the network, and notes a step for each layer."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.entries: list[Any] = []

    def programs(self, model: Layer, samples: list[NDArray]) -> tuple[Any, bool]:
        """The programs, and whether there is one output; None if they cannot be planned."""
        inputs = [self._value(each) for each in samples]
        try:
            outputs = self.run("", model, _like(inputs))
        except dispatch.planned().NotPlanned:
            return None, True
        single = isinstance(outputs, _Value)
        wiring = dispatch.planned().Wiring(
            self.entries,
            self.shapes,
            [each.number for each in inputs],
            [each.number for each in _as_list(outputs)],
            samples[0].dtype,
        )
        return dispatch.planned().Programs(wiring), single

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
        reads = _as_list(x)
        if own and isinstance(layer, Dropout):
            return reads[0]
        y = layer(_like([each.sample for each in reads]))
        if not isinstance(y, np.ndarray) or y.dtype != reads[0].sample.dtype or y.shape[:1] != (1,):
            raise dispatch.planned().NotPlanned
        value = self._value(y)
        step = own and _STEPS.get(type(layer), _elementwise)(layer, [each.sample.shape for each in reads])
        step = step or dispatch.planned().AsItIs(partial(with_layer_name, name, layer))
        self.entries.append(dispatch.planned().Entry(step, tuple(each.number for each in reads), value.number))
        return value

    def _value(self, sample: NDArray) -> _Value:
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


def _as_list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) else [x]


def _like(values: list[Any]) -> Any:
    """As a network takes them: one by itself, several as a tuple."""
    return values[0] if len(values) == 1 else tuple(values)
