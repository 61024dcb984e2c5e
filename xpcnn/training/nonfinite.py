"""Find the layer whose results contain NaN or infinity although its inputs do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..nn import Hooks, Layer, with_hooks
from ..nn.loss import Loss
from ..nn.summary import several
from ..table import Table, Tabular, columns
from ..typing import Array, Cache
from .gradients import is_finite
from .training_state import unchanged


@dataclass(frozen=True)
class Row:
    """A layer's results: in forward its output, in backward the gradients of its input and its parameters."""

    direction: str  # forward or backward
    layer: str  # dotted name and kind
    largest: float  # largest |number| among the finite ones
    not_finite: int
    size: int


@dataclass(frozen=True, repr=False)
class Finding(Tabular):
    """The place where numbers stop being finite; it prints as a table of the layers up to there.

    >>> Finding("3", "forward", "layer 3: 12 of 64 numbers are NaN", ()).layer
    '3'
    """

    layer: str  # dotted name, or "" for no layer
    direction: str  # "forward", "backward", or "" for neither
    text: str  # one line
    rows: tuple[Row, ...]

    def table(self) -> Table:
        """The layers up to there."""
        body = [
            (row.direction, row.layer, f"{row.largest:.3g}", f"{row.not_finite:,} of {row.size:,}") for row in self.rows
        ]
        table = columns(("Pass", "Layer", "Largest", "Not finite"), body, left=(0, 1))
        return table.and_line(self.text) if body else Table(self.text)


def search(model: Layer, criterion: Loss, x: Array, y: Array) -> Finding | None:
    """Run forward and backward of a step layer by layer until a result is not finite; None if all are finite.

    Model and generators are unchanged afterwards. Layers run separately, although training may fuse neighbours; so
    rounding may differ.
    """
    hooks = _Search(model)
    with np.errstate(all="ignore"), unchanged(model):
        try:
            _run(with_hooks(model, hooks), criterion, x, y, hooks)
        except _Found as found:
            return Finding(found.layer, found.direction, found.text, tuple(hooks.rows))
    return None


def _run(model: Layer, criterion: Loss, x: Array, y: Array, hooks: _Search) -> None:
    kind = type(criterion).__name__
    for name, value in (("input", x), ("targets", y)):
        for array in several(value):
            if not is_finite(array):
                raise _Found("", "", f"{_amount(array)} in the {name}")
    logits, cache = model.forward(x)
    hooks.compare("the network's output, where branches meet", "forward", logits)
    loss, loss_cache = criterion.forward(logits, y)
    hooks.compare(f"the loss, {kind}", "forward", loss)
    dy = criterion.backward(loss_cache)
    hooks.compare(f"the gradient of the loss, {kind}", "backward", dy)
    model.backward(dy, cache, input_grad=False)


class _Found(Exception):
    """Ends the search."""

    def __init__(self, layer: str, direction: str, text: str) -> None:
        super().__init__(text)
        self.layer, self.direction, self.text = layer, direction, text


class _Search(Hooks):
    def __init__(self, model: Layer) -> None:
        self.rows: list[Row] = []
        self.spoilt = [name for name, array in model.parameters().items() if not is_finite(array)]

    def forward(self, name: str, layer: Layer, x: Array) -> tuple[Array, Cache]:
        place = f"{name or 'the layer'} ({type(layer).__name__})"
        self.compare(f"the input of layer {place}, where branches meet", "forward", x)
        y, cache = layer.forward(x)
        self._record("forward", name, layer, {f"the output of layer {place}": y})
        return y, cache

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        place = f"{name or 'the layer'} ({type(layer).__name__})"
        self.compare(f"the gradient of the output of layer {place}, where branches meet", "backward", dy)
        dx, grads = layer.backward(dy, cache, input_grad=input_grad)
        given = {f"the gradient of {key} of layer {place}": g for key, g in grads.items()}
        for number, each in enumerate(() if dx is None else several(dx)):
            given[f"the gradient of the input of layer {place}" + (f", {number + 1}" if number else "")] = each
        self._record("backward", name, layer, given)
        return dx, grads

    def compare(self, what: str, direction: str, value: Any) -> None:
        """End the search if a value that is no layer's result is not finite; it is an array or a tuple of arrays."""
        for array in several(value):
            if not is_finite(array):
                raise _Found("", direction, f"{_amount(array)} in {what}, {direction}")

    def _record(self, direction: str, name: str, layer: Layer, given: Mapping[str, Array]) -> None:
        hosts = {what: to_numpy(array) for what, array in given.items()}
        finite = [host[np.isfinite(host)] for host in hosts.values()]
        size = sum(host.size for host in hosts.values())
        largest = max((float(np.abs(each).max()) for each in finite if each.size), default=0.0)
        place = f"{name} {type(layer).__name__}".strip()
        self.rows.append(Row(direction, place, largest, size - sum(each.size for each in finite), size))
        for what, array in given.items():
            if not is_finite(array):
                own = [key for key in self.spoilt if key.rpartition(".")[0] == name]
                before = f" (its {', '.join(own)} held some before)" if own else ""
                raise _Found(name, direction, f"{_amount(array)} in {what}, {direction}{before}")


def _amount(array: Array) -> str:
    host = to_numpy(array)
    nan, infinite = int(np.isnan(host).sum()), int(np.isinf(host).sum())
    parts = [f"{count} {word}" for count, word in ((nan, "NaN"), (infinite, "infinite")) if count]
    return f"{' and '.join(parts)} of {host.size} numbers"
