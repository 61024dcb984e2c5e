"""The base class of layers: parameters, and a forward/backward pair.

    y, cache  = layer.forward(x)            training: everything backward needs is in the cache
    dx, grads = layer.backward(dy, cache)   ∂L/∂x and {parameter name: ∂L/∂parameter}
    y         = layer(x)                    inference: computes and remembers nothing

Your own layer names its parameters and defines the pair; it inherits everything else:

    >>> from xpcnn import asarray, gradcheck
    >>> class Scale(Layer):
    ...     parameter_names = ("factor",)
    ...
    ...     def __init__(self):
    ...         self.factor = asarray([1.0])
    ...
    ...     def forward(self, x):
    ...         return x * self.factor, x
    ...
    ...     def backward(self, dy, cache, *, input_grad=True):
    ...         x = cache
    ...         xp = array_namespace(x)
    ...         return dy * self.factor, {"factor": xp.reshape(xp.sum(dy * x), (1,))}
    >>> gradcheck(Scale(), [[1.0, 2.0], [3.0, 4.0]]).passed
    True

Layers in its attributes, or in attributes that are lists or tuples, are its children. A layer made of layers should
derive from `Container`, which names and adds up their gradients.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np

from ..backend import array_namespace, asarray, astype, checked_dtype
from ..errors import FormatError, OptionError, ShapeError
from ..habits import LAYER, Familiar
from ..state import copy_into
from ..table import Table
from ..typing import Array, Cache, Shape
from . import display
from .summary import Summary, as_input_shape, item_shape, speaking_of

_MOST_NUMBERS = 2**31 - 1  # in an item of zeros: 8 GiB in float32


class Layer(Familiar, ABC):
    """Base class of all layers. See the module's docstring for the contract.

    >>> import numpy as np
    >>> from xpcnn import gradcheck
    >>> class Double(Layer):
    ...     def forward(self, x):
    ...         return 2 * x, None
    ...     def backward(self, dy, cache, *, input_grad=True):
    ...         return 2 * dy, {}
    >>> gradcheck(Double(), np.array([[1.0, -2.0]])).passed
    True
    """

    __slots__ = ("__dict__", "__weakref__", "_frozen", "_infers")  # two layers may have one __dict__: `in_inference`
    _frozen: frozenset[str]
    _infers: bool

    parameter_names: ClassVar[tuple[str, ...]] = ()  # attributes that the optimizer writes
    buffer_names: ClassVar[tuple[str, ...]] = ()  # attributes that are saved but not trained
    config_names: ClassVar[tuple[str, ...]] = ()  # attributes that are the constructor's arguments
    arity: tuple[int, int | None] = (1, 1)  # fewest and most inputs; several come as a tuple, None is any number
    unsaid: ClassVar[Mapping[str, Any]] = {}  # values of arguments that files of older versions do not have
    _elsewhere = LAYER
    # Properties of inference for code that rearranges numbers, such as `xpcnn.exchange`. A subclass that computes
    # something else sets them again.
    elementwise: ClassVar[bool] = False  # the same function of each number, independent of its position
    observed: ClassVar[bool] = False  # whether it runs through hooks
    keeps_columns: ClassVar[bool] = False  # permuting the columns of x (N, D) and the parameters (D,) permutes y's

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if {"forward", "__call__", "pair"} & vars(cls).keys():
            cls.elementwise = vars(cls).get("elementwise", "formula" in vars(cls))  # of one element
            cls.keeps_columns = vars(cls).get("keeps_columns", False)

    @property
    def frozen(self) -> frozenset[str]:
        """The names of the parameters within this layer that are not trained, see `freeze`; none in a container."""
        return getattr(self, "_frozen", frozenset())

    @property
    def infers(self) -> bool:
        """Whether forward and backward are those of inference."""
        return getattr(self, "_infers", False)

    @abstractmethod
    def forward(self, x: Array) -> tuple[Array, Cache]:
        """The output, and a cache for the `backward` of this call."""

    @abstractmethod
    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """∂L/∂x and the parameters' gradients. If `input_grad` is False, ∂L/∂x may be None, which saves work."""

    def __call__(self, x: Array) -> Array:
        """The output in inference."""
        return self.forward(x)[0]

    def children(self) -> dict[str, Layer]:
        """The layers within this one, by the first part of their parameters' dotted names."""
        found: dict[str, Layer] = {}
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                found[name] = value
            elif isinstance(value, (list, tuple)):
                found |= {f"{name}.{i}": each for i, each in enumerate(value) if isinstance(each, Layer)}
        return found

    def named_layers(self) -> Iterator[tuple[str, Layer]]:
        """This layer ("") and all layers within it, each once, under its first dotted name."""
        seen: set[int] = set()

        def walk(prefix: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
            if id(layer) in seen:
                return
            seen.add(id(layer))
            yield prefix, layer
            for name, child in layer.children().items():
                yield from walk(dotted(prefix, name), child)

        return walk("", self)

    def parameters(self) -> dict[str, Array]:
        """The trained arrays themselves, by dotted name; a shared one is included once, a frozen one is not."""
        return {name: getattr(layer, key) for name, layer, key in self.named_arrays(buffers=False)}

    def state_dict(self) -> dict[str, Array]:
        """Parameters and buffers (such as batch norm's running statistics), by dotted name; no copies."""
        return {name: getattr(layer, key) for name, layer, key in self.named_arrays(buffers=True)}

    def generators(self) -> dict[str, np.random.Generator]:
        """The generators that layers draw from in training, by the layers' dotted names."""
        found = ((name, getattr(layer, "rng", None)) for name, layer in self.named_layers())
        return {name: rng for name, rng in found if isinstance(rng, np.random.Generator)}

    def load_state_dict(self, state: Mapping[str, Any], *, strict: bool = True) -> Self:
        """Copy arrays of any backend into this layer's own.

        Parameters
            strict : True refuses missing and unknown names, False ignores both
        Raises
            FormatError : names or shapes do not match; in this case nothing is changed
        """
        own = self.state_dict()
        if strict and own.keys() != state.keys():
            got = f"missing {sorted(own.keys() - state.keys())}, unknown {sorted(state.keys() - own.keys())}"
            remedy = "build the same architecture, or pass strict=False"
            raise FormatError("load_state_dict", "this network's names", got, remedy)
        copy_into({name: array for name, array in own.items() if name in state}, state, "load_state_dict")
        return self

    def astype(self, dtype: Any) -> Self:
        """Convert all parameters and buffers to "float32" or "float64"; create the optimizer afterwards.

        If the dtype changes they are new arrays, which an existing optimizer does not know.

        Raises
            DTypeError : another dtype
        """
        dtype = checked_dtype(dtype, "Layer.astype", ("float32", "float64"))
        for _, layer, key in list(self.named_arrays(buffers=True)):
            setattr(layer, key, astype(getattr(layer, key), dtype))
        return self

    def to_backend(self) -> Self:
        """Move all parameters and buffers to the current backend; create the optimizer afterwards."""
        for _, layer, key in list(self.named_arrays(buffers=True)):
            setattr(layer, key, asarray(getattr(layer, key)))
        return self

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; for an optional parameter, True if it exists."""
        return {
            name: getattr(self, name) is not None if name in self.parameter_names else getattr(self, name)
            for name in self.config_names
        }

    def composed(self) -> Layer | None:
        """Layers of `xpcnn.nn` that compute in inference what this layer of your own does; None if there are none.

        `export_onnx` writes them, each time with the current arrays.
        """
        return None

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of one output item for one input item, both without the batch axis; runs on zeros.

        Of several inputs or outputs it is a tuple of shapes.
        """
        return item_shape(self(self.zeros(input_shape)))

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        """Multiply-adds of forward for one item (0 if too few to count)."""
        return 0

    def summary(self, input_shape: Shape) -> Table:
        """A table of all layers: output, parameters, multiply-adds forward and backward, memory.

        Parameters
            input_shape : of one item, without the batch axis, such as (28, 28, 1)
        Returns
            a text: one row each time a layer runs, in inference on zeros; a container's layers are indented, and the
                parameters of a layer that has run before are in brackets
        Raises
            OptionError : input_shape is no sequence of integers ≥ 1
            ShapeError : the network does not accept such items

        >>> from xpcnn.nn import Conv2d, Sequential
        >>> print(Sequential(Conv2d(1, 6, 5), Conv2d(6, 6, 24)).summary((28, 28, 1)))
        Layer       Output       Parameters  Forward  Backward  Output KiB
        ------------------------------------------------------------------
        Sequential  (1, 1, 6)
          0 Conv2d  (24, 24, 6)         156   86,400    86,400        13.5
          1 Conv2d  (1, 1, 6)        20,742   20,736    41,472         0.0
        ------------------------------------------------------------------
        Total                        20,898  107,136   127,872        13.5
        multiply-adds forward + backward: 235,008; memory of parameters: 81.6 KiB, of outputs: 13.5 KiB an item
        """
        found = Summary()
        with speaking_of(input_shape):
            self.summarize(self.zeros(as_input_shape(input_shape)), found)
        return found.table(*self._numbers())

    def summarize(self, x: Array, summary: Summary, name: str = "", depth: int = 0) -> Array:
        """Add this layer's row to the summary; return its output in inference."""
        row = summary.begin(name, type(self).__name__, depth)
        y = self(x)
        parameters, trained = self._numbers()
        summary.count(row, id(self), x, y, parameters, trained, self.multiply_adds(item_shape(x), item_shape(y)))
        summary.end(row, x, y, trained=bool(trained))
        return y

    def _numbers(self) -> tuple[list[Array], int]:
        """All parameters, and how many numbers in them are trained."""
        every = [getattr(layer, key) for _, layer, key in self.named_arrays(buffers=False, frozen=True)]
        return every, sum(math.prod(each.shape) for each in self.parameters().values())

    def named_arrays(self, *, buffers: bool, frozen: bool = False) -> Iterator[tuple[str, Layer, str]]:
        """(dotted name, layer, attribute) of every trained parameter; with `frozen` of the frozen ones, too.

        With `buffers` all arrays are there.
        """
        layers = list(self.named_layers())
        left_out = {dotted(name, key) for name, layer in layers for key in layer.frozen if not (buffers or frozen)}
        for prefix, layer in layers:
            for key in layer.parameter_names + (layer.buffer_names if buffers else ()):
                if getattr(layer, key) is not None and dotted(prefix, key) not in left_out:
                    yield dotted(prefix, key), layer, key

    def zeros(self, input_shape: Shape) -> Array:
        """A batch of one item of zeros, in the dtype and on the device of this layer's arrays.

        Raises
            ShapeError : it would have more than 2³¹ − 1 numbers, or there are several shapes for one input
        """
        if not all(isinstance(size, Integral) for size in input_shape):
            raise ShapeError(type(self).__name__, "the shape of its one input", str(tuple(input_shape)))
        if math.prod(input_shape) > _MOST_NUMBERS:
            limit = f"one item of at most {_MOST_NUMBERS} numbers"
            raise ShapeError(type(self).__name__, limit, str(tuple(input_shape)))
        like = next(iter(self.state_dict().values()), asarray([0.0]))
        xp = array_namespace(like)
        zeros: Array = xp.zeros((1, *input_shape), dtype=like.dtype, device=like.device)
        return zeros

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config().items())
        return f"{type(self).__name__}({arguments})"

    def _repr_html_(self) -> str:
        return display.network(self)


def dotted(name: str, key: str) -> str:
    """The dotted name of a part or an array of the named layer; "" is the network, or the layer, itself."""
    return f"{name}.{key}" if name and key else name or key


def check_layer(who: str, model: Layer) -> None:
    """Raise an error unless `model` is a network.

    Raises
        OptionError : it is something else, such as the name of a file
    """
    if not isinstance(model, Layer):
        remedy = "the network comes first; that of a file is load_model(path).model"
        raise OptionError(who, "a network", type(model).__name__, remedy)
