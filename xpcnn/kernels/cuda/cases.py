"""Small calls of each operation, on which `proof.py` compares the kernels with the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops.window import Window
from .kernel import Array

Case = Callable[[str], tuple[tuple[Any, ...], dict[str, Any]]]


def normal(dtype: str, *shape: int, seed: int = 0) -> Array:
    """An array of that shape on the device, the same each time, of sixteenths: TF32 keeps all their digits, too."""
    import cupy

    return cupy.asarray((np.random.default_rng([seed, *shape]).normal(scale=16, size=shape).round() / 16).astype(dtype))


def _convolution(shape: tuple[int, ...], filters: int, window: Window, groups: int = 1, *, fused: bool = False) -> Case:
    def make(dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, w = normal(dtype, *shape), normal(dtype, filters, *window.kernel, shape[3] // groups)
        options: dict[str, Any] = {"window": window, "groups": groups}
        if fused:
            options |= {"scale": normal(dtype, filters, seed=1), "relu": True}
        return (x, w, normal(dtype, filters)), options

    return make


def _convolutions(**options: Any) -> list[Case]:
    return [
        _convolution((3, 7, 6, 4), 6, Window(3, (2, 1), (1, 0, 2, 1), (1, 2)), **options),
        _convolution((2, 10, 9, 6), 4, Window((2, 3), 3, (2, 1, 1, 0)), 2, **options),
        _convolution((2, 11, 15, 3), 6, Window((3, 2), (2, 3), (1, 2, 2, 0), (3, 2)), 3, **options),
        _convolution((2, 4, 4, 5), 3, Window(1), **options),
        _convolution((5, 9, 9, 2), 3, Window(3, 1, 1), **options),  # more positions than a part of a sum has
        _convolution((5, 9, 9, 2), 2, Window(3, 1, 1), 2, **options),
    ]


def _call(*shapes: tuple[int, ...], **options: Any) -> Case:
    """A call with normally distributed arrays of these shapes; a variance is positive."""
    return lambda dtype: (tuple(normal(dtype, *shape, seed=n) for n, shape in enumerate(shapes)), options)


def _statistics(dtype: str) -> tuple[Any, ...]:
    return normal(dtype, 5), normal(dtype, 5, seed=1) ** 2


def _loss(*, last: int = 0, **options: Any) -> Case:
    def make(dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import cupy

        given = {name: normal(dtype, 7) ** 2 if name == "weight" else value for name, value in options.items()}
        return (normal(dtype, 9, 7), cupy.asarray(np.arange(9) % 7 + last * (np.arange(9) == 8))), given

    return make


def _images(dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    import cupy

    images = np.random.default_rng(0).integers(256, size=(7, 3, 2, 2), dtype=np.uint8)
    return (cupy.asarray(images), cupy.asarray(np.array([6, 0, 3, 3]))), {"scale": 255.0}


def _shifts(dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    import cupy

    moves = (cupy.asarray(np.array(each)) for each in ([0, 2, -1], [-3, 1, 0]))
    return (normal(dtype, 3, 4, 5, 2), *moves), {"fill": 0.5}


def _joined(*shapes: tuple[int, ...]) -> Case:
    """Whole numbers, of which many are equal; NaN and infinity."""

    def make(dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import cupy

        numbers = np.array([-2, -1, 0, 1, 2, math.inf, math.nan])
        chances = [0.1, 0.25, 0.25, 0.25, 0.1, 0.02, 0.03]
        rng = np.random.default_rng(0)
        return (tuple(cupy.asarray(rng.choice(numbers, shape, p=chances).astype(dtype)) for shape in shapes),), {}

    return make


def _activation(**options: float) -> Case:
    """Numbers on both sides of each bound and corner, and the limits."""

    def make(dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import cupy

        corners = [-math.inf, -1e5, -41, -6, -3, -1.5, -0.0, 0.0, 1.5, 3, 6, 41, 1e5, math.inf, math.nan]
        numbers = np.concatenate([3 * np.random.default_rng(0).normal(size=45), corners]).astype(dtype)
        return (cupy.asarray(numbers.reshape(4, 15)),), options

    return make


_ALPHA = [_activation(alpha=1.0), _activation(alpha=0.3)]
ACTIVATIONS: dict[str, list[Case]] = {
    "leaky_relu": [_activation(negative_slope=0.1), _activation(negative_slope=-0.5)],
    "elu": _ALPHA,
    "celu": _ALPHA,
    "hard_sigmoid": [_activation(alpha=1 / 6, beta=0.5), _activation(alpha=0.2, beta=0.1)],
    "clip": [_activation(low=-1.5, high=3.0), _activation(low=-math.inf, high=0.0), _activation(low=-1e300, high=6.0)],
} | {
    op: [_activation()]
    for op in ("relu", "selu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "softplus", "relu6", "hard_swish",
               "mish", "softsign")
}  # fmt: skip
_JOINS = [
    _joined((3, 4, 5, 6), (3, 4, 5, 6)),
    _joined((3, 1, 1, 6), (3, 4, 5, 6), (6,)),
    _joined((3, 4, 1), (4, 5), (), (3, 1, 5)),
]
_POOLS = (Window(2, 2), Window((2, 3), (3, 4), (1, 0, 0, 1), (1, 2)), Window((3, 2), 1, 1))
_AVERAGED = Window((4, 3), (2, 3), (2, 1, 1, 0), (3, 2), ceil=True)
_NORMS = [_call((40, 3, 2, 5), (5,), (5,)), _call((3, 4))]
CASES: dict[str, list[Case]] = ACTIVATIONS | {
    "conv2d": _convolutions(),
    "conv2d_inference": _convolutions(fused=True),
    "max_pool2d": [_call((2, 10, 13, 3), window=window) for window in _POOLS],
    "max_pool2d_inference": [_call((2, 10, 13, 3), window=window) for window in _POOLS],
    "avg_pool2d": [
        _call((2, 9, 7, 3), window=Window((3, 2), (3, 2))),
        *(_call((2, 14, 12, 3), window=_AVERAGED, count_include_pad=counted) for counted in (False, True)),
    ],
    "global_avg_pool2d": [_call((3, 4, 5, 6))],
    "batch_norm": _NORMS,
    "batch_norm_relu": [*_NORMS, _call((40, 3, 2, 5), (5,), (5,), relu6=True)],
    "batch_norm_add": [
        _call((40, 3, 2, 5), (40, 3, 2, 5), (5,), (5,), relu=True),
        _call((3, 4), (3, 4)),
    ],
    "batch_norm_inference": [
        lambda dtype: ((normal(dtype, 6, 5), normal(dtype, 5), normal(dtype, 5, seed=2), *_statistics(dtype)), {})
    ],
    "batch_norm_affine": [
        lambda dtype: ((normal(dtype, 5), None, *_statistics(dtype), normal(dtype, 5, seed=3)), {}),
        lambda dtype: ((None, normal(dtype, 5), *_statistics(dtype)), {}),
    ],
    "running_statistics": [lambda dtype: ((*_statistics(dtype), *_statistics(dtype)), {"momentum": 0.1, "count": 12})],
    **{op: _JOINS for op in ("add_join", "multiply", "maximum", "minimum")},
    "prelu": [_call((3, 4, 5), (5,)), _call((200, 5), (1,)), _call((7,), (1,))],
    "zero_pad": [_call((2, 3, 4, 5), widths=[(1, 0), (0, 2), (3, 1)]), _call((2, 3), widths=[(0, 2)])],
    "gather_images": [_images],
    "shift_images": [_shifts],
    "cross_entropy": [
        _loss(),
        _loss(label_smoothing=0.1, weight=True),
        _loss(weight=True, reduction="sum"),
        _loss(ignore_index=3),
        _loss(last=9),  # no class
    ],
}
