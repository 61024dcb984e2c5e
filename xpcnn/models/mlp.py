"""A fully connected network."""

from __future__ import annotations

import math

from ..nn import Flatten, Layer, Linear, ReLU, Sequential
from ..random import Seed, generator
from ..typing import Shape


def mlp(input_shape: Shape, num_classes: int, *, hidden: tuple[int, ...] = (128,), rng: Seed = None) -> Sequential:
    """Flatten, then fully connected layers with ReLU between them.

    Parameters
        input_shape : one input's, without the batch axis, such as (28, 28, 1)
        num_classes : outputs (logits)
        hidden : sizes of the layers between
        rng : seed or generator of the initial weights

    >>> len(mlp((28, 28, 1), 10).parameters())
    4
    """
    rng = generator(rng)
    layers: list[Layer] = [Flatten()]
    size = math.prod(input_shape)
    for width in hidden:
        layers += [Linear(size, width, rng=rng), ReLU()]
        size = width
    return Sequential(*layers, Linear(size, num_classes, weight_init="glorot_uniform", rng=rng))
