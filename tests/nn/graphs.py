"""Networks that only a graph can wire, and their inputs."""

from __future__ import annotations

import xpcnn
from xpcnn.nn import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    GlobalAvgPool2d,
    Graph,
    Linear,
    Maximum,
    MaxPool2d,
    Multiply,
    ReLU,
    Sequential,
    Sigmoid,
    Subtract,
    Unflatten,
)


def excited() -> Graph:
    """Squeeze-and-excitation between two convolutions, and a value that two later parts use that do not nest."""
    return Graph(
        {
            "conv": (Conv2d(3, 8, 3, padding=1, bias=False, rng=0), "x"),
            "norm": (BatchNorm2d(8), "conv"),
            "relu": (ReLU(), "norm"),
            "pool": (MaxPool2d(2), "relu"),
            "mean": (GlobalAvgPool2d(), "pool"),
            "gate": (Sequential(Linear(8, 8, rng=1), Sigmoid(), Unflatten((1, 1, 8))), "mean"),
            "scaled": (Multiply(), "pool", "gate"),
            "sum": (Add(), "scaled", "pool", "gate"),
            "side": (Concat(), "sum", "pool"),
            "y": (Conv2d(16, 4, 1, rng=2), "side"),
        }
    )


def images(rng, dtype="float32"):
    return rng.normal(size=(3, 8, 8, 3)).astype(dtype)


def numbers(value):
    return [xpcnn.to_numpy(each) for each in (value if isinstance(value, tuple) else (value,))]


def several_of_each() -> Graph:
    return Graph(
        {
            "a": (Linear(3, 4, rng=0), "u"),
            "b": (Linear(2, 4, rng=1), "v"),
            "difference": (Subtract(), "a", "b"),
            "largest": (Maximum(), "a", "difference", "b"),
            "twice": (Add(), "b", "b"),
        },
        inputs=("u", "v"),
        outputs=("largest", "twice", "difference"),
    )
