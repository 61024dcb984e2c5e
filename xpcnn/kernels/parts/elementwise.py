"""Steps that treat each number by itself; equations of `xpcnn.ops.rectifier` and `xpcnn.ops.dropout`."""

from __future__ import annotations

import numpy as np

from ...typing import NDArray
from .step import Call, PartStep, Scratch, Values


class Rectifier(PartStep):
    """The step of ReLU."""

    keeps_output = True
    in_place = True
    alters_dy = True

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        x, y, dy = (_flat(each) for each in values[:3])
        zeros = np.zeros(x.shape[-1], x.dtype)  # an array is faster than a number
        kept = scratch.array("first", y.shape, bool)

        def forward() -> None:
            np.maximum(x, zeros, out=y)

        def backward() -> None:
            np.greater(y, zeros, out=kept)
            np.multiply(dy, kept, out=dy)  # in place: dx is dy

        return forward, backward


class Dropping(PartStep):
    """The step of `Dropout`."""

    in_place = True
    alters_dy = True
    draws = True

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        x, y, dy, dx, _, keep, *_ = values
        assert keep is not None
        drawn, factors = np.moveaxis(keep, 0, -1), np.empty(x.shape, x.dtype)  # (…, C, n)

        def forward() -> None:
            np.multiply(drawn, x.dtype.type(1 / (1 - self.layer.p)), out=factors)
            np.multiply(x, factors, out=y)  # (1)

        def backward() -> None:
            if dx is not None:
                np.multiply(dy, factors, out=dx)  # (2)

        return forward, backward


def _flat(x: NDArray) -> NDArray:
    return x.reshape(-1, x.shape[-2] * x.shape[-1])
