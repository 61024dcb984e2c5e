"""The order of flattened images in PyTorch.

`Flatten` makes rows in the order (H, W, C) here, and in the order (C, H, W) there; `Unflatten` expects the same:

    ours (i·W + j)·C + c,  theirs (c·H + i)·W + j

So PyTorch has another order of columns in the layers after a `Flatten`, up to and including the first `Linear`. The
same holds for the layers before an `Unflatten`, from the last `Linear` on, including its rows and bias.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..errors import OptionError, ShapeError
from ..nn.container import with_layer_name
from ..nn.layer import Layer, dotted
from ..typing import Array, NDArray, Shape


class Columns(NamedTuple):
    """For each of our columns, the index of the same column in PyTorch, in a layer's input rows and output rows.

    None if the order is the same in both.
    """

    taken: NDArray | None = None
    given: NDArray | None = None


def flattened_columns(who: str, model: Layer, input_shape: Shape | None) -> dict[str, Columns]:
    """The columns of each layer, by its dotted name; empty if the network neither flattens nor unflattens.

    Parameters
        who : for the errors
        input_shape : of one input, such as (H, W, C); an input of zeros runs through the network
    Raises
        OptionError : input_shape is missing although the network (un)flattens, or PyTorch has no such order of columns
        ShapeError : the network does not accept such inputs
    """
    reshaping = [layer for _, layer in model.named_layers() if isinstance(layer, nn.Flatten | nn.Reshape)]
    if not reshaping:
        return {}
    if input_shape is None:
        remedy = "pass the shape of one input, such as (H, W, C)"
        kind = type(reshaping[0]).__name__
        raise OptionError(who, f"input_shape, because {kind}'s order differs in PyTorch", "none", remedy)
    walk = _Walk(who)
    x = model.zeros(input_shape)
    walk.remember(x, _Order())
    try:
        y = walk.run("", model, x)
    except ShapeError as error:
        error.remedy = f"pass the input_shape that the network is built for, not {tuple(input_shape)}"
        raise
    walk.check_output(y)
    return {name: Columns(taken.settle(), given.settle()) for name, (_, taken, given) in walk.found.items()}


_ELEMENTWISE = (nn.Residual, nn.Add, nn.Subtract, nn.Multiply, nn.Maximum, nn.Minimum)  # of several values


class _Order:
    """The order of a row's columns. The order of a `Linear`'s output is free until a later layer fixes it.

    Parameters
        columns : for each of our columns, its index in PyTorch; None if the order is the same
    """

    def __init__(self, columns: NDArray | None = None, *, free: bool = False) -> None:
        self.columns, self.free = columns, free
        self.same: _Order | None = None  # the order with which this one was unified

    def root(self) -> _Order:
        return self if self.same is None else self.same.root()

    def settle(self) -> NDArray | None:
        """The columns; if nothing has fixed them, ours from now on."""
        root = self.root()
        root.free = False
        return root.columns

    def unify(self, other: _Order) -> bool:
        """Make both the same order; return False if that is impossible."""
        one, two = self.root(), other.root()
        if not (one.free or two.free):
            return _same(one.columns, two.columns)
        if one is not two:
            free, kept = (one, two) if one.free else (two, one)
            free.same = kept
        return True


class _Walk:
    def __init__(self, who: str) -> None:
        self.who = who
        self.found: dict[str, tuple[Layer, _Order, _Order]] = {}  # layers that have run; orders in, out
        self.first_name: dict[int, str] = {}
        self.known: dict[int, tuple[Array, _Order]] = {}  # by identity; holds the array, so that its id is not reused

    def remember(self, x: Array, order: _Order) -> None:
        self.known[id(x)] = (x, order)

    def run(self, name: str, layer: Layer, x: Any) -> Array:
        name = self.first_name.setdefault(id(layer), name)
        wired = isinstance(layer, nn.Container) and not (isinstance(layer, nn.Concat) and not layer.children())
        if isinstance(x, tuple) and not wired:
            y: Array = layer(x)  # type: ignore[arg-type]
            self.remember(y, self._joined(name, layer, [self.known[id(each)] for each in x]))
            return y
        return self._container(name, layer, x) if isinstance(layer, nn.Container) else self._layer(name, layer, x)

    def check_output(self, y: Array) -> None:
        """Refuse a network whose output comes from a `Linear` in an order other than ours."""
        _, end = self.known[id(y)]
        if end.settle() is None:
            return
        for name, (layer, _, given) in self.found.items():
            if isinstance(layer, nn.Linear) and given.root() is end.root():
                raise self._refusal(name, layer)

    def _layer(self, name: str, layer: Layer, x: Array) -> Array:
        before = self.known[id(x)][1]
        y = layer(x)
        fits = True
        to_row = isinstance(layer, nn.Reshape) and len(layer.shape) == 1
        if isinstance(layer, nn.Flatten) or to_row:
            after = _Order(_flattened(tuple(x.shape[1:]))) if x.ndim > 2 else before
        elif isinstance(layer, nn.Reshape) and x.ndim == 2:
            fits, after = before.unify(_Order(_flattened(layer.shape))), _Order()
        elif isinstance(layer, nn.Linear):
            after = _Order(free=True) if x.ndim == 2 else _Order()
        elif layer.elementwise or layer.keeps_columns:
            after = before
        else:
            fits, after = before.settle() is None, _Order()
        _, taken, given = self.found.setdefault(name, (layer, before, after))
        if layer.state_dict():  # its arrays have one order, even if the layer occurs several times
            fits = fits and before.unify(taken) and after.unify(given)
        if not fits:
            raise self._refusal(name, layer)
        self.remember(y, after)
        return y

    def _container(self, name: str, layer: nn.Container, x: Array) -> Array:
        ran: list[Array] = []

        def run(child: str, part: Layer, x: Array) -> Array:
            y: Array = with_layer_name(child, self.run, dotted(name, child), part, x)
            ran.append(y)
            return y

        y = layer.run_children(x, run)
        if not isinstance(y, tuple) and id(y) not in self.known:
            branches = [self.known[id(each)] for each in (ran if len(ran) > 1 else [*ran, x])]
            self.remember(y, self._joined(name, layer, branches))
        return y

    def _joined(self, name: str, layer: Layer, branches: list[tuple[Array, _Order]]) -> _Order:
        """The order of a container's output, given the outputs of its branches."""
        orders = [order for _, order in branches]
        widths = {x.shape[-1] for x, _ in branches}
        if isinstance(layer, _ELEMENTWISE) and len(widths) == 1 and all(orders[0].unify(each) for each in orders[1:]):
            return orders[0]
        columns = [order.settle() for order in orders]
        if all(each is None for each in columns):
            return _Order()
        if isinstance(layer, nn.Concat):
            sizes = [x.shape[1] for x, _ in branches]
            starts = np.cumsum([0, *sizes[:-1]])
            parts = [np.arange(size) if own is None else own for size, own in zip(sizes, columns, strict=True)]
            return _Order(np.concatenate([start + part for start, part in zip(starts, parts, strict=True)]))
        raise self._refusal(name, layer)

    def _refusal(self, name: str, layer: Layer) -> OptionError:
        return OptionError(
            self.who,
            "layers whose columns PyTorch can have in its order, from a Flatten up to a Linear and from a Linear up to "
            f"an Unflatten, at {name or 'the top'}",
            type(layer).__name__,
            "put a Linear before it, or flatten after GlobalAvgPool2d",
        )


def _flattened(shape: Shape) -> NDArray | None:
    """(i·W + j)·C + c → (c·H + i)·W + j, for any number of axes before the channels."""
    *spatial, channels = shape
    if math.prod(spatial) == 1 or channels == 1:
        return None
    return np.moveaxis(np.arange(math.prod(shape)).reshape(channels, *spatial), 0, -1).ravel()


def _same(one: NDArray | None, other: NDArray | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
