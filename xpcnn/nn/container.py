"""Layers made of layers.

Where a value goes two ways in forward (a layer used twice, an input shared by branches), the gradients that
come back are added: ∂L/∂x = Σ over the uses of x.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Self, TypeAlias

from ..backend import array_namespace
from ..errors import OptionError, ShapeError, XpcnnError
from ..ops import dispatch
from ..ops.check import check_floats, check_gradient
from ..typing import Array, Cache
from .fusion import inference_steps, training_steps
from .layer import Layer
from .summary import Summary

RunChild: TypeAlias = Callable[[str, Layer, Array], Array]


class Container(Layer):
    """Base of the containers: they own named children, and say in `run_children` how data flows through them."""

    def __init__(self, children: Mapping[str, Layer]) -> None:
        if not isinstance(children, Mapping):
            raise OptionError(type(self).__name__, "a mapping from names to layers", type(children).__name__)
        for name, child in children.items():
            if not isinstance(child, Layer):
                raise OptionError(type(self).__name__, "layers", f"{child!r} at {name}", "pass instances of Layer")
        self._children = dict(children)
        self._aliases = self._find_aliases()

    def children(self) -> dict[str, Layer]:
        return dict(self._children)

    def with_children(self, children: Mapping[str, Layer]) -> Self:
        """The same container around other children, of the same names."""
        other = copy(self)
        Container.__init__(other, children)
        return other

    @abstractmethod
    def run_children(self, x: Array, run: RunChild) -> Array:
        """The output, where `run(name, child, x)` computes each child's; tables and plain inference use it.

        `Sequential` has its own inference, in which some children run as one.
        """

    def __call__(self, x: Array) -> Array:
        return self.run_children(x, with_layer_name)

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

    def backward_child(
        self, name: str, dy: Array, cache: Cache, grads: dict[str, Array], input_grad: bool
    ) -> Array | None:
        """The child's dx; its parameters' gradients are added to `grads` under this container's names for them."""
        child = self._children[name]
        result = with_layer_name(name, _run_backward, child, dy, cache, input_grad)
        returns_both = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)
        if not returns_both or (input_grad and result[0] is None):
            expected = f"{type(child).__name__}.backward to return (dx, {{parameter name: gradient}})"
            raise OptionError(f"layer {name}", expected, "no dx" if returns_both else type(result).__name__)
        dx: Array | None
        dx, own = result
        for key, gradient in own.items():
            full = f"{name}.{key}"
            full = self._aliases.get(full, full)
            grads[full] = grads[full] + gradient if full in grads else gradient
        return dx

    def _find_aliases(self) -> dict[str, str]:
        """For parameters of layers that stand here more than once: each further dotted name → the first one."""
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
        rows = "".join(f"\n  ({name}) " + repr(each).replace("\n", "\n  ") for name, each in self._children.items())
        return f"{type(self).__name__}({rows}\n)" if rows else f"{type(self).__name__}()"


def with_layer_name(name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The call's result; an error on the way learns under which name it happened."""
    try:
        return call(*args, **options)
    except XpcnnError as error:
        if not error.who.startswith("XPCNN_"):  # a wrong setting is no layer's
            error.where.insert(0, name)
        raise


def _run_backward(layer: Layer, dy: Array, cache: Cache, input_grad: bool) -> Any:
    """What the layer's backward returns; the mistakes that a layer of one's own may make in it are named."""
    try:
        return layer.backward(dy, cache, input_grad=input_grad)
    except TypeError as error:
        who = type(layer).__name__
        if "input_grad" not in inspect.signature(layer.backward).parameters:
            raise OptionError(who, "backward(dy, cache, *, input_grad=True)", "no argument input_grad") from error
        if cache is None:
            raise OptionError(f"{who} backward", "the cache that forward returned", "None") from error
        raise


class Sequential(Container):
    """One layer after the other: y = fₖ(… f₂(f₁(x))).

    With `input_grad=False`, backward ends at the first layer that has parameters.

    Parameters
        layers : any number; the same layer may stand in several places, and its gradients are then added

    >>> from xpcnn.nn import Linear, ReLU
    >>> list(Sequential(Linear(4, 8), ReLU(), Linear(8, 2)).parameters())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__({str(i): layer for i, layer in enumerate(layers)})
        self._find_steps()

    def with_children(self, children: Mapping[str, Layer]) -> Self:
        other = super().with_children(children)
        other._find_steps()
        return other

    def _find_steps(self) -> None:
        self._training = training_steps(self._children)
        trained = (i for i, (name, _) in enumerate(self._training) if self._children[name].parameters())
        self._first_trained = next(trained, len(self._training))
        self._inference = inference_steps(self._children)

    def __len__(self) -> int:
        return len(self._children)

    def __getitem__(self, index: int) -> Layer:
        return list(self._children.values())[index]

    def run_children(self, x: Array, run: RunChild) -> Array:
        for name, child in self._children.items():
            x = run(name, child, x)
        return x

    def __call__(self, x: Array) -> Array:
        for name, step in self._inference:
            x = with_layer_name(name, step, x)
        return x

    def forward(self, x: Array) -> tuple[Array, Cache]:
        caches = []
        for name, options in self._training:
            x, cache = self.forward_child(name, x, **options)
            caches.append(cache)
        return x, caches

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        grads: dict[str, Array] = {}
        dx: Array | None = dy
        for i, (name, _) in reversed(list(enumerate(self._training))):
            if not input_grad and i < self._first_trained:
                return None, grads
            assert dx is not None
            dx = self.backward_child(name, dx, cache[i], grads, input_grad or i > self._first_trained)
        return dx if input_grad else None, grads


class Residual(Container):
    """A layer with a way around it: y = body(x) + shortcut(x).

    Parameters
        body : a layer
        shortcut : a layer that brings x to the body's output shape, or None for x itself
    Source
        K. He et al., Deep residual learning for image recognition, 2015, equations 1, 2
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__({"body": body} | ({} if shortcut is None else {"shortcut": shortcut}))

    def run_children(self, x: Array, run: RunChild) -> Array:
        around = run("shortcut", self._children["shortcut"], x) if "shortcut" in self._children else x
        return self._add(run("body", self._children["body"], x), around)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        y, body_cache = self.forward_child("body", x)
        around, shortcut_cache = self.forward_child("shortcut", x) if "shortcut" in self._children else (x, None)
        return self._add(y, around), (body_cache, shortcut_cache)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        body_cache, shortcut_cache = cache
        grads: dict[str, Array] = {}
        dx = self.backward_child("body", dy, body_cache, grads, input_grad)
        around: Array | None = dy
        if "shortcut" in self._children:
            around = self.backward_child("shortcut", dy, shortcut_cache, grads, input_grad)
        if dx is None or around is None or not input_grad:
            return None, grads
        return dispatch.output("add", dx, around), grads

    @staticmethod
    def _add(y: Array, around: Array) -> Array:
        if tuple(y.shape) != tuple(around.shape):
            raise ShapeError(
                "Residual",
                f"a shortcut with the body's output {tuple(y.shape)}",
                str(tuple(around.shape)),
                "pass a shortcut such as Conv2d(cin, cout, 1, stride=s)",
            )
        return dispatch.output("add", y, around)


class Concat(Container):
    """Branches side by side: y = [branch₁(x), branch₂(x), …] along the last axis (the channels).

    Parameters
        branches : layers whose outputs differ in the last axis at most
    """

    def __init__(self, *branches: Layer) -> None:
        if not branches:
            raise OptionError("Concat", "at least one branch", "none")
        super().__init__({str(i): branch for i, branch in enumerate(branches)})

    def run_children(self, x: Array, run: RunChild) -> Array:
        return self._join([run(name, child, x) for name, child in self._children.items()])

    def forward(self, x: Array) -> tuple[Array, Cache]:
        ys, caches = zip(*(self.forward_child(name, x) for name in self._children), strict=True)
        return self._join(list(ys)), (caches, [y.shape for y in ys])

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        caches, shapes = cache
        check_floats("Concat backward", dy)
        check_gradient("Concat", dy, (*shapes[0][:-1], sum(shape[-1] for shape in shapes)))
        grads: dict[str, Array] = {}
        total: Array | None = None
        start = 0
        for name, branch_cache, shape in zip(self._children, caches, shapes, strict=True):
            part = dy[..., start : start + shape[-1]]
            start += shape[-1]
            dx = self.backward_child(name, part, branch_cache, grads, input_grad)
            if dx is not None:
                total = dx if total is None else dispatch.output("add", total, dx)
        return total if input_grad else None, grads

    @staticmethod
    def _join(ys: list[Any]) -> Array:
        if len({tuple(y.shape[:-1]) for y in ys}) > 1:
            raise ShapeError(
                "Concat", "branches that differ in their channels only", ", ".join(str(tuple(y.shape)) for y in ys)
            )
        joined: Array = array_namespace(*ys).concat(ys, axis=-1)
        return joined
