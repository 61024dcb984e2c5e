"""A fully connected network."""

from __future__ import annotations

import math

from ..errors import OptionError
from ..nn import Flatten, Layer, Linear, ReLU, Sequential
from ..options import as_count
from ..random import Seed, generator
from ..typing import Shape
from .facts import architecture


@architecture()
def mlp(input_shape: Shape, num_classes: int, *, hidden: tuple[int, ...] = (128,), rng: Seed = None) -> Sequential:
    """Flatten, then fully connected layers with ReLU between them.

    Parameters
        input_shape : of one input, without the batch axis, such as (28, 28, 1)
        num_classes : outputs (logits)
        hidden : sizes of the hidden layers
        rng : seed or generator of the initial weights

    >>> len(mlp((28, 28, 1), 10).parameters())
    4
    """
    rng = generator(rng)
    if not isinstance(input_shape, (tuple, list)) or not input_shape or not isinstance(hidden, (tuple, list)):
        got = f"{input_shape!r} and {hidden!r}"
        raise OptionError(
            "mlp", "input_shape and hidden: sequences of integers ≥ 1", got, "such as (28, 28, 1), (128,)"
        )
    layers: list[Layer] = [Flatten()]
    size = math.prod(as_count("mlp", "each axis of input_shape", axis) for axis in input_shape)
    for width in hidden:
        layers += [Linear(size, width, rng=rng), ReLU()]
        size = width
    return Sequential(*layers, Linear(size, num_classes, weight_init="glorot_uniform", rng=rng))
