"""The fully connected layer's product, and its gradients.

    y[n,o] = b[o] + Σ_i x[n,i] · w[o,i]          y  = x wᵀ + b         (1)
    dw[o,i] = Σ_n dy[n,o] · x[n,i]               dw = dyᵀ x            (2)
    db[o]   = Σ_n dy[n,o]                                              (3)
    dx[n,i] = Σ_o dy[n,o] · w[o,i]               dx = dy w             (4)

Source: D. Rumelhart, G. Hinton and R. Williams, Learning representations by back-propagating errors, 1986.
"""

from __future__ import annotations

from ..errors import ShapeError
from ..typing import Array, Cache
from .check import check_array, check_batch, check_floats, check_gradient


def linear_forward(x: Array, w: Array, b: Array | None = None) -> tuple[Array, Cache]:
    """An affine map of each row, (1).

    Parameters
        x : Array (N, in), float
        w : Array (out, in), of x's dtype
        b : Array (out,) or None
    Returns
        y : Array (N, out)
        cache : for `linear_backward`; refers to x and w
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = linear_forward(np.array([[1., 2.]]), np.array([[3., 4.], [5., 6.]]), np.array([0., 1.]))
    >>> y
    array([[11., 18.]])
    """
    check_linear(x, w, b)
    y = x @ w.T  # (N, in) @ (in, out)                                     (1)
    if b is not None:
        y += b
    return y, (x, w, b is not None)


def linear_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `linear_forward`, (2) to (4).

    Parameters
        weight_grad : False leaves dw and db out, as a frozen layer can
    Returns
        dx : Array (N, in), or None without `input_grad`
        dw : Array (out, in), or None
        db : Array (out,), or None, as without a bias

    >>> import numpy as np
    >>> y, cache = linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.zeros(1))
    >>> dx, dw, db = linear_backward(np.ones_like(y), cache)
    >>> dx.round(4)
    array([[3., 4.]])
    >>> dw.round(4)
    array([[1., 2.]])
    >>> db.round(4)
    array([1.])
    """
    x, w, has_bias = cache
    xp = check_gradient("Linear", dy, (x.shape[0], w.shape[0]), w)
    dw = dy.T @ x if weight_grad else None  # (out, N) @ (N, in)           (2)
    db = xp.sum(dy, axis=0) if has_bias and weight_grad else None  # (out,)  (3)
    dx = dy @ w if input_grad else None  # (N, out) @ (out, in)            (4)
    return dx, dw, db


def check_linear(x: Array, w: Array, b: Array | None) -> None:
    """Raise an error unless the arguments fit together."""
    check_array("Linear", w, b)
    if w.ndim != 2:
        raise ShapeError("Linear", "weight (out, in)", str(tuple(w.shape)))
    who = f"Linear({w.shape[1]}→{w.shape[0]})"
    check_batch(who, x, w.shape[1])
    if b is not None and tuple(b.shape) != (w.shape[0],):
        raise ShapeError(who, f"bias ({w.shape[0]},)", str(tuple(b.shape)))
    check_floats(who, x, w, b)
