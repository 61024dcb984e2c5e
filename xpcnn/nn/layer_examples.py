"""One small instance of every layer with a suitable input, for gradient checks and reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .. import nn

Example: TypeAlias = Callable[[], tuple[nn.Layer, np.ndarray[Any, np.dtype[np.float64]]]]

_IMAGES, _SEQUENCES, _ROWS = (2, 6, 5, 4), (2, 7, 4), (5, 4)


def _on(shape: tuple[int, ...], make: Callable[[], nn.Layer]) -> Example:
    return lambda: (make(), np.random.default_rng(7).normal(size=shape))


def _positive(make: Callable[[], nn.Layer]) -> Example:
    return lambda: (make(), np.random.default_rng(7).uniform(0.5, 2, _ROWS))


def _joined(join: nn.Layer) -> nn.Layer:
    """A network in which the join meets images, and a number for each of their channels."""
    channels = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(4, 4, rng=0), nn.Unflatten((1, 1, 4)))
    return nn.Graph({"channels": (channels, "x"), "y": (join, "x", "channels")})


EXAMPLES: dict[str, Example] = {
    "Conv2d": _on(_IMAGES, lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), groups=2, rng=0)),
    "ConvTranspose2d": _on(
        _IMAGES, lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, rng=0)
    ),
    "Conv1d": _on(_SEQUENCES, lambda: nn.Conv1d(4, 6, 3, stride=2, padding=(2, 1), groups=2, rng=0)),
    "ConvTranspose1d": _on(_SEQUENCES, lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, groups=2, rng=0)),
    "MaxPool2d": _on(_IMAGES, lambda: nn.MaxPool2d(3, stride=2, padding=1)),
    "AvgPool2d": _on(_IMAGES, lambda: nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)),
    "AdaptiveAvgPool2d": _on(_IMAGES, lambda: nn.AdaptiveAvgPool2d((4, 2))),
    "GlobalMaxPool2d": _on(_IMAGES, nn.GlobalMaxPool2d),
    "GlobalAvgPool2d": _on(_IMAGES, nn.GlobalAvgPool2d),
    "MaxPool1d": _on(_SEQUENCES, lambda: nn.MaxPool1d(3, stride=2, padding=1)),
    "AvgPool1d": _on(_SEQUENCES, lambda: nn.AvgPool1d(3, stride=2, padding=1, count_include_pad=False)),
    "AdaptiveAvgPool1d": _on(_SEQUENCES, lambda: nn.AdaptiveAvgPool1d(3)),
    "GlobalMaxPool1d": _on(_SEQUENCES, nn.GlobalMaxPool1d),
    "GlobalAvgPool1d": _on(_SEQUENCES, nn.GlobalAvgPool1d),
    "ZeroPad1d": _on(_SEQUENCES, lambda: nn.ZeroPad1d((1, 2))),
    "ReflectionPad1d": _on(_SEQUENCES, lambda: nn.ReflectionPad1d((3, 1))),
    "ReplicationPad1d": _on(_SEQUENCES, lambda: nn.ReplicationPad1d((3, 1))),
    "Dropout1d": _on(_SEQUENCES, lambda: nn.Dropout1d(0.5, rng=0)),
    "Linear": _on(_ROWS, lambda: nn.Linear(4, 3, rng=0)),
    "Flatten": _on(_IMAGES, nn.Flatten),
    "Unflatten": _on((5, 12), lambda: nn.Unflatten((3, 2, 2))),
    "ZeroPad2d": _on(_IMAGES, lambda: nn.ZeroPad2d((1, 0, 2, 1))),
    "ZeroPadChannels": _on(_IMAGES, lambda: nn.ZeroPadChannels(1, 2)),
    "Upsample": _on(_IMAGES, lambda: nn.Upsample((2, 3))),
    "Resample": _on(_IMAGES, lambda: nn.Resample((6, 5), (4, 9))),
    "Identity": _on(_ROWS, nn.Identity),
    "ReLU": _on(_ROWS, nn.ReLU),
    "LeakyReLU": _on(_ROWS, nn.LeakyReLU),
    "PReLU": _on(_IMAGES, lambda: nn.PReLU(4)),
    "ELU": _on(_ROWS, nn.ELU),
    "SELU": _on(_ROWS, nn.SELU),
    "Sigmoid": _on(_ROWS, nn.Sigmoid),
    "Tanh": _on(_ROWS, nn.Tanh),
    "GELU": _on(_ROWS, nn.GELU),
    "SiLU": _on(_ROWS, nn.SiLU),
    "Softplus": _on(_ROWS, nn.Softplus),
    "Clip": _on(_ROWS, lambda: nn.Clip(-0.5, 0.75)),
    "ReLU6": _on(_ROWS, nn.ReLU6),
    "HardSigmoid": _on(_ROWS, nn.HardSigmoid),
    "HardSwish": _on(_ROWS, nn.HardSwish),
    "Mish": _on(_ROWS, nn.Mish),
    "Softsign": _on(_ROWS, nn.Softsign),
    "CELU": _on(_ROWS, lambda: nn.CELU(0.5)),
    "Abs": _on(_ROWS, nn.Abs),
    "Exp": _on(_ROWS, nn.Exp),
    "Log": _positive(nn.Log),
    "Power": _positive(lambda: nn.Power(-1.5)),
    "Scale": _on(_IMAGES, lambda: nn.Scale(4)),
    "ReflectionPad2d": _on(_IMAGES, lambda: nn.ReflectionPad2d((1, 2, 3, 0))),
    "ReplicationPad2d": _on(_IMAGES, lambda: nn.ReplicationPad2d((1, 2, 3, 0))),
    "PixelShuffle": _on((2, 3, 2, 12), lambda: nn.PixelShuffle(2)),
    "PixelUnshuffle": _on((2, 4, 6, 3), lambda: nn.PixelUnshuffle(2)),
    "ChannelShuffle": _on((2, 3, 2, 6), lambda: nn.ChannelShuffle(2)),
    "Slice": _on(_IMAGES, lambda: nn.Slice(1, 6, step=2, axis=1)),
    "Permute": _on(_IMAGES, lambda: nn.Permute((3, 1, 2))),
    "Reshape": _on(_IMAGES, lambda: nn.Reshape((10, 12))),
    "InstanceNorm2d": _on(_IMAGES, lambda: nn.InstanceNorm2d(4, affine=True)),
    "LocalResponseNorm": _on(_IMAGES, lambda: nn.LocalResponseNorm(3, alpha=0.5, k=2.0)),
    "L2Normalize": _on(_IMAGES, nn.L2Normalize),
    "Mean": _on(_IMAGES, lambda: nn.Mean((1, 3))),
    "Max": _on(_IMAGES, lambda: nn.Max((1, 2), keepdims=True)),
    "Sum": _on(_IMAGES, lambda: nn.Sum((1, 3))),
    "Min": _on(_IMAGES, lambda: nn.Min((1, 2), keepdims=True)),
    "Softmax": _on(_ROWS, nn.Softmax),
    "LogSoftmax": _on(_ROWS, nn.LogSoftmax),
    "BatchNorm1d": _on(_ROWS, lambda: nn.BatchNorm1d(4)),
    "BatchNorm2d": _on(_IMAGES, lambda: nn.BatchNorm2d(4)),
    "LayerNorm": _on(_IMAGES, lambda: nn.LayerNorm((5, 4))),
    "GroupNorm": _on(_IMAGES, lambda: nn.GroupNorm(2, 4)),
    "Normalize": _on(_IMAGES, lambda: nn.Normalize((0.5, 0.4, 0.3, 0.1), (0.25, 0.5, 2.0, 0.1))),
    "Dropout": _on(_IMAGES, lambda: nn.Dropout(0.5, rng=0)),
    "Dropout2d": _on(_IMAGES, lambda: nn.Dropout2d(0.5, rng=0)),
    "StochasticDepth": _on(_IMAGES, lambda: nn.StochasticDepth(0.5, rng=0)),
    "Add": _on(_IMAGES, lambda: _joined(nn.Add())),
    "Subtract": _on(_IMAGES, lambda: _joined(nn.Subtract())),
    "Multiply": _on(_IMAGES, lambda: _joined(nn.Multiply())),
    "Maximum": _on(_IMAGES, lambda: _joined(nn.Maximum())),
    "Minimum": _on(_IMAGES, lambda: _joined(nn.Minimum())),
    "Graph": _on(
        _ROWS,
        lambda: nn.Graph(
            {
                "a": (nn.Linear(4, 3, rng=0), "x"),
                "b": (nn.Tanh(), "a"),
                "c": (nn.Linear(3, 3, rng=1), "b"),
                "d": (nn.Multiply(), "a", "b", "c"),
                "y": (nn.Concat(), "d", "x", "a"),
            }
        ),
    ),
    "Sequential": _on(_ROWS, lambda: nn.Sequential(shared := nn.Linear(4, 4, rng=0), nn.Tanh(), shared)),
    "Residual": _on(_IMAGES, lambda: nn.Residual(nn.Conv2d(4, 6, 3, padding=1, rng=0), nn.Conv2d(4, 6, 1, rng=1))),
    "Concat": _on(
        _IMAGES, lambda: nn.Concat(nn.Conv2d(4, 2, 1, rng=0), nn.Identity(), nn.Conv2d(4, 3, 3, padding=1, rng=1))
    ),
}
