"""A chain of layers."""

from __future__ import annotations

from itertools import takewhile

from ..ops import dispatch
from ..ops.check import check_cache
from ..settings import once
from ..typing import Array, Cache
from .container import Container, RunChild
from .frozen_part import Divided, can_stay, has_frozen
from .fusion import inference_steps, is_norm, training_steps
from .layer import Layer
from .norm import BatchNorm1d, BatchNorm2d


class Sequential(Container):
    """One layer after another: y = fₖ(… f₂(f₁(x))).

    With `input_grad=False`, backward stops at the first layer that is trained.

    Parameters
        layers : any number; the same layer may occur several times, and its gradients are then added

    >>> from xpcnn.nn import Linear, ReLU
    >>> list(Sequential(Linear(4, 8), ReLU(), Linear(8, 2)).parameters())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__({str(i): layer for i, layer in enumerate(layers)})

    def _find_steps(self) -> None:
        self._training = training_steps(self._children)
        self._with_sums = training_steps(self._children, sums=True)  # fewer, or the same
        self._first_trained = {}  # by the number of steps
        for steps in (self._training, self._with_sums):
            trained = (i for i, (name, _) in enumerate(steps) if name in self._trained)
            self._first_trained[len(steps)] = next(trained, len(steps))
        self._inference = inference_steps(self._children)
        children = list(self._children.items())
        first = len(list(takewhile(lambda item: can_stay(item[1]), children))) if has_frozen(self) else 0
        if 0 < first < len(children):
            parts = (self.with_children(dict(part)) for part in (children[:first], children[first:]))
            self.divided = Divided(*parts)

    def __len__(self) -> int:
        return len(self._children)

    def __getitem__(self, index: int) -> Layer:
        return list(self._children.values())[index]

    def before_norm(self) -> tuple[Sequential, str, BatchNorm1d | BatchNorm2d] | None:
        """All layers but the last, and its name and itself, if that is a batch norm in training."""
        if type(self) is not Sequential or self.divided is not None or not self._training:
            return None
        name, options = self._training[-1]
        norm = self._children[name]
        if options or name != [*self._children][-1] or not is_norm(norm):
            return None
        front = self.with_children({key: child for key, child in self._children.items() if key != name})
        return front, name, norm

    def run_children(self, x: Array, run: RunChild) -> Array:
        for name, child in self._children.items():
            x = run(name, child, x)
        return x

    def run_inference(self, x: Array, run: RunChild) -> Array:
        for name, step in self._inference:
            x = run(name, step, x)
        return x

    def forward(self, x: Array) -> tuple[Array, Cache]:
        if self.divided is not None:
            return self.divided.forward(x)
        caches, steps = [], self._training
        if len(self._with_sums) < len(steps) and dispatch.sums_in_norm(x):
            steps = self._with_sums
        with once():
            for name, options in steps:
                x, cache = self.forward_child(name, x, **options)
                caches.append(cache)
        return x, caches

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        if self.divided is not None:
            return self.divided.backward(dy, cache, input_grad=input_grad)
        fits = type(cache) is list and len(cache) in (len(self._training), len(self._with_sums))
        check_cache(type(self).__name__, cache, fits)
        grads: dict[str, Array] = {}
        dx: Array | None = dy
        steps = self._training if len(cache) == len(self._training) else self._with_sums
        first_trained = self._first_trained[len(steps)]
        with once():
            for i, (name, _) in reversed(list(enumerate(steps))):
                if not input_grad and i < first_trained:
                    return None, grads
                assert dx is not None
                dx = self.backward_child(name, dx, cache[i], grads, input_grad or i > first_trained)
        return dx if input_grad else None, grads
