"""The fully connected layer in a plan.

y = x wᵀ + b        (1)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...typing import NDArray
from .buffer import Buffer
from .step import Call, PlanStep


class Dense(PlanStep):
    """The step of y = x wᵀ + b for rows x.

    Parameters
        weight, bias : return w (F, D), and b (F,) or None
    """

    def __init__(self, weight: Callable[[], NDArray], bias: Callable[[], NDArray | None]) -> None:
        self.weight, self.bias = weight, bias

    def frozen(self) -> Dense:
        w, b = self.weight().copy(), self.bias()
        own = None if b is None else b.copy()
        return Dense(lambda: w, lambda: own)

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        rows, out = x.inside, y.inside

        def run() -> None:
            np.matmul(rows, self.weight().T, out=out)  # (1)
            b = self.bias()
            if b is not None:
                np.add(out, b, out=out)

        return run
