"""One small instance of every layer, with an input that suits it: what gradient checks and reports go through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .activation import (
    ELU,
    GELU,
    SELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .container import Concat, Residual, Sequential
from .conv import Conv2d
from .conv_transpose import ConvTranspose2d
from .dropout import Dropout, Dropout2d
from .layer import Layer
from .linear import Linear
from .norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from .pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from .shape import Flatten, Upsample, ZeroPad2d, ZeroPadChannels

Sample: TypeAlias = Callable[[], tuple[Layer, np.ndarray[Any, np.dtype[np.float64]]]]

_IMAGES, _ROWS = (2, 6, 5, 4), (5, 4)


def _on(shape: tuple[int, ...], make: Callable[[], Layer]) -> Sample:
    return lambda: (make(), np.random.default_rng(7).normal(size=shape))


SAMPLES: dict[str, Sample] = {
    "Conv2d": _on(_IMAGES, lambda: Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), groups=2, rng=0)),
    "ConvTranspose2d": _on(_IMAGES, lambda: ConvTranspose2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, rng=0)),
    "MaxPool2d": _on(_IMAGES, lambda: MaxPool2d(3, stride=2, padding=1)),
    "AvgPool2d": _on(_IMAGES, lambda: AvgPool2d(3, stride=2, padding=1, count_include_pad=False)),
    "AdaptiveAvgPool2d": _on(_IMAGES, lambda: AdaptiveAvgPool2d((4, 2))),
    "GlobalMaxPool2d": _on(_IMAGES, GlobalMaxPool2d),
    "GlobalAvgPool2d": _on(_IMAGES, GlobalAvgPool2d),
    "Linear": _on(_ROWS, lambda: Linear(4, 3, rng=0)),
    "Flatten": _on(_IMAGES, Flatten),
    "ZeroPad2d": _on(_IMAGES, lambda: ZeroPad2d((1, 0, 2, 1))),
    "ZeroPadChannels": _on(_IMAGES, lambda: ZeroPadChannels(1, 2)),
    "Upsample": _on(_IMAGES, lambda: Upsample((2, 3))),
    "Identity": _on(_ROWS, Identity),
    "ReLU": _on(_ROWS, ReLU),
    "LeakyReLU": _on(_ROWS, LeakyReLU),
    "PReLU": _on(_IMAGES, lambda: PReLU(4)),
    "ELU": _on(_ROWS, ELU),
    "SELU": _on(_ROWS, SELU),
    "Sigmoid": _on(_ROWS, Sigmoid),
    "Tanh": _on(_ROWS, Tanh),
    "GELU": _on(_ROWS, GELU),
    "SiLU": _on(_ROWS, SiLU),
    "Softplus": _on(_ROWS, Softplus),
    "Softmax": _on(_ROWS, Softmax),
    "LogSoftmax": _on(_ROWS, LogSoftmax),
    "BatchNorm1d": _on(_ROWS, lambda: BatchNorm1d(4)),
    "BatchNorm2d": _on(_IMAGES, lambda: BatchNorm2d(4)),
    "LayerNorm": _on(_IMAGES, lambda: LayerNorm((5, 4))),
    "GroupNorm": _on(_IMAGES, lambda: GroupNorm(2, 4)),
    "Dropout": _on(_IMAGES, lambda: Dropout(0.5, rng=0)),
    "Dropout2d": _on(_IMAGES, lambda: Dropout2d(0.5, rng=0)),
    "Sequential": _on(_ROWS, lambda: Sequential(shared := Linear(4, 4, rng=0), Tanh(), shared)),
    "Residual": _on(_IMAGES, lambda: Residual(Conv2d(4, 6, 3, padding=1, rng=0), Conv2d(4, 6, 1, rng=1))),
    "Concat": _on(_IMAGES, lambda: Concat(Conv2d(4, 2, 1, rng=0), Identity(), Conv2d(4, 3, 3, padding=1, rng=1))),
}
