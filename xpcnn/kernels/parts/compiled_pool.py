"""Maximum pooling of a part of a batch in compiled loops, with any window, and with the ReLU after it.

With x stored as (1, H, W, C·n), and the loops of `xpcnn.kernels.compiled.pool`,

    y[i,j,k]  = max(0, max_t x̂(t))                                                          (1)
    t[i,j,k]  = the first tap that reads this maximum; none where it is not positive        (2)
    dx[p,q,k] = Σ dy[i,j,k]            over the i, j whose tap t[i,j,k] reads (p, q)        (4)

with the equation numbers of `xpcnn.ops.pool`. Without the ReLU there is no 0 in (1), and always a tap.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ...ops.window import Placement
from ...typing import NDArray
from ..compiled.pool import largest, to_winners
from .step import Call, PartStep, Scratch, Values

NONE = 255  # the number of no tap


class CompiledMaxPooling(PartStep):
    """The step of `MaxPool2d`, and of `ReLU` after it.

    Parameters
        place : of its windows, at most 256 taps
    """

    def __init__(self, layer: Any, place: Placement) -> None:
        super().__init__(layer)
        self.place = place

    def takes_relu(self, infers: bool) -> bool:
        return self.place.window.taps <= NONE

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        window, (top, _, left, _) = self.place.window, self.place.pads
        sizes = (*window.kernel, *window.stride, *window.dilation, top, left)
        x, y, dy = map(_runs, values[:3])
        make = partial(scratch.array, "first") if values.infers else np.empty
        winner = make(y.shape, np.uint8)
        lowest, none = (0.0, NONE) if self.relu else (-math.inf, 0)
        forward = partial(largest, x, lowest, none, *sizes, 0, y.shape[1], y, winner)  # (1), (2)
        if values.dx is None:
            return forward, lambda: None
        dx = _runs(values.dx)
        return forward, partial(to_winners, dy, winner, *sizes, 0, dx.shape[1], dx)  # (4)


def _runs(x: NDArray) -> NDArray:
    """(H, W, C, n) → (1, H, W, C·n): a view."""
    return x.reshape(1, *x.shape[:2], -1)
