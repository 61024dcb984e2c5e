"""Random layers of every kind, each with a suitable random input."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from xpcnn import nn
from xpcnn.errors import ShapeError
from xpcnn.nn import Layer
from xpcnn.nn.layer_examples import EXAMPLES

_DRAWS = 20

Rng = np.random.Generator
Made = tuple[Layer, np.ndarray[Any, np.dtype[np.float64]]]


def random_layer(name: str, rng: Rng) -> Made:
    """A layer of that kind and an input (N, …), float64.

    Kinds with a geometry get a random one; for the others, their example with a random batch.
    """
    for _ in range(_DRAWS if name in _RANDOM else 0):
        layer, x = _RANDOM[name](rng)
        with suppress(ShapeError):  # for example, a window that covers only padding is refused
            layer.output_shape(x.shape[1:])
            return layer, x
    layer, x = EXAMPLES[name]()
    shape = (batch(rng), *x.shape[1:])
    return layer, rng.uniform(0.2, 3, shape) if (x > 0).all() else rng.normal(size=shape)  # some, as Log, need x > 0


def batch(rng: Rng) -> int:
    """A few images, or enough for the fast implementations; at least two, for batch norm."""
    return int(rng.choice([2, 3, 8, 9]))


def pair(rng: Rng, low: int, high: int) -> tuple[int, int]:
    return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))


def images(rng: Rng, size: tuple[int, int], channels: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return rng.normal(size=(batch(rng), *size, channels))


def sequences(rng: Rng, length: int, channels: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return rng.normal(size=(batch(rng), length, channels))


def fitting(rng: Rng, kernel: tuple[int, int], dilation: tuple[int, int], padding: Any) -> tuple[int, int]:
    """An image's size that the window fits into."""
    pads = padding if isinstance(padding, tuple) else (0, 0, 0, 0)
    reach = [dilation[i] * (kernel[i] - 1) + 1 - pads[2 * i] - pads[2 * i + 1] for i in (0, 1)]
    return max(1, reach[0]) + int(rng.integers(5)), max(1, reach[1]) + int(rng.integers(5))


def four(rng: Rng, most: int) -> tuple[int, int, int, int]:
    return (*pair(rng, 0, most), *pair(rng, 0, most))


def _conv(rng: Rng) -> Made:
    groups = int(rng.integers(1, 4))
    wide = rng.random() < 0.2  # enough channels for Winograd's algorithm
    into, out = (8, 8) if wide else (groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4)))
    kernel, stride, dilation = ((3, 3), (1, 1), (1, 1)) if wide else (pair(rng, 1, 3), pair(rng, 1, 3), pair(rng, 1, 2))
    padding: Any = "same" if rng.random() < 0.2 else four(rng, 3)
    layer = nn.Conv2d(
        into, out, kernel, stride=stride, padding=padding, dilation=dilation, groups=1 if wide else groups,
        bias=bool(rng.random() < 0.7), rng=rng,
    )  # fmt: skip
    return layer, images(rng, fitting(rng, kernel, dilation, padding), into)


def _transposed(rng: Rng) -> Made:
    groups = int(rng.integers(1, 4))
    into, out = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    kernel, stride, dilation = pair(rng, 1, 3), pair(rng, 1, 3), pair(rng, 1, 2)
    padding = four(rng, 1)
    layer = nn.ConvTranspose2d(
        into, out, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups,
        bias=bool(rng.random() < 0.7), rng=rng,
    )  # fmt: skip
    return layer, images(rng, (3 + int(rng.integers(3)), 3 + int(rng.integers(3))), into)


def _max_pool(rng: Rng) -> Made:
    kernel, dilation = pair(rng, 1, 3), pair(rng, 1, 2)
    pads = (*(int(rng.integers(kernel[0] // 2 + 1)),) * 2, *(int(rng.integers(kernel[1] // 2 + 1)),) * 2)
    layer = nn.MaxPool2d(
        kernel, stride=pair(rng, 1, 3), padding=pads, dilation=dilation, ceil_mode=bool(rng.random() < 0.5)
    )
    return layer, images(rng, fitting(rng, kernel, dilation, pads), int(rng.integers(1, 4)))


def _avg_pool(rng: Rng) -> Made:
    kernel = pair(rng, 1, 3)
    pads = (*(int(rng.integers(kernel[0] // 2 + 1)),) * 2, *(int(rng.integers(kernel[1] // 2 + 1)),) * 2)
    layer = nn.AvgPool2d(
        kernel, stride=pair(rng, 1, 3), padding=pads, ceil_mode=bool(rng.random() < 0.5),
        count_include_pad=bool(rng.random() < 0.5),
    )  # fmt: skip
    return layer, images(rng, fitting(rng, kernel, (1, 1), pads), int(rng.integers(1, 4)))


def _of_sequences(rng: Rng) -> tuple[int, int, int, tuple[int, int], int]:
    """A kernel, a stride, a dilation, a padding at both ends, and a length that the window fits into."""
    kernel, stride, dilation = (int(rng.integers(1, most + 1)) for most in (4, 3, 2))
    padding = pair(rng, 0, 3)
    return kernel, stride, dilation, padding, max(1, dilation * (kernel - 1) + 1 - sum(padding)) + int(rng.integers(5))


def _conv1d(rng: Rng) -> Made:
    groups = int(rng.integers(1, 4))
    into, out = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    kernel, stride, dilation, padding, length = _of_sequences(rng)
    layer = nn.Conv1d(
        into, out, kernel, stride=stride, padding="same" if rng.random() < 0.2 else padding, dilation=dilation,
        groups=groups, bias=bool(rng.random() < 0.7), rng=rng,
    )  # fmt: skip
    return layer, sequences(rng, length, into)


def _transposed1d(rng: Rng) -> Made:
    groups = int(rng.integers(1, 4))
    into, out = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    kernel, stride, dilation, _, _ = _of_sequences(rng)
    layer = nn.ConvTranspose1d(
        into, out, kernel, stride=stride, padding=pair(rng, 0, 1), dilation=dilation, groups=groups,
        bias=bool(rng.random() < 0.7), rng=rng,
    )  # fmt: skip
    return layer, sequences(rng, 3 + int(rng.integers(3)), into)


def _max_pool1d(rng: Rng) -> Made:
    kernel, stride, dilation, _, length = _of_sequences(rng)
    padding = int(rng.integers(kernel // 2 + 1))
    layer = nn.MaxPool1d(kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=bool(rng.random() < 0.5))
    return layer, sequences(rng, length, int(rng.integers(1, 4)))


def _avg_pool1d(rng: Rng) -> Made:
    kernel, stride, _, _, length = _of_sequences(rng)
    layer = nn.AvgPool1d(
        kernel, stride=stride, padding=int(rng.integers(kernel // 2 + 1)), ceil_mode=bool(rng.random() < 0.5),
        count_include_pad=bool(rng.random() < 0.5),
    )  # fmt: skip
    return layer, sequences(rng, length + kernel, int(rng.integers(1, 4)))


def _upsample(rng: Rng) -> Layer:
    how: dict[str, Any] = {"mode": "bilinear", "align_corners": bool(rng.random() < 0.5)}
    kind = rng.integers(3)
    if kind == 0:
        return nn.Upsample(pair(rng, 1, 3))
    return (
        nn.Upsample(size=pair(rng, 1, 9), **how) if kind == 1 else nn.Upsample((1.3, float(rng.uniform(1, 3))), **how)
    )


def _anywhere(make: Callable[[Rng, int], Layer]) -> Callable[[Rng], Made]:
    """For images of any size with a few channels."""

    def made(rng: Rng) -> Made:
        channels = int(rng.integers(1, 5))
        return make(rng, channels), images(rng, pair(rng, 1, 6), channels)

    return made


def _group_norm(rng: Rng) -> Made:
    groups, each = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    return nn.GroupNorm(groups, groups * each), images(rng, pair(rng, 2, 4), groups * each)


def _layer_norm(rng: Rng) -> Made:
    x = images(rng, pair(rng, 2, 4), int(rng.integers(2, 5)))
    axes = int(rng.integers(1, 4))
    return nn.LayerNorm(x.shape[-axes:], bias=bool(rng.random() < 0.5)), x


def _linear(rng: Rng) -> Made:
    into, out = (int(n) for n in rng.integers(1, 7, 2))
    return nn.Linear(into, out, bias=bool(rng.random() < 0.7), rng=rng), rng.normal(size=(batch(rng), into))


_RANDOM: dict[str, Callable[[Rng], Made]] = {
    "Conv2d": _conv,
    "ConvTranspose2d": _transposed,
    "MaxPool2d": _max_pool,
    "AvgPool2d": _avg_pool,
    "Conv1d": _conv1d,
    "ConvTranspose1d": _transposed1d,
    "MaxPool1d": _max_pool1d,
    "AvgPool1d": _avg_pool1d,
    "AdaptiveAvgPool2d": _anywhere(lambda rng, _: nn.AdaptiveAvgPool2d(pair(rng, 1, 5))),
    "GlobalMaxPool2d": _anywhere(lambda rng, _: nn.GlobalMaxPool2d()),
    "GlobalAvgPool2d": _anywhere(lambda rng, _: nn.GlobalAvgPool2d()),
    "ZeroPad2d": _anywhere(lambda rng, _: nn.ZeroPad2d(four(rng, 3))),
    "ZeroPadChannels": _anywhere(lambda rng, _: nn.ZeroPadChannels(*pair(rng, 0, 3))),
    "Upsample": _anywhere(lambda rng, _: _upsample(rng)),
    "Flatten": _anywhere(lambda rng, _: nn.Flatten()),
    "PReLU": _anywhere(lambda rng, channels: nn.PReLU(channels)),
    "BatchNorm2d": _anywhere(lambda rng, channels: nn.BatchNorm2d(channels, affine=bool(rng.random() < 0.7))),
    "Linear": _linear,
    "GroupNorm": _group_norm,
    "LayerNorm": _layer_norm,
}
