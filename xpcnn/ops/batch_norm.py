"""Batch normalisation, and its gradients.

Over the M numbers x of one channel, at all positions of all images of a batch,

    μ = Σ x / M,   σ² = Σ (x − μ)² / M                                     (1)
    x̂ = r (x − μ),   r = 1 / √(σ² + ε)                                     (2)
    y = γ x̂ + β                                                            (3)

with γ and β learned, one of each per channel. (μ is computed as x₁ + Σ (x − x₁) / M, and r is right even where σ²
overflows: see `xpcnn.ops.norm`.) The gradients are

    dγ = Σ dy · x̂,   dβ = Σ dy                                             (4)
    dx = γ r (dy − dβ/M − x̂ · dγ/M)                                        (5)

(5) is equation 5 of `xpcnn.ops.norm`, dx = r (g − mean(g) − x̂ · mean(g x̂)), which is derived there: with one γ
for the whole channel, the mean of g = γ dy is γ dβ/M, and the mean of g x̂ is γ dγ/M.

In inference, μ and σ² are given; usually they are running averages from training, which each batch moves by a share m,
with the variance over M − 1. (3) is then an affine map of each channel:

    y = s x + t,   s = γ / √(σ² + ε),   t = β − s μ                        (8)
    μ̄ ← (1 − m) μ̄ + m μ,   σ̄² ← (1 − m) σ̄² + m σ² · M/(M − 1)              (9)

A batch may be in shards. Then M, μ, σ² and the sums in (5) are those of all shards, by equations 6 and 7, which are in
`xpcnn.ops.batch_norm_shards`.

Source: S. Ioffe and C. Szegedy, Batch normalization, 2015, algorithm 1 and section 3
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import array_namespace
from ..typing import Array, Cache
from .add import add
from .batch_norm_shards import Shards, enough, joined_statistics, joined_sums
from .check import check_array, check_floats, check_gradient
from .hard_activation import relu6_backward, relu6_forward
from .norm import affine, check_norm, check_shape, deviation, sum_rows
from .rectifier import relu_backward, relu_forward


def batch_norm_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    eps: float = 1e-5,
    shards: Shards | None = None,
) -> tuple[Array, Cache, tuple[Array, Array]]:
    """Normalise each channel over all axes but the last, with the batch's own statistics; (1) to (3).

    Parameters
        x : Array (N, …, C), float: (N, C) or (N, H, W, C)
        gamma, beta : Array (C,) of x's dtype, or None for 1 and 0
        eps : ε > 0
        shards : if x is a shard: then the statistics, and the sums of backward, are those of the whole batch
    Returns
        y : Array (N, …, C)
        cache : for `batch_norm_backward`; refers to gamma, holds x̂ and r
        statistics : the batch's mean and (biased) variance, two Arrays (C,)
    Raises
        ShapeError : they do not fit together, or a channel has only one value, and so no variance
        OptionError, DTypeError

    >>> import numpy as np
    >>> y, cache, (mean, var) = batch_norm_forward(np.array([[1.0, 5.0], [3.0, 9.0]]))
    >>> y.round(3), mean, var
    (array([[-1., -1.],
           [ 1.,  1.]]), array([2., 7.]), array([1., 4.]))
    """
    xp, count = check_training(x, gamma, beta, eps, shards)
    first = x[(*[0] * (x.ndim - 1), ...)]  # (C,), x₁
    x_hat = x - first  # (N, …, C)
    offset = sum_rows(x_hat, xp) / count  # (C,)
    x_hat -= offset  # (N, …, C)
    mean = first + offset  # (C,)
    if shards is None:
        var, r = deviation(x_hat, lambda each: sum_rows(each, xp) / count, eps, xp)  # (C,) each           (1), (2)
    else:
        whole, var, count = joined_statistics(mean, sum_rows(x_hat * x_hat, xp) / count, count, shards)
        x_hat -= whole - mean  # (N, …, C)
        mean, r = whole, 1 / xp.sqrt(var + eps) + 0 * var  # (C,) each; NaN where σ² overflowed            (2)
    x_hat *= r  # (N, …, C)                                                (2)
    return affine(x_hat, gamma, beta), (x_hat, r, gamma, beta is not None, count, shards), (mean, var)


def batch_norm_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `batch_norm_forward`, (4) and (5).

    Parameters
        dy : Array (N, …, C)
        input_grad : False leaves dx out
    Returns
        dx : Array (N, …, C), or None
        dgamma, dbeta : Array (C,), or None if forward had none

    >>> import numpy as np
    >>> y, cache, _ = batch_norm_forward(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1))
    >>> dx, dgamma, dbeta = batch_norm_backward(np.ones_like(y), cache)
    >>> dgamma.round(4), dbeta.round(4)
    (array([0.]), array([2.]))
    """
    x_hat, r, gamma, has_beta, count, shards = cache
    xp = check_gradient("BatchNorm", dy, x_hat.shape, x_hat)
    dgamma = sum_rows(dy * x_hat, xp)  # (C,)                              (4)
    dbeta = sum_rows(dy, xp)  # (C,)                                       (4)
    dx = None
    if input_grad:
        all_dgamma, all_dbeta = (dgamma, dbeta) if shards is None else joined_sums(dgamma, dbeta, shards)
        dx = dy - all_dbeta / count  # (N, …, C)
        dx -= x_hat * (all_dgamma / count)
        dx *= r if gamma is None else gamma * r  # (5)
    return dx, None if gamma is None else dgamma, dbeta if has_beta else None


def batch_norm_relu_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    eps: float = 1e-5,
    shards: Shards | None = None,
    relu6: bool = False,
) -> tuple[Array, Cache, tuple[Array, Array]]:
    """`batch_norm_forward` followed by ReLU, or with `relu6` by ReLU6; the other arguments and results are the same.

    >>> import numpy as np
    >>> y, cache, (mean, var) = batch_norm_relu_forward(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1))
    >>> y.round(4)
    array([[0.],
           [1.]])
    """
    y, cache, statistics = batch_norm_forward(x, gamma, beta, eps=eps, shards=shards)
    y, relu_cache = relu6_forward(y) if relu6 else relu_forward(y)
    return y, (cache, relu_cache, relu6), statistics


def batch_norm_relu_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `batch_norm_relu_forward`; same arguments and results as `batch_norm_backward`.

    >>> import numpy as np
    >>> y, cache, _ = batch_norm_relu_forward(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1))
    >>> dx, dgamma, dbeta = batch_norm_relu_backward(np.ones_like(y), cache)
    >>> dgamma.round(4), dbeta.round(4)
    (array([1.]), array([1.]))
    """
    cache, relu_cache, relu6 = cache
    dy = relu6_backward(dy, relu_cache) if relu6 else relu_backward(dy, relu_cache)
    return batch_norm_backward(dy, cache, input_grad=input_grad)


def batch_norm_add_forward(
    x: Array,
    added: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
    shards: Shards | None = None,
) -> tuple[Array, Cache, tuple[Array, Array]]:
    """`batch_norm_forward`, then the sum with `added`, of x's shape, and with `relu` ReLU: the end of a residual block.

    >>> import numpy as np
    >>> x, added = np.array([[1.0], [3.0]]), np.array([[0.5], [0.5]])
    >>> y, cache, (mean, var) = batch_norm_add_forward(x, added, relu=True)
    >>> y.round(4)
    array([[0. ],
           [1.5]])
    """
    y, cache, statistics = batch_norm_forward(x, gamma, beta, eps=eps, shards=shards)
    y, relu_cache = relu_forward(add(y, added)) if relu else (add(y, added), None)
    return y, (cache, relu_cache), statistics


def batch_norm_add_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True
) -> tuple[Array | None, Array, Array | None, Array | None]:
    """The gradients of `batch_norm_add_forward`: dx, that of `added`, dgamma and dbeta.

    >>> import numpy as np
    >>> y, cache, _ = batch_norm_add_forward(np.array([[1.0], [3.0]]), np.array([[0.5], [0.5]]), relu=True)
    >>> dx, dadded, dgamma, dbeta = batch_norm_add_backward(np.ones_like(y), cache)
    >>> dadded
    array([[0.],
           [1.]])
    """
    cache, relu_cache = cache
    dy = dy if relu_cache is None else relu_backward(dy, relu_cache)
    dx, dgamma, dbeta = batch_norm_backward(dy, cache, input_grad=input_grad)
    return dx, dy, dgamma, dbeta


def batch_norm_inference(
    x: Array, gamma: Array | None, beta: Array | None, mean: Array, var: Array, *, eps: float = 1e-5
) -> Array:
    """Normalise each channel with the given statistics; (2), (3).

    Parameters
        x : Array (N, …, C), float
        gamma, beta : Array (C,) of x's dtype, or None for 1 and 0
        mean, var : Array (C,) of x's dtype
        eps : ε > 0
    Returns
        y : Array (N, …, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> batch_norm_inference(np.array([[3.0]]), None, None, np.array([1.0]), np.array([4.0])).round(3)
    array([[1.]])
    """
    xp = check_inference(x, gamma, beta, mean, var, eps)
    y = x - mean  # (N, …, C)
    r = 1 / xp.sqrt(var + eps) + 0 * var  # (C,); NaN where it overflowed  (2)
    y *= r if gamma is None else gamma * r  # (2), (3)
    if beta is not None:
        y += beta  # (3)
    return y


def batch_norm_affine(
    gamma: Array | None, beta: Array | None, mean: Array, var: Array, b: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array]:
    """Batch norm with given statistics as an affine map y = s x + t of each channel, (8); b, if given, is added to x.

    Parameters
        gamma, beta, b : Array (C,), or None for 1, 0 and 0
        mean, var : Array (C,)
        eps : ε > 0
    Returns
        s, t : Array (C,) each
    """
    s = 1 / array_namespace(var).sqrt(var + eps) + 0 * var  # NaN where it overflowed            (2)
    if gamma is not None:
        s = s * gamma
    t = s * (-mean if b is None else b - mean)
    return s, t if beta is None else t + beta  # (8)


def running_statistics(
    mean: Array, var: Array, batch_mean: Array, batch_var: Array, *, momentum: float, count: int
) -> tuple[Array, Array]:
    """Move running averages towards the statistics of a batch, (9).

    Parameters
        mean, var, batch_mean, batch_var : Array (C,)
        momentum : m
        count : M
    Returns
        mean, var : Array (C,) each, new ones
    """
    mean = (1 - momentum) * mean + momentum * batch_mean  # (9)
    return mean, (1 - momentum) * var + momentum * (count / (count - 1)) * batch_var  # (9)


def check_training(
    x: Array, gamma: Array | None, beta: Array | None, eps: float, shards: Shards | None = None
) -> tuple[Any, int]:
    """Check that the arrays fit together, and that M is enough for a variance; return their namespace and M.

    Of a shard, M is its own, and `joined_statistics` checks that of the whole batch.
    """
    check_array("BatchNorm", x, gamma, beta)
    xp = check_norm("BatchNorm", x, gamma, beta, x.shape[-1:], eps)
    count = math.prod(x.shape[:-1])  # M
    return xp, enough(count, str(tuple(x.shape))) if shards is None else count


def check_inference(x: Array, gamma: Array | None, beta: Array | None, mean: Array, var: Array, eps: float) -> Any:
    """Check that the arrays fit together; return their namespace."""
    for array in (x, mean, var):
        check_array("BatchNorm", array, gamma, beta)
    xp = check_norm("BatchNorm", x, gamma, beta, x.shape[-1:], eps)
    check_floats("BatchNorm", x, mean, var)
    for name, statistic in (("mean", mean), ("var", var)):
        check_shape("BatchNorm", name, statistic, x.shape[-1:])
    return xp
