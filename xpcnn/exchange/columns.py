"""Where the columns of a flattened image lie in PyTorch.

`Flatten` makes rows in the order (H, W, C) here, and in the order (C, H, W) there:

    ours (i·W + j)·C + c,  theirs (c·H + i)·W + j

so that what follows it, up to and with the first `Linear`, has its columns in another order.
"""

from __future__ import annotations

import math

import numpy as np

from .. import nn
from ..errors import OptionError, ShapeError
from ..nn.container import located
from ..nn.layer import Layer, dotted
from ..typing import Array, Host, Shape

# layers that leave each column in its place
_IN_PLACE = (
    *(nn.Identity, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU),
    *(nn.Softplus, nn.Softmax, nn.LogSoftmax, nn.Dropout, nn.BatchNorm1d, nn.LayerNorm),
)


def flattened_columns(who: str, model: Layer, input_shape: Shape | None) -> dict[str, Host]:
    """For each layer that is given flattened images: which column of PyTorch's each column of ours is.

    Parameters
        who : for the errors
        input_shape : one input's shape, (H, W, C); it runs through the network, as zeros
    Returns
        by the layer's dotted name; a layer whose columns are the same in both is not in it
    Raises
        OptionError : no input_shape although the network flattens, or PyTorch has no such order of columns
        ShapeError : the network does not take such inputs
    """
    if not any(isinstance(layer, nn.Flatten) for _, layer in model.named_layers()):
        return {}
    if input_shape is None:
        remedy = "pass the shape of one image (H, W, C)"
        raise OptionError(who, "input_shape, because Flatten's order differs in PyTorch", "none", remedy)
    walk = _Walk(who)
    x = model.zeros(input_shape)
    walk.remember(x, None)
    try:
        walk.run("", model, x)
    except ShapeError as error:
        error.remedy = f"pass the input_shape that the network is built for, not {tuple(input_shape)}"
        raise
    return {name: columns for name, columns in walk.found.items() if columns is not None}


class _Walk:
    def __init__(self, who: str) -> None:
        self.who = who
        self.found: dict[str, Host | None] = {}
        self.first_name: dict[int, str] = {}
        self.known: dict[int, tuple[Array, Host | None]] = {}  # by identity; the array is kept, so that it stays one

    def remember(self, x: Array, columns: Host | None) -> None:
        self.known[id(x)] = (x, columns)

    def run(self, name: str, layer: Layer, x: Array) -> Array:
        name = self.first_name.setdefault(id(layer), name)
        return self._container(name, layer, x) if isinstance(layer, nn.Container) else self._layer(name, layer, x)

    def _layer(self, name: str, layer: Layer, x: Array) -> Array:
        before = self.known[id(x)][1]
        y = layer(x)
        if name in self.found and not _same(self.found[name], before):
            raise self._refusal(name, layer)
        self.found[name] = before
        if isinstance(layer, nn.Flatten):
            after = _flattened(tuple(x.shape[1:])) if before is None else before
        elif isinstance(layer, nn.Linear) or before is None:
            after = None
        elif type(layer) in _IN_PLACE:
            after = before
        else:
            raise self._refusal(name, layer)
        self.remember(y, after)
        return y

    def _container(self, name: str, layer: nn.Container, x: Array) -> Array:
        ran: list[Array] = []

        def run(child: str, part: Layer, x: Array) -> Array:
            y: Array = located(child, self.run, dotted(name, child), part, x)
            ran.append(y)
            return y

        y = layer.run_children(x, run)
        if id(y) not in self.known:
            branches = [self.known[id(each)] for each in (ran if len(ran) > 1 else [*ran, x])]
            self.remember(y, self._joined(name, layer, branches))
        return y

    def _joined(self, name: str, layer: Layer, branches: list[tuple[Array, Host | None]]) -> Host | None:
        """The columns of what a container made of the outputs of its branches."""
        columns = [each for _, each in branches]
        if all(each is None for each in columns):
            return None
        if isinstance(layer, nn.Residual) and _same(*columns):
            return columns[0]
        if isinstance(layer, nn.Concat):
            starts = np.cumsum([0, *(x.shape[1] for x, _ in branches)])
            return np.concatenate(
                [
                    start + (np.arange(x.shape[1]) if own is None else own)
                    for start, (x, own) in zip(starts, branches, strict=False)
                ]
            )
        raise self._refusal(name, layer)

    def _refusal(self, name: str, layer: Layer) -> OptionError:
        return OptionError(
            self.who,
            f"layers whose columns after Flatten PyTorch can have in its order, up to a Linear at {name or 'the top'}",
            type(layer).__name__,
            "put a Linear before it, or flatten after GlobalAvgPool2d",
        )


def _flattened(shape: Shape) -> Host | None:
    """(i·W + j)·C + c → (c·H + i)·W + j, for any number of axes before the channels."""
    *spatial, channels = shape
    if math.prod(spatial) == 1 or channels == 1:
        return None
    return np.moveaxis(np.arange(math.prod(shape)).reshape(channels, *spatial), 0, -1).ravel()


def _same(one: Host | None, other: Host | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
