"""Batch normalisation, with or without a ReLU, in compiled loops.

Two passes over the batch forward and two backward, where NumPy needs one for each of its functions. With x stored as
(P, C, N), the positions of an image, its channels and the images (see `batch_last`), over the M numbers of a channel,

    μ_k = x₁ + Σ (x − x₁) / n_k,   q_k = Σ (x − μ_k)²              of a piece of n_k numbers
    μ = Σ_k n_k μ_k / M,   σ² = Σ_k (q_k + n_k (μ_k − μ)²) / M      (1)
    r = 1 / √(σ² + ε)                                               (2)
    y = a (x − μ) + β,   a = γ r                                    (3)
    dγ = r Σ dy (x − μ),   dβ = Σ dy                                (4)
    dx = a dy + f (x − μ) + g,   f = −a r dγ/M,   g = −a dβ/M       (5)

with the equation numbers of `xpcnn.ops.batch_norm`. x₁ is the channel's first number: so a constant channel has
x − μ = 0, to the last bit. A piece fits into the processor's cache, where the pass for q_k finds it again. Sums of a
channel's N numbers are in their own type, sums of these in float64. If σ² overflows, the reference runs.
With a ReLU, negative y become 0, and dy counts where y > 0.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for computing the sample variance, 1983, equation 2.1 → (1)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...ops.batch_norm import (
    Shards,
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_relu_backward,
    batch_norm_relu_forward,
    check_inference,
    check_training,
    joined_statistics,
    joined_sums,
)
from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...typing import Cache, NDArray
from ..batch_last import batch_first, batch_last, chunks, refuses_batch
from ..memory import empty
from ..threads import PASS, parallel
from .loop import NAME, In1, In3, Out3, Sums1, contiguous, loop, refuses_numbers

PIECE = 1 << 16  # elements, or one position


@loop
def moments(x: In3, x1: In1, first: int, last: int, mean: Sums1, squares: Sums1) -> None:
    """μ_k and q_k of the positions `first` to `last`."""
    _, channels, images = x.shape
    number = x.dtype.type
    for p in range(first, last):
        for c in range(channels):
            start, s = x1[c], number(0)
            for n in range(images):
                s += x[p, c, n] - start
            mean[c] += s
    for c in range(channels):
        mean[c] = x1[c] + mean[c] / ((last - first) * images)
    for p in range(first, last):
        for c in range(channels):
            middle, q = number(mean[c]), number(0)
            for n in range(images):
                q += (x[p, c, n] - middle) ** 2
            squares[c] += q


@loop
def normalize(x: In3, mean: In1, a: In1, beta: In1, relu: bool, first: int, last: int, y: Out3) -> None:
    """(3), and with `relu` 0 for negative numbers."""
    _, channels, images = x.shape
    zero = x.dtype.type(0)
    for p in range(first, last):
        for c in range(channels):
            middle, factor, shift = mean[c], a[c], beta[c]
            if relu:
                for n in range(images):
                    s = factor * (x[p, c, n] - middle) + shift  # (3)
                    y[p, c, n] = zero if s <= 0 else s
            else:
                for n in range(images):
                    y[p, c, n] = factor * (x[p, c, n] - middle) + shift  # (3)


@loop
def sum_gradients(
    dy: In3, x: In3, y: In3, mean: In1, relu: bool, first: int, last: int, products: Sums1, sums: Sums1
) -> None:
    """The sums of (4)."""
    _, channels, images = x.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for p in range(first, last):
        for c in range(channels):
            middle, s, q = mean[c], zero, zero
            if relu:
                for n in range(images):
                    d = dy[p, c, n] * (one if y[p, c, n] > 0 else zero)
                    s += d
                    q += d * (x[p, c, n] - middle)
            else:
                for n in range(images):
                    d = dy[p, c, n]
                    s += d
                    q += d * (x[p, c, n] - middle)
            products[c] += q  # (4)
            sums[c] += s  # (4)


@loop
def input_gradient(
    dy: In3, x: In3, y: In3, mean: In1, a: In1, f: In1, g: In1, relu: bool, first: int, last: int, dx: Out3
) -> None:
    """(5)."""
    _, channels, images = x.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for p in range(first, last):
        for c in range(channels):
            middle, by_dy, by_x, shift = mean[c], a[c], f[c], g[c]
            if relu:
                for n in range(images):
                    d = by_dy * dy[p, c, n] * (one if y[p, c, n] > 0 else zero)
                    dx[p, c, n] = d + by_x * (x[p, c, n] - middle) + shift  # (5)
            else:
                for n in range(images):
                    dx[p, c, n] = by_dy * dy[p, c, n] + by_x * (x[p, c, n] - middle) + shift  # (5)


def refuses(x: Any, gamma: Any = None, beta: Any = None, *, eps: float = 1e-5, shards: Any = None) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_numbers(x) or refuses_batch(x, one=False)


def forward(
    x: NDArray,
    gamma: NDArray | None = None,
    beta: NDArray | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
    shards: Shards | None = None,
) -> tuple[NDArray, Cache, tuple[NDArray, NDArray]]:
    """`batch_norm_forward`, or with `relu` `batch_norm_relu_forward`, in compiled loops."""
    _, count = check_training(x, gamma, beta, eps, shards)
    rows = _rows(x)  # (P, C, N)
    mean, var = _statistics(rows, count)  # (C,) each                                             (1)
    if not (var < np.finfo(var.dtype).max ** 0.5).all():
        reference = batch_norm_relu_forward if relu else batch_norm_forward
        done: Any = reference(x, gamma, beta, eps=eps, shards=shards)
        return done[0], (None, batch_norm_relu_backward if relu else batch_norm_backward, done[1]), done[2]
    if shards is not None:
        joined: Any = joined_statistics(mean, var, count, shards)
        mean, var, count = joined
    r = 1 / np.sqrt(var + eps)  # (C,)                                                            (2)
    y = _normalize(rows, mean, r, gamma, beta, relu)
    cache = (rows, mean, r, gamma, beta is not None, x.shape, y if relu else None, count, shards)
    return _images(y, x.shape), cache, (mean, var)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`batch_norm_backward` or `batch_norm_relu_backward`, in compiled loops."""
    if cache[0] is None:
        _, reference, cache = cache
        gradients: tuple[NDArray | None, NDArray | None, NDArray | None] = reference(dy, cache, input_grad=input_grad)
        return gradients
    x, mean, r, gamma, has_beta, shape, y, count, shards = cache
    check_gradient("BatchNorm", dy, shape, x)
    rows, relu = _rows(dy), y is not None  # (P, C, N)
    after = y if relu else x
    products, sums = _sums(x, lambda at, q, s: sum_gradients(rows, x, after, mean, relu, at.start, at.stop, q, s), 4)
    dgamma, dbeta = r * products.sum(axis=0).astype(r.dtype), sums.sum(axis=0).astype(r.dtype)  # (C,) each  (4)
    dx = None
    if input_grad:
        all_dgamma, all_dbeta = (dgamma, dbeta) if shards is None else joined_sums(dgamma, dbeta, shards)
        a = r if gamma is None else gamma * r  # (C,)                                             (5)
        f, g = -a * r * (all_dgamma / count), -a * (all_dbeta / count)  # (C,) each               (5)
        dx = empty(x.shape, x.dtype)

        def work(at: slice) -> None:
            input_gradient(rows, x, after, mean, a, f, g, relu, at.start, at.stop, dx)

        parallel(work, _places(x), 4 * PASS * x.size)
    return None if dx is None else _images(dx, shape), None if gamma is None else dgamma, dbeta if has_beta else None


def inference(
    x: NDArray, gamma: NDArray | None, beta: NDArray | None, mean: NDArray, var: NDArray, *, eps: float = 1e-5
) -> NDArray:
    """`batch_norm_inference`, in compiled loops."""
    check_inference(x, gamma, beta, mean, var, eps)
    r = 1 / np.sqrt(var + eps) + 0 * var  # (C,); NaN where it overflowed                         (2)
    return _images(_normalize(_rows(x), contiguous(mean), r, gamma, beta, False), x.shape)


def refuses_inference(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, *, eps: float = 1e-5) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_numbers(x) or refuses_batch(x, one=False)


@np.errstate(over="ignore", invalid="ignore")  # after an overflow the reference runs
def _statistics(x: NDArray, count: int) -> tuple[NDArray, NDArray]:
    """μ and σ², (C,) each."""
    x1 = x[0, :, 0].copy()  # (C,)
    means, squares = _sums(x, lambda at, m, q: moments(x, x1, at.start, at.stop, m, q), 2)  # (k, C) each
    sizes = np.array([[(at.stop - at.start) * x.shape[2]] for at in _places(x)])  # (k, 1), n_k
    mean = x1 + np.sum((means - x1) * sizes, axis=0) / count  # (C,)                               (1)
    var = np.sum(squares + sizes * (means - mean) ** 2, axis=0) / count  # (C,)                   (1)
    return mean.astype(x.dtype), var.astype(x.dtype)


def _sums(x: NDArray, add: Callable[[slice, NDArray, NDArray], None], passes: int) -> tuple[NDArray, NDArray]:
    """Two sums for each piece and channel, (k, C) each, in float64."""
    places = _places(x)
    totals = np.zeros((2, len(places), x.shape[1]))
    parallel(lambda k: add(places[k], *totals[:, k]), range(len(places)), passes * PASS * x.size)
    return totals[0], totals[1]


def _normalize(
    x: NDArray, mean: NDArray, r: NDArray, gamma: NDArray | None, beta: NDArray | None, relu: bool
) -> NDArray:
    """(3), (P, C, N)."""
    y = empty(x.shape, x.dtype)
    a = r if gamma is None else gamma * r  # (C,)
    shift = np.zeros_like(mean) if beta is None else contiguous(beta)  # (C,)
    parallel(lambda at: normalize(x, mean, a, shift, relu, at.start, at.stop, y), _places(x), 2 * PASS * x.size)
    return y


def _places(x: NDArray) -> list[slice]:
    """The positions of each piece."""
    return chunks(len(x), max(1, PIECE // x[0].size))


def _rows(x: NDArray) -> NDArray:
    """(N, …, C) → (P, C, N); a view if the batch is last in memory."""
    return contiguous(batch_last(x)).reshape(-1, x.shape[-1], x.shape[0])


def _images(rows: NDArray, shape: tuple[int, ...]) -> NDArray:
    return batch_first(rows.reshape(*shape[1:], shape[0]))


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses_inference, inference, None)
WITH_RELU = Implementation(NAME, refuses, partial(forward, relu=True), backward)
