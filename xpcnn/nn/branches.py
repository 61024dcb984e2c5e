"""Branches with the same input, whose outputs are added or concatenated."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError, ShapeError
from ..ops import dispatch, join
from ..typing import Array, Cache
from .container import Container, RunChild
from .layer import Layer
from .sequential import Sequential


class Residual(Container):
    """A layer with a shortcut around it: y = body(x) + shortcut(x).

    Parameters
        body : a layer
        shortcut : a layer that maps x to the body's output shape, or None for x itself
    Source
        K. He et al., Deep residual learning for image recognition, 2015, equations 1, 2

    >>> import numpy as np
    >>> from xpcnn.nn import ReLU
    >>> Residual(ReLU())(np.array([[-1.0, 2.0]]))
    array([[-1.,  4.]])
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__({"body": body} | ({} if shortcut is None else {"shortcut": shortcut}))

    def run_children(self, x: Array, run: RunChild) -> Array:
        around = run("shortcut", self._children["shortcut"], x) if "shortcut" in self._children else x
        return self._add(run("body", self._children["body"], x), around)

    def _find_steps(self) -> None:
        body, shortcut = self._children["body"], self._children.get("shortcut")
        self._end = body.before_norm() if type(self) is Residual and isinstance(body, Sequential) else None
        if self._end and shortcut and any(each is self._end[2] for _, each in shortcut.named_layers()):
            self._end = None  # the order of its two calls shows in the running statistics
        self.takes_relu = self._end is not None

    def forward(self, x: Array, *, relu: bool = False) -> tuple[Array, Cache]:
        """The forward of every layer; where it `takes_relu`, `relu=True` also applies the ReLU after this layer."""
        end = self._end if relu or dispatch.sums_in_norm(x) else None
        if relu and end is None:
            raise OptionError("Residual", "a Sequential that ends in batch norm, for relu=True", "another body")
        y, body_cache = self.forward_child("body", x) if end is None else self.run_part("body", end[0].forward, x)
        around, shortcut_cache = self.forward_child("shortcut", x) if "shortcut" in self._children else (x, None)
        if end is None:
            return self._add(y, around), (body_cache, None, shortcut_cache)
        _, name, norm = end
        if tuple(y.shape) != tuple(around.shape):
            self._add(self.run_part(f"body.{name}", norm.forward, y)[0], around)  # raises
        y, norm_cache = self.run_part(f"body.{name}", norm.forward_sum, y, around, relu=relu)
        return y, (body_cache, norm_cache, shortcut_cache)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        body_cache, norm_cache, shortcut_cache = cache
        grads: dict[str, Array] = {}
        dx: Array | None
        around: Array | None = dy
        if norm_cache is None or self._end is None:
            dx = self.backward_child("body", dy, body_cache, grads, input_grad)
        else:
            front, name, norm = self._end
            asked = input_grad or bool(front.parameters())
            both = self.backward_child(f"body.{name}", dy, norm_cache, grads, asked, norm, type(norm).backward_sum)
            dx, around = both
            if asked:
                dx = self.backward_child("body", both[0], body_cache, grads, input_grad, front)
        if "shortcut" in self._children:
            around = self.backward_child("shortcut", around, shortcut_cache, grads, input_grad)  # type: ignore[arg-type]
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
    """Parallel branches with concatenated outputs: y = [branch₁(x), branch₂(x), …] along the last axis (the channels).

    Without branches it is a join for a `Graph`: its input is a tuple, and y = [x₁, x₂, …].

    Parameters
        branches : layers whose outputs may differ only in the last axis

    >>> import numpy as np
    >>> from xpcnn.nn import Linear
    >>> Concat(Linear(3, 2), Linear(3, 4))(np.ones((1, 3), np.float32)).shape
    (1, 6)
    """

    def __init__(self, *branches: Layer) -> None:
        super().__init__({str(i): branch for i, branch in enumerate(branches)})
        self.arity = (1, 1) if branches else (2, None)

    def run_children(self, x: Any, run: RunChild) -> Array:
        return join.concat_forward([run(name, child, x) for name, child in self._children.items()] or x)[0]

    def forward(self, x: Any) -> tuple[Array, Cache]:
        if not self._children:
            y, cache = join.concat_forward(x)
            return y, ((), cache)
        ys, caches = zip(*(self.forward_child(name, x) for name in self._children), strict=True)
        y, cache = join.concat_forward(ys)
        return y, (caches, cache)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Any, dict[str, Array]]:
        caches, joined = cache
        parts = join.concat_backward(dy, joined)
        if not self._children:
            return parts if input_grad else None, {}
        grads: dict[str, Array] = {}
        total: Array | None = None
        for name, part, branch_cache in zip(self._children, parts, caches, strict=True):
            dx = self.backward_child(name, part, branch_cache, grads, input_grad)
            if dx is not None:
                total = dx if total is None else dispatch.output("add", total, dx)
        return total if input_grad else None, grads
