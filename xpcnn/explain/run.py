"""Runs a real pass through a network, forward and backward, and keeps the numbers of one layer or of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backend import array_namespace, to_numpy
from ..errors import DataError, OptionError, ShapeError
from ..nn.classification_loss import CrossEntropyLoss
from ..nn.hooks import Hooks, with_hooks
from ..nn.layer import Layer
from ..nn.loss import Loss
from ..nn.sequences import with_height
from ..training.training_state import unchanged
from ..typing import Array, Cache, NDArray
from .explanation import Axes, Explanation


@dataclass
class Visit:
    """One layer's part in the pass: the library's arrays, as forward and backward returned them."""

    layer: Layer
    x: Any  # an array; a tuple, of a join
    y: Array
    cache: Cache
    dy: Any = None
    dx: Any = None
    grads: dict[str, Array] = field(default_factory=dict)
    name: str = ""

    def show(self, page: Explanation, x_axes: Axes, y_axes: Axes, *, x: bool = True) -> None:
        """Add the input, the output and their gradients to the page; without `x`, only the gradient of the input."""
        if x:
            page.add("x", "input", x_axes, to_numpy(self.x))
        page.add("y", "output", y_axes, to_numpy(self.y))
        page.add("dy", "∂L/∂y, from the layers after this one", y_axes, to_numpy(self.dy))
        page.add("dx", "∂L/∂x", x_axes, to_numpy(self.dx))

    def show_parameters(self, page: Explanation, axes: Axes, output: str) -> None:
        """Add the weights, with these axes, a bias for each `output` if there is one, and their gradients, if any."""
        for name, key, meaning, letters in (("w", "weight", "weights", axes), ("b", "bias", "bias", (output,))):
            if getattr(self.layer, key) is not None:
                page.add(name, meaning, letters, to_numpy(getattr(self.layer, key)))
            if key in self.grads:
                page.add(f"d{name}", f"∂L/∂{name}", letters, to_numpy(self.grads[key]))

    def of_images(self) -> Visit:
        """The visit of the layer of images that a layer of sequences is."""
        layer, cache, _ = self.cache
        x, y, dy, dx = (with_height(each) for each in (self.x, self.y, self.dy, self.dx))
        return Visit(layer, x, y, cache, dy, dx, {name: with_height(each) for name, each in self.grads.items()})

    def slope(self) -> NDArray:
        """Backward's result for dy = 1: the derivative, if each output depends only on the input at its position."""
        ones = array_namespace(self.y).ones_like(self.y)
        dx, _ = self.layer.backward(ones, self.cache)
        return to_numpy(dx)


@dataclass
class Pass:
    """One training pass through the network.

    Parameters
        visits : the layers' calls, in order; a network may use a layer in several places
        output : the network's
        dy : the gradient that backward starts from
        grads : those of all parameters
        loss, target : if there was a loss
    """

    visits: list[Visit]
    output: Array
    dy: Array
    grads: dict[str, Array]
    loss: float | None = None
    target: Any = None


class _Keep(Hooks):
    """Keeps the calls of the layer with that name; with None, of all layers."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.visits: list[Visit] = []

    def forward(self, name: str, layer: Layer, x: Any) -> tuple[Array, Cache]:
        y, cache = layer.forward(x)
        if self.name is not None and name != self.name:
            return y, (cache, None)
        if any(y is each for each in (x if isinstance(x, tuple) else (x,))):  # so that each value is its own array
            y = array_namespace(y).asarray(y, copy=True)
        self.visits.append(Visit(layer, x, y, cache, name=name))
        return y, (cache, self.visits[-1])

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        cache, visit = cache
        dx, grads = layer.backward(dy, cache, input_grad=True)
        if visit is not None:
            visit.dy, visit.dx, visit.grads = dy, dx, grads
        return dx, grads


def run(
    model: Layer,
    name: str | None,
    x: Array,
    *,
    target: Any = None,
    dy: Array | None = None,
    criterion: Loss | None = None,
) -> Pass:
    """Runs forward in training, a loss, and backward, and keeps the calls of the layer with that name, or of all.

    The network stays unchanged: running statistics and random generators are restored.

    Parameters
        name : of a layer that is not a container; None for all of them
        x : Array (N, …)
        target : as the criterion needs it. For the cross-entropy, class of each row of the output, or one for all;
            None takes the class with the highest output
        dy : Array, ∂L/∂output; then there is no loss
        criterion : the cross-entropy, if it is None
    Raises
        OptionError, ShapeError, DataError, DTypeError
    """
    keep = _Keep(name)
    with unchanged(model):
        network = with_hooks(model, keep)
        output, cache = network.forward(x)
        loss = None
        if dy is None:
            if criterion is None or (type(criterion) is CrossEntropyLoss and np.ndim(to_numpy(target)) < 2):
                target = classes_of(output, target)
            criterion = criterion or CrossEntropyLoss()
            on_device = array_namespace(output).asarray(target, device=output.device)
            value, loss_cache = criterion.forward(output, on_device)
            loss, dy = float(value), criterion.backward(loss_cache)
        elif target is not None:
            raise OptionError("explain", "a target or dy", "both", "leave one of them out")
        elif tuple(dy.shape) != tuple(output.shape):
            raise ShapeError("explain", f"dy {tuple(output.shape)}, as the network's output", str(tuple(dy.shape)))
        _, grads = network.backward(dy, cache)
    return Pass(keep.visits, output, dy, grads, loss, target)


def classes_of(output: Array, target: Any) -> NDArray:
    """(N,) int64: the target of each row, checked; the class with the highest output if there is no target."""
    scores = to_numpy(output)
    if scores.ndim != 2:
        raise ShapeError(
            "explain", "a network whose output is (N, classes)", str(scores.shape), "pass dy, the output's gradient"
        )
    if target is None:
        best: NDArray = scores.argmax(axis=1).astype(np.int64)
        return best
    labels = np.asarray(to_numpy(target))
    if labels.dtype.kind not in "iu" or labels.shape not in ((), (len(scores),)):
        raise OptionError("explain", f"target: a class, or one for each of the {len(scores)} rows", repr(target)[:80])
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise DataError("explain", f"target 0 … {scores.shape[1] - 1}", str(labels.tolist())[:80])
    return np.broadcast_to(labels, len(scores)).astype(np.int64)
