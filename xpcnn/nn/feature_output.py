"""The output of a layer inside a network, as features of images for other programs."""

from __future__ import annotations

import numpy as np

from ..backend import to_numpy
from ..errors import ShapeError
from ..options import as_count
from ..typing import Array, NDArray
from .hooks import Hooks, find_layer, with_hooks
from .layer import Layer


def features(model: Layer, images: Array, layer: str | int, *, batch_size: int = 64) -> NDArray:
    """What the network computes up to that layer, in inference; the layers after it do not run.

    Parameters
        model : a network
        images : Array (N, …), float, as the network gets them
        layer : its dotted name, as in `model.summary`, such as "avgpool"; the first run of it counts
        batch_size : images at once
    Returns
        NumPy array (N, …), the layer's outputs; reshape((N, -1)) makes rows of images
    Raises
        OptionError : the network has no such layer, or the layer does not run
        ShapeError, DTypeError : the images do not fit

    >>> from xpcnn.nn import Flatten, Linear, Sequential
    >>> features(Sequential(Flatten(), Linear(4, 3), Linear(3, 2)), np.zeros((5, 2, 2, 1), np.float32), 1).shape
    (5, 3)
    """
    name, _ = find_layer("features", model, layer)
    size = as_count("features", "batch_size", batch_size)
    if not hasattr(images, "shape") or len(images.shape) < 2 or not images.shape[0]:
        raise ShapeError("features", "images (N, …), one or more", str(getattr(images, "shape", type(images).__name__)))
    watched = with_hooks(model, _Until(name))
    parts = []
    total = images.shape[0]
    for begin in range(0, total, size):
        try:
            watched(images[begin : min(begin + size, total), ...])
        except _Reached as reached:
            parts.append(to_numpy(reached.output))
    return np.concatenate(parts)


class _Reached(Exception):
    def __init__(self, output: Array) -> None:
        super().__init__()
        self.output = output


class _Until(Hooks):
    """Ends inference when the named layer has run."""

    def __init__(self, name: str) -> None:
        self.name = name

    def infer(self, name: str, layer: Layer, x: Array) -> Array:
        y = layer(x)
        if name == self.name:
            raise _Reached(y)
        return y
