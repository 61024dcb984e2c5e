"""The fully connected layer on a part of a batch; equations of `xpcnn.kernels.linear`."""

from __future__ import annotations

import numpy as np

from .step import Call, PartStep, Scratch, Values


class Dense(PartStep):
    """The step of `Linear`."""

    keeps_input = True

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        x, y, dy, dx, grads, *_ = values
        layer, columns, ones = self.layer, x.T, np.ones(x.shape[-1], x.dtype)

        def forward() -> None:
            np.matmul(layer.weight, x, out=y)  # (out, in) @ (in, n)  (1)
            if layer.bias is not None:
                np.add(y, layer.bias[:, None], out=y)  # (1)

        def backward() -> None:
            if "weight" in grads:
                np.matmul(dy, columns, out=grads["weight"])  # (out, n) @ (n, in)  (2)
            if "bias" in grads:
                np.matmul(dy, ones, out=grads["bias"])  # (out,)  (3)
            if dx is not None:
                np.matmul(layer.weight.T, dy, out=dx)  # (in, out) @ (out, n)  (4)

        return forward, backward
