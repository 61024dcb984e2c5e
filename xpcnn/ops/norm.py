"""Normalisation over layers and groups, and its gradients. (Over batches: `xpcnn.ops.batch_norm`.)

Each gives the numbers x₁ … x_M of a set mean 0 and variance 1, and then a learned mean and variance:

    μ = Σᵢ xᵢ / M,   σ² = Σᵢ (xᵢ − μ)² / M                                                           (1)
    x̂ᵢ = r (xᵢ − μ),   r = 1 / √(σ² + ε)                                                             (2)
    yᵢ = γᵢ x̂ᵢ + βᵢ                                                                                  (3)

    layer norm    a set is the last k axes of one item          (γ, β): one per position in the set
    group norm    a set is C/G channels of one image            (γ, β): one per channel

μ is computed as x₁ + Σᵢ (xᵢ − x₁) / M. If all xᵢ are equal, or nearly, xᵢ − μ is then exact, and r, which may be
1/√ε, has no rounding error to multiply. Where σ² overflows, r is computed from smaller numbers, c (xᵢ − μ), and
multiplied by c. On a device, finding the overflow would mean waiting: there r is NaN, because 0 would hide it.

The gradients of γ and β are sums over all the numbers that share them:

    dγ = Σ dy · x̂,   dβ = Σ dy                                                                       (4)

Each xₖ changes every x̂ᵢ of its set, also through μ and r. Since Σ (xᵢ − μ) = 0, a change of μ alone leaves σ²
the same:

    ∂μ/∂xₖ = 1/M,   ∂σ²/∂xₖ = 2 (xₖ − μ) / M,   ∂r/∂xₖ = −½ r³ · ∂σ²/∂xₖ = −r² x̂ₖ / M
    ∂x̂ᵢ/∂xₖ = r ([i = k] − 1/M) + (xᵢ − μ) · ∂r/∂xₖ = r ([i = k] − 1/M − x̂ᵢ x̂ₖ / M)

and with g = ∂L/∂x̂ = dy · γ, the sum Σᵢ gᵢ ∂x̂ᵢ/∂xₖ is

    dxₖ = r (gₖ − mean(g) − x̂ₖ · mean(g x̂))                                                          (5)

Sources
    S. Ioffe and C. Szegedy, Batch normalization, 2015, algorithm 1 and section 3      → (1) to (5)
    J. Ba, J. Kiros and G. Hinton, Layer normalization, 2016, equation 3
    Y. Wu and K. He, Group normalization, 2018, equations 1 to 7
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..backend import is_numpy
from ..errors import OptionError, ShapeError
from ..options import as_number
from ..typing import Array, Cache, Shape
from .broadcast import sum_to
from .check import check_array, check_batch, check_floats, check_gradient

Mean: TypeAlias = Callable[[Array], Array]


def layer_norm_forward(
    x: Array, gamma: Array | None = None, beta: Array | None = None, *, axes: int = 1, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalise each item over its last axes; (1) to (3).

    Parameters
        x : Array (N, …, D₁, …, Dₖ), float
        gamma, beta : Array (D₁, …, Dₖ) of x's dtype, or None for 1 and 0
        axes : k
        eps : ε > 0
    Returns
        y : Array of x's shape
        cache : for `layer_norm_backward`; refers to gamma, holds x̂ and r
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> layer_norm_forward(np.array([[1.0, 3.0], [5.0, 9.0]]))[0].round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    check_array("LayerNorm", x, gamma, beta)
    if not 1 <= axes < x.ndim:
        raise ShapeError("LayerNorm", f"a batch axis and {axes} ≥ 1 axes to normalise over", str(tuple(x.shape)))
    xp = check_norm("LayerNorm", x, gamma, beta, x.shape[x.ndim - axes :], eps)
    first = x[(..., *[slice(1)] * axes)]  # (N, …, 1, …, 1)
    x_hat, r = _normalise(x, first, _mean_of_items(axes, xp), eps, xp)  # x's shape, (N, …, 1, …, 1)
    return affine(x_hat, gamma, beta), (x_hat, r, gamma, beta is not None, axes)


def layer_norm_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `layer_norm_forward`, (4) and (5).

    Parameters
        dy : Array (N, …, D₁, …, Dₖ)
        input_grad : False leaves dx out
    Returns
        dx : Array of dy's shape, or None
        dgamma, dbeta : Array (D₁, …, Dₖ), or None if forward had none

    >>> import numpy as np
    >>> y, cache = layer_norm_forward(np.array([[1.0, 2.0, 4.0]]), np.ones(3), np.zeros(3))
    >>> dx, dgamma, dbeta = layer_norm_backward(np.ones_like(y), cache)
    >>> dx.round(4)
    array([[0., 0., 0.]])
    >>> dgamma.round(4)
    array([-1.069 , -0.2673,  1.3363])
    >>> dbeta.round(4)
    array([1., 1., 1.])
    """
    x_hat, r, gamma, has_beta, axes = cache
    xp = check_gradient("LayerNorm", dy, x_hat.shape, x_hat)
    shape = tuple(dy.shape[dy.ndim - axes :])
    dgamma = None if gamma is None else sum_to(dy * x_hat, shape)  # (D₁, …, Dₖ)                           (4)
    dbeta = sum_to(dy, shape) if has_beta else None  # (D₁, …, Dₖ)         (4)
    dx = None
    if input_grad:
        dx = _normalise_backward(dy if gamma is None else dy * gamma, x_hat, r, _mean_of_items(axes, xp))
    return dx, dgamma, dbeta


def group_norm_forward(
    x: Array, gamma: Array | None = None, beta: Array | None = None, *, groups: int, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalise each image over its positions and over C/G neighbouring channels; (1) to (3).

    Parameters
        x : Array (N, …, C), float
        gamma, beta : Array (C,) of x's dtype, or None for 1 and 0
        groups : G, which divides C; 1 is layer norm over all but N, C is instance norm
        eps : ε > 0
    Returns
        y : Array (N, …, C)
        cache : for `group_norm_backward`; refers to gamma, holds x̂ and r
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> group_norm_forward(np.array([[1.0, 3.0, 5.0, 9.0]]), groups=2)[0].round(3)
    array([[-1.,  1., -1.,  1.]])
    """
    check_array("GroupNorm", x, gamma, beta)
    xp = check_norm("GroupNorm", x, gamma, beta, x.shape[-1:], eps)
    n, c = x.shape[0], x.shape[-1]
    if groups < 1 or c % groups:
        raise OptionError("GroupNorm", f"groups that divide the {c} channels", str(groups))
    rows = xp.reshape(x, (n, math.prod(x.shape[1:-1]), c))  # (N, T, C)
    first = _spread_over_groups(xp.reshape(rows[:, :1, :], (n, groups, c // groups))[:, :, :1], c, xp)  # (N, 1, C)
    x_hat, r = _normalise(rows, first, _mean_of_groups(groups, xp), eps, xp)  # (N, T, C), (N, 1, C)
    return affine(xp.reshape(x_hat, x.shape), gamma, beta), (x_hat, r, gamma, beta is not None, groups, x.shape)


def group_norm_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `group_norm_forward`, (4) and (5).

    Parameters
        dy : Array (N, …, C)
        input_grad : False leaves dx out
    Returns
        dx : Array (N, …, C), or None
        dgamma, dbeta : Array (C,), or None if forward had none

    >>> import numpy as np
    >>> y, cache = group_norm_forward(np.array([[1.0, 2.0, 4.0, 8.0]]), np.ones(4), np.zeros(4), groups=2)
    >>> dx, dgamma, dbeta = group_norm_backward(np.ones_like(y), cache)
    >>> dx.round(4)
    array([[0., 0., 0., 0.]])
    >>> dgamma.round(4)
    array([-1.,  1., -1.,  1.])
    >>> dbeta.round(4)
    array([1., 1., 1., 1.])
    """
    x_hat, r, gamma, has_beta, groups, shape = cache
    xp = check_gradient("GroupNorm", dy, shape, x_hat)
    dgamma = None if gamma is None else sum_rows(dy * xp.reshape(x_hat, shape), xp)  # (C,)                (4)
    dbeta = sum_rows(dy, xp) if has_beta else None  # (C,)                 (4)
    dx = None
    if input_grad:
        g = xp.reshape(dy if gamma is None else dy * gamma, x_hat.shape)  # (N, T, C)
        dx = xp.reshape(_normalise_backward(g, x_hat, r, _mean_of_groups(groups, xp)), shape)
    return dx, dgamma, dbeta


def _normalise(x: Array, first: Array, mean: Mean, eps: float, xp: Any) -> tuple[Array, Array]:
    """x̂ and r. `first` is x₁; `mean` computes the means of the sets, in a shape that broadcasts with x."""
    x_hat = x - first
    x_hat -= mean(x_hat)  # (1)
    _, r = deviation(x_hat, mean, eps, xp)
    x_hat *= r  # (2)
    return x_hat, r


def deviation(centred: Array, mean: Mean, eps: float, xp: Any) -> tuple[Array, Array]:
    """σ² and r from x − μ. Where σ² overflows, it is infinite and r is still right."""
    with np.errstate(over="ignore"):
        var: Any = mean(centred * centred)  # (1)
    r = 1 / xp.sqrt(var + eps)  # (2)
    if not is_numpy(var):
        return var, r + 0 * var  # 0·∞ is NaN
    fits = np.isfinite(var)
    if not fits.all():
        c: Any = np.where(fits, 1, np.finfo(var.dtype).max ** -0.5).astype(var.dtype)
        smaller = centred * c
        r = c / np.sqrt(mean(smaller * smaller) + eps * c**2)  # (2)
    return var, r


def _normalise_backward(g: Array, x_hat: Array, r: Array, mean: Mean) -> Array:
    dx = g - mean(g)
    dx -= x_hat * mean(g * x_hat)
    dx *= r  # (5)
    return dx


def _mean_of_items(axes: int, xp: Any) -> Mean:
    """(N, …, D₁, …, Dₖ) → (N, …, 1, …, 1)."""
    return lambda x: xp.mean(x, axis=tuple(range(x.ndim - axes, x.ndim)), keepdims=True)


def _mean_of_groups(groups: int, xp: Any) -> Mean:
    """(N, T, C) → (N, 1, C); the C/G channels of a group share one mean."""

    def mean(x: Array) -> Array:
        n, t, c = x.shape
        sums = xp.ones((1, t), dtype=x.dtype, device=x.device) @ x  # (1, T) @ (N, T, C) → (N, 1, C)
        split = xp.reshape(sums / t, (n, groups, c // groups))
        return _spread_over_groups(xp.mean(split, axis=2, keepdims=True), c, xp)

    return mean


def _spread_over_groups(numbers: Array, c: int, xp: Any) -> Array:
    """Repeat each group's number for each of its channels, (N, G, 1) → (N, 1, C)."""
    n, groups, _ = numbers.shape
    joined: Array = xp.reshape(xp.broadcast_to(numbers, (n, groups, c // groups)), (n, 1, c))
    return joined


def affine(x_hat: Array, gamma: Array | None, beta: Array | None) -> Array:
    """(3), in a new array unless gamma and beta are both None."""
    y = x_hat if gamma is None else x_hat * gamma
    if beta is not None:
        y = y + beta
    return y


def sum_rows(x: Array, xp: Any) -> Array:
    """Σ over all axes but the last, (N, …, C) → (C,), as a product with ones: BLAS adds up rows fastest."""
    rows = xp.reshape(x, (-1, x.shape[-1]))  # (M, C)
    total: Array = xp.ones((rows.shape[0],), dtype=x.dtype, device=x.device) @ rows
    return total


def check_norm(who: str, x: Array, gamma: Array | None, beta: Array | None, shape: Shape, eps: float) -> Any:
    """Check that x is a batch and that gamma and beta have that shape; return the arrays' namespace."""
    check_batch(who, x, *(x.shape[1:] or ("C",)))
    for name, parameter in (("weight", gamma), ("bias", beta)):
        if parameter is not None:
            check_shape(who, name, parameter, shape)
    as_number(who, "eps", eps, "(0, inf)")
    return check_floats(who, x, gamma, beta)


def check_shape(who: str, name: str, array: Array, shape: Shape) -> None:
    if tuple(array.shape) != tuple(shape):
        raise ShapeError(who, f"{name} {tuple(shape)} for this input", str(tuple(array.shape)))
