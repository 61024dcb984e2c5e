"""A user's program with its own layer, its own optimizer and inference: `mypy --strict` must find no errors."""

from __future__ import annotations

import numpy as np

from xpcnn import nn, optim, to_numpy
from xpcnn.typing import Array, Cache


class Square(nn.Layer):
    def __call__(self, x: Array) -> Array:
        return x**2

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return x**2, x

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return 2 * dy * cache if input_grad else None, {}


class Momentum(optim.Optimizer):
    def update(self, p: Array, g: Array, v: Array) -> None:
        v *= 0.9
        v += g
        p -= self.lr * v / (1 + abs(v))


model = nn.Sequential(nn.Linear(2, 2), Square())
optimizer = Momentum(model.parameters(), lr=0.1, slots=("velocity",))
labels: list[int] = to_numpy(model(np.zeros((1, 2), np.float32))).argmax(axis=1).tolist()
