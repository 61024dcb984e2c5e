"""The gradients of batch norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import batch_norm_backward as library
from ...ops import batch_norm_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair
from ..plain import drawn


def _right(dy: NDArray, x: NDArray, gamma: NDArray, eps: float) -> Any:
    return library(dy, batch_norm_forward(x, gamma, np.zeros_like(gamma), eps=eps)[1])


def _pair(function: Any, dy: NDArray, x: NDArray, gamma: NDArray, eps: float) -> Pair:
    def forward(x: NDArray, gamma: NDArray, beta: NDArray) -> Any:
        return batch_norm_forward(x, gamma, beta, eps=eps)[0], (x, gamma)

    def backward(dy: NDArray, cache: Any) -> Any:
        return function(dy, *cache, eps)

    return forward, backward, {"dx": x, "dgamma": gamma, "dbeta": drawn(9, *gamma.shape)}


def _with(
    dx: Callable[[NDArray, NDArray, NDArray, NDArray, int], NDArray] | None = None,
    *,
    axes: str = "all",
    unbiased: bool = False,
    mean_of_parameters: bool = False,
) -> Any:
    def function(dy: NDArray, x: NDArray, gamma: NDArray, eps: float) -> Any:
        over = tuple(range(x.ndim - 1)) if axes == "all" else (0,)
        centred = x - x.mean(over, keepdims=True)
        m = dy[..., 0].size
        r = 1 / np.sqrt((centred**2).sum(over, keepdims=True) / (m - unbiased if axes == "all" else len(x)) + eps)
        x_hat = r * centred
        full = tuple(range(x.ndim - 1))
        dgamma, dbeta = (dy * x_hat).sum(full), dy.sum(full)
        made = (dx or _dx)(dy, x_hat, gamma, r, m)
        return made, dgamma / (m if mean_of_parameters else 1), dbeta / (m if mean_of_parameters else 1)

    return function


def _means(dy: NDArray, x_hat: NDArray) -> tuple[NDArray, NDArray]:
    over = tuple(range(dy.ndim - 1))
    return dy.mean(over, keepdims=True), (dy * x_hat).mean(over, keepdims=True)


def _dx(dy: NDArray, x_hat: NDArray, gamma: NDArray, r: NDArray, m: int) -> NDArray:
    of_dy, of_both = _means(dy, x_hat)
    made: NDArray = gamma * r * (dy - of_dy - x_hat * of_both)
    return made


def _cases() -> list[Case]:
    def case(step: str, *shape: int, eps: float = 1e-5) -> Case:
        x = 2 * drawn(0, *shape) + 1
        return Case(step, {"dy": drawn(1, *shape), "x": x, "gamma": 1 + 0.5 * drawn(2, shape[-1]), "eps": eps})

    return [
        case("one channel", 4, 1),
        case("several channels", 5, 3),
        case("images", 3, 2, 4, 2),
        case("a large eps", 4, 3, eps=0.5),
    ]


EXERCISE = Exercise(
    number=10,
    title="Batch norm, backward",
    text="""In forward, each channel's M numbers (all but the last axis) get mean 0 and variance 1, are
multiplied by γ, and β is added. x has three ways to the loss: through x̂ itself, through the mean, and through the
variance, which all M numbers share.""",
    formula="""μ = Σ x / M,   σ² = Σ (x − μ)² / M                                                (1)
x̂ = r·(x − μ),   r = 1/√(σ² + ε)                                                  (2)
y = γ·x̂ + β                                                                       (3)
dγ = Σ dy·x̂,   dβ = Σ dy                                                          (4)
dx = γ·r·(dy − dβ/M − x̂·dγ/M)                                                     (5)""",
    hint="""`axes = tuple(range(x.ndim - 1))` are all axes but the last, and M is `x[..., 0].size`. Compute x̂
and r as forward does, then dγ and dβ, and only then dx, which uses both.""",
    code='''import numpy as np


def batch_norm_backward(dy, x, gamma, eps):
    """dy and x (N, …, C), gamma (C,), eps a number → dx (N, …, C), dgamma (C,), dbeta (C,)."""
    dgamma = ...
    dbeta = ...
    dx = ...
    return dx, dgamma, dbeta
''',
    outputs={"dx": "", "dgamma": "c", "dbeta": "c"},
    cases=_cases,
    right=_right,
    pair=_pair,
    factors=lambda dy, *_: {"M, the numbers a channel": dy[..., 0].size, "N, the number of images": len(dy)},
    mistakes=(
        Mistake("mean and variance were constants", _with(lambda dy, h, g, r, m: g * r * dy)),
        Mistake("the variance were a constant", _with(lambda dy, h, g, r, m: g * r * (dy - _means(dy, h)[0]))),
        Mistake("the mean were a constant", _with(lambda dy, h, g, r, m: g * r * (dy - h * _means(dy, h)[1]))),
        Mistake("γ were forgotten in dx", _with(lambda dy, h, g, r, m: _dx(dy, h, 0 * g + 1, r, m))),
        Mistake("r = 1/√(σ² + ε) were forgotten in dx", _with(lambda dy, h, g, r, m: _dx(dy, h, g, 0 * r + 1, m))),
        Mistake(
            "dβ and dγ were not divided by M in dx",
            _with(lambda dy, h, g, r, m: g * r * (dy - m * _means(dy, h)[0] - h * m * _means(dy, h)[1])),
        ),
        Mistake("the variance were divided by M − 1", _with(unbiased=True)),
        Mistake("dγ and dβ were divided by M", _with(mean_of_parameters=True)),
        Mistake("mean and variance were taken over the images alone", _with(axes="batch")),
    ),
    line=Line("ops.batch_norm", "batch_norm_backward", (4, 5), "normalisation"),
)
