"""Normalisation of the input as a network's first layer; equations in `xpcnn.ops.normalize`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..errors import OptionError
from ..ops.check import check_array, check_batch, check_floats
from ..ops.normalize import normalize_backward, normalize_forward
from ..options import as_number
from ..typing import Array, Cache
from .layer import Layer


class Normalize(Layer):
    """Subtracts each channel's mean and divides by its standard deviation: y = (x − μ) / σ.

    As a network's first layer it is saved with the network, which then takes unnormalised images in [0, 1].

    Parameters
        mean, std : C numbers each, such as `split.statistics()`; not trained
    Shapes
        (N, …, C) → (N, …, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Normalize([0.5], [0.25])(np.array([[0.0], [1.0]], np.float32)).tolist()
    [[-2.0], [2.0]]
    """

    config_names = ("mean", "std")

    def __init__(self, mean: Sequence[float] | Array, std: Sequence[float] | Array) -> None:
        self.mean = _numbers("mean", mean, "(-inf, inf)")
        self.std = _numbers("std", std, "(0, inf)")
        if len(self.mean) != len(self.std):
            raise OptionError("Normalize", f"as many std as mean, {len(self.mean)}", str(len(self.std)))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        check_array("Normalize", x)
        check_batch("Normalize", x, *x.shape[1:-1], len(self.mean))
        xp = check_floats("Normalize", x)
        mean, std = (xp.asarray(numbers, dtype=x.dtype, device=x.device) for numbers in (self.mean, self.std))  # (C,)
        return normalize_forward(x, mean, std)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return normalize_backward(dy, cache) if input_grad else None, {}


def _numbers(name: str, value: Any, interval: str) -> tuple[float, ...]:
    """Python numbers, which fit any namespace, any dtype and JSON."""
    numbers = value if isinstance(value, (list, tuple)) else np.atleast_1d(to_numpy(value)).tolist()
    if not numbers:
        raise OptionError("Normalize", f"{name}: a number for each channel", "none")
    return tuple(as_number("Normalize", name, number, interval) for number in numbers)
