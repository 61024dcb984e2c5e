"""The base class of layers made of layers.

If forward uses a value twice (a layer used twice, an input shared by branches), its gradients are added:
∂L/∂x = Σ over the uses of x.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Self, TypeAlias

from ..errors import OptionError, XpcnnError
from ..settings import once
from ..typing import Array, Cache
from .display import written
from .frozen_part import Divided
from .layer import Layer
from .summary import Summary

RunChild: TypeAlias = Callable[[str, Any, Array], Array]


class Container(Layer):
    """Base class of containers: they own named children, and define in `run_children` how data flows through them.

    >>> from xpcnn.nn import Linear, ReLU, Sequential
    >>> list(Sequential(Linear(2, 3), ReLU()).children())
    ['0', '1']
    >>> list(Sequential(Linear(2, 3), ReLU()).parameters())
    ['0.weight', '0.bias']
    """

    takes_relu = False  # whether forward, with `relu=True`, also applies the ReLU after this layer

    def __init__(self, children: Mapping[str, Layer]) -> None:
        if not isinstance(children, Mapping):
            raise OptionError(type(self).__name__, "a mapping from names to layers", type(children).__name__)
        for name, child in children.items():
            if not isinstance(child, Layer):
                raise OptionError(type(self).__name__, "layers", f"{child!r} at {name}", "pass instances of Layer")
        self._children = dict(children)
        self._aliases = self._find_aliases()
        self._trained = {name for name, child in self._children.items() if any(child.named_arrays(buffers=False))}
        self.divided: Divided | None = None  # if it begins with frozen layers, and others are trained
        self._find_steps()

    def children(self) -> dict[str, Layer]:
        return dict(self._children)

    @classmethod
    def from_children(cls, children: Mapping[str, Layer], **config: Any) -> Self:
        """Build the container from these children and from the `config` of another one."""
        in_order = list(children) == [str(i) for i in range(len(children))]
        make: Any = cls
        made: Self = make(*children.values(), **config) if in_order else make(**children, **config)
        return made

    def with_children(self, children: Mapping[str, Layer]) -> Self:
        """The same container with other children of the same names."""
        other = copy(self)
        Container.__init__(other, children)
        return other

    def _find_steps(self) -> None:
        """Prepare what the order of the children allows, such as fusion; called whenever there are new ones."""

    @abstractmethod
    def run_children(self, x: Array, run: RunChild) -> Array:
        """The output; `run(name, child, x)` computes that of each child."""

    def run_inference(self, x: Array, run: RunChild) -> Array:
        """The same in inference, where some children may be fused to one step; `run(name, step, x)`."""
        return self.run_children(x, run)

    def __call__(self, x: Array) -> Array:
        with once():
            if self.divided is not None and self.divided.output is not self.divided.frozen:  # it knows some outputs
                return self.divided.rest(self.divided.output(x))
            return self.run_inference(x, with_layer_name)

    def summarize(self, x: Array, summary: Summary, name: str = "", depth: int = 0) -> Array:
        row = summary.begin(name, type(self).__name__, depth)
        y = self.run_children(
            x, lambda name, child, x: with_layer_name(name, child.summarize, x, summary, name, depth + 1)
        )
        summary.end(row, x, y, trained=bool(self.parameters()))
        return y

    def forward_child(self, name: str, x: Array, **options: Any) -> tuple[Array, Cache]:
        child = self._children[name]
        result = with_layer_name(name, child.forward, x, **options)
        if not (isinstance(result, tuple) and len(result) == 2):
            expected = f"{type(child).__name__}.forward to return (y, cache)"
            raise OptionError(f"layer {name}", expected, type(result).__name__)
        return result

    def run_part(self, name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Run a part of a child; an error tells the name."""
        return with_layer_name(name, call, *args, **options)

    def backward_child(
        self,
        name: str,
        dy: Array,
        cache: Cache,
        grads: dict[str, Array],
        input_grad: bool,
        part: Layer | None = None,
        run: Callable[[Any, Array, Cache, bool], Any] | None = None,
    ) -> Any:
        """Return the child's dx; add its trained parameters' gradients to `grads`, under the container's names.

        Of a `part` of a child, with its name here, likewise; `run` is what runs its backward, if that is another one.
        """
        child = self._children[name] if part is None else part
        if part is None and not input_grad and name not in self._trained:
            return None
        result = with_layer_name(name, run or _run_backward, child, dy, cache, input_grad)
        returns_both = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)
        if not returns_both or (input_grad and result[0] is None):
            expected = f"{type(child).__name__}.backward to return (dx, {{parameter name: gradient}})"
            raise OptionError(f"layer {name}", expected, "no dx" if returns_both else type(result).__name__)
        dx, own = result
        frozen = child.frozen
        for key, gradient in own.items():
            if key in frozen:
                continue
            full = f"{name}.{key}"
            full = self._aliases.get(full, full)
            grads[full] = grads[full] + gradient if full in grads else gradient
        return dx

    def _find_aliases(self) -> dict[str, str]:
        """For parameters of layers that occur more than once: each further dotted name → the first one."""
        first: dict[tuple[int, str], str] = {}
        aliases: dict[str, str] = {}

        def walk(prefix: str, layer: Layer) -> None:
            for key in layer.parameter_names:
                name = f"{prefix}.{key}"
                original = first.setdefault((id(layer), key), name)
                if original != name:
                    aliases[name] = original
            for child_name, child in layer.children().items():
                walk(f"{prefix}.{child_name}", child)

        for name, child in self._children.items():
            walk(name, child)
        return aliases

    def __repr__(self) -> str:
        return written(f"{type(self).__name__}(", {f"({name})": each for name, each in self._children.items()})


def with_layer_name(name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return the call's result; add the layer's name to an error that it raises."""
    try:
        return call(*args, **options)
    except XpcnnError as error:
        if not error.who.startswith("XPCNN_"):  # an invalid setting belongs to no layer
            error.where.insert(0, name)
        raise


def _run_backward(layer: Layer, dy: Array, cache: Cache, input_grad: bool) -> Any:
    """Run the layer's backward and check the result: a user's own layer may get it wrong."""
    try:
        return layer.backward(dy, cache, input_grad=input_grad)
    except TypeError as error:
        who = type(layer).__name__
        if "input_grad" not in inspect.signature(layer.backward).parameters:
            raise OptionError(who, "backward(dy, cache, *, input_grad=True)", "no argument input_grad") from error
        if cache is None:
            raise OptionError(f"{who} backward", "the cache that forward returned", "None") from error
        raise
