"""Batch normalisation, with or without a ReLU, in compiled loops.

Two passes over the batch forward and two backward, where NumPy needs one for each of its functions. Images keep their
memory order, the usual one or that with the batch last (see `channel_rows`). Over the M numbers of a channel,

    μ_k = x₁ + Σ (x − x₁) / n_k,   q_k = Σ (x − μ_k)²              of a piece of n_k numbers
    μ = Σ_k n_k μ_k / M,   σ² = Σ_k (q_k + n_k (μ_k − μ)²) / M      (1)
    r = 1 / √(σ² + ε)                                               (2)
    y = a (x − μ) + β,   a = γ r                                    (3)
    dγ = r Σ dy (x − μ),   dβ = Σ dy                                (4)
    dx = a dy + f (x − μ) + g,   f = −a r dγ/M,   g = −a dβ/M       (5)

with the equation numbers of `xpcnn.ops.batch_norm`. x₁ is the channel's first number: so a constant channel has
x − μ = 0, to the last bit. A piece fits into the processor's cache, where the pass for q_k finds it again. Sums of a
channel's N numbers at a position, or of those in 16 rows, are in their own type, sums of these in float64. If σ²
overflows, the reference runs.
With a ReLU, negative y become 0, and dy counts where y > 0; with a ReLU6, y is at most 6, and dy counts below.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for computing the sample variance, 1983, equation 2.1 → (1)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...ops.batch_norm import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_relu_backward,
    batch_norm_relu_forward,
    check_inference,
    check_training,
)
from ...ops.batch_norm_shards import Shards, joined_statistics, joined_sums
from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...typing import Cache, NDArray
from ..batch_last import chunks, is_batch_last, refuses_batch
from ..elementwise import refuses_run
from ..memory import empty
from ..threads import PASS, parallel
from . import batch_norm_loops as loops
from .channel_rows import ChannelRows
from .loop import NAME, refuses_numbers

PIECE = 1 << 16  # elements, or one row


def refuses(x: Any, gamma: Any = None, beta: Any = None, *, eps: float = 1e-5, **options: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(x) or refuses_run(x)
    return reason or (refuses_batch(x) if x.ndim < 2 or is_batch_last(x) else None)


def forward(
    x: NDArray,
    gamma: NDArray | None = None,
    beta: NDArray | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
    relu6: bool = False,
    shards: Shards | None = None,
) -> tuple[NDArray, Cache, tuple[NDArray, NDArray]]:
    """`batch_norm_forward`, or with `relu` `batch_norm_relu_forward`, in compiled loops."""
    _, count = check_training(x, gamma, beta, eps, shards)
    order = ChannelRows(x)
    rows = order.rows(x)  # (M, L)
    mean, var = _statistics(rows, order)  # (C,) each                                             (1)
    if not (var < np.finfo(var.dtype).max ** 0.5).all():
        reference = partial(batch_norm_relu_forward, relu6=relu6) if relu else batch_norm_forward
        done: Any = reference(x, gamma, beta, eps=eps, shards=shards)
        return done[0], (None, batch_norm_relu_backward if relu else batch_norm_backward, done[1]), done[2]
    if shards is not None:
        joined: Any = joined_statistics(mean, var, count, shards)
        mean, var, count = joined
    r = 1 / np.sqrt(var + eps)  # (C,)                                                            (2)
    y = _normalize(rows, order, mean, r, gamma, beta, relu, relu6)
    cache = (rows, order, mean, r, gamma, beta is not None, y if relu else None, relu6, count, shards)
    return order.batch(y), cache, (mean, var)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`batch_norm_backward` or `batch_norm_relu_backward`, in compiled loops."""
    if cache[0] is None:
        _, reference, cache = cache
        gradients: tuple[NDArray | None, NDArray | None, NDArray | None] = reference(dy, cache, input_grad=input_grad)
        return gradients
    x, order, mean, r, gamma, has_beta, y, relu6, count, shards = cache
    check_gradient("BatchNorm", dy, order.shape, x)
    rows, relu = order.rows(dy), y is not None  # (M, L)
    upper = 6.0 if relu6 else 0.0  # a positive y of which dy does not count
    after = y if relu else x
    products, dbeta = _gradient_sums(rows, x, after, order, mean, relu, upper)  # (C,) each              (4)
    dgamma = r * products  # (C,)                                                                 (4)
    dx = None
    if input_grad:
        all_dgamma, all_dbeta = (dgamma, dbeta) if shards is None else joined_sums(dgamma, dbeta, shards)
        a = r if gamma is None else gamma * r  # (C,)                                             (5)
        f, g = -a * r * (all_dgamma / count), -a * (all_dbeta / count)  # (C,) each               (5)
        dx = empty(x.shape, x.dtype)
        factors = order.spread(mean, a, f, g)  # (4, L)

        def work(at: slice) -> None:
            loops.input_gradient(rows, x, after, factors, relu, upper, at.start, at.stop, dx)

        parallel(work, _pieces(x), 4 * PASS * x.size)
    return None if dx is None else order.batch(dx), None if gamma is None else dgamma, dbeta if has_beta else None


def inference(
    x: NDArray, gamma: NDArray | None, beta: NDArray | None, mean: NDArray, var: NDArray, *, eps: float = 1e-5
) -> NDArray:
    """`batch_norm_inference`, in compiled loops."""
    check_inference(x, gamma, beta, mean, var, eps)
    order, r = ChannelRows(x), 1 / np.sqrt(var + eps) + 0 * var  # (C,); NaN where it overflowed  (2)
    return order.batch(_normalize(order.rows(x), order, mean, r, gamma, beta, False, False))


def refuses_inference(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, *, eps: float = 1e-5) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses(x)


def _statistics(x: NDArray, order: ChannelRows) -> tuple[NDArray, NDArray]:
    """μ and σ², (C,) each."""
    x1 = order.batch(x)[(0,) * (len(order.shape) - 1)].copy()  # (C,)
    if order.batch_is_last:
        runs = order.runs(x)

        def add(at: slice, m: NDArray, q: NDArray) -> None:
            loops.moments(runs, x1, at.start, at.stop, m, q)
    else:
        (origin,) = order.spread(x1)  # (L,)

        def add(at: slice, m: NDArray, q: NDArray) -> None:
            loops.moments_of_rows(x, origin, at.start, at.stop, np.empty((2, len(origin)), x.dtype), m, q)

    means, squares = _sums(x, order, add, 2)  # (k, C), or (k, L) each
    times = order.together if order.batch_is_last else 1
    sizes = np.array([(at.stop - at.start) * times for at in _pieces(x)])  # (k,), n_k
    mean, var = np.zeros((2, len(x1)))  # (C,) each
    loops.statistics(x1, means, squares, sizes, mean, var)  # (1)
    with np.errstate(over="ignore"):  # then the reference runs
        return mean.astype(x.dtype), var.astype(x.dtype)


def _gradient_sums(
    dy: NDArray, x: NDArray, y: NDArray, order: ChannelRows, mean: NDArray, relu: bool, upper: float
) -> tuple[NDArray, NDArray]:
    """The sums of (4), (C,) each."""
    if order.batch_is_last:
        runs = [order.runs(each) for each in (dy, x, y)]

        def add(at: slice, q: NDArray, s: NDArray) -> None:
            loops.sum_gradients(*runs, mean, relu, upper, at.start, at.stop, q, s)
    else:
        (middle,) = order.spread(mean)  # (L,)

        def add(at: slice, q: NDArray, s: NDArray) -> None:
            scratch = np.empty((2, len(middle)), x.dtype)
            loops.sum_gradients_of_rows(dy, x, y, middle, relu, upper, at.start, at.stop, scratch, q, s)

    products, sums = _sums(x, order, add, 4).reshape(2, -1, order.channels).sum(axis=1).astype(x.dtype)
    return products, sums


def _sums(x: NDArray, order: ChannelRows, add: Callable[[slice, NDArray, NDArray], None], passes: int) -> NDArray:
    """Two sums of some numbers of each channel, (2, k, C) or (2, k, L), in float64."""
    pieces = _pieces(x)
    totals = np.zeros((2, len(pieces), order.channels if order.batch_is_last else x.shape[1]))
    parallel(lambda k: add(pieces[k], *totals[:, k]), range(len(pieces)), passes * PASS * x.size)
    return totals


def _normalize(
    x: NDArray,
    order: ChannelRows,
    mean: NDArray,
    r: NDArray,
    gamma: NDArray | None,
    beta: NDArray | None,
    relu: bool,
    relu6: bool,
) -> NDArray:
    """(3), (M, L)."""
    y, most = empty(x.shape, x.dtype), 6.0 if relu6 else math.inf
    a = r if gamma is None else gamma * r  # (C,)
    factors = order.spread(mean, a, np.zeros_like(mean) if beta is None else beta)  # (3, L)

    def work(at: slice) -> None:
        loops.normalize(x, factors, relu, most, at.start, at.stop, y)

    parallel(work, _pieces(x), 2 * PASS * x.size)
    return y


def _pieces(x: NDArray) -> list[slice]:
    """The rows of each piece."""
    return chunks(len(x), max(1, PIECE // x.shape[1]))


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses_inference, inference, None)
WITH_RELU = Implementation(NAME, refuses, partial(forward, relu=True), backward)
