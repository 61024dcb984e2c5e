"""The fully connected layer on NumPy with the batch last in memory, its products shared among threads.

Idea. Rows x (N, in) with the batch last are columns X = xᵀ (in, N), C-contiguous. So are y and dx, and the layers
before and after this one keep their memory order:

    Y  = w X + b                        (1)
    dw = dY Xᵀ                          (2)
    db = Σ_n dY[:, n]                   (3)
    dX = wᵀ dY                          (4)

with the equation numbers of `xpcnn.ops.linear`. Each product is cut along the longer side of its result, in a way that
depends on its sizes alone. The parts are units of work; those of (2) and (4) are done together.
Measured: as fast as the reference on (128, 9216) → 128, float32, 2 threads; the gain is the memory order.

Source: the equations are those of `xpcnn.ops.linear`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..ops.check import check_gradient
from ..ops.implementations import Implementation
from ..ops.linear import check_linear
from ..typing import Cache, NDArray
from .batch_last import batch_first, batch_last, chunks, refuses_batch
from .memory import empty
from .threads import one_blas_thread, parallel

PARTS = 8  # of a product
LEAST = 64  # rows or columns in a part; each part packs the other factor again
WORTH = 5e6  # multiplications and additions; smaller products are not cut

Product: TypeAlias = tuple[NDArray, NDArray, NDArray]  # two factors and the array for the result


def refuses(x: Any, w: Any, b: Any = None) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_batch(x)


def forward(x: NDArray, w: NDArray, b: NDArray | None = None) -> tuple[NDArray, Cache]:
    """`linear_forward`, on columns."""
    check_linear(x, w, b)
    columns = batch_last(x)  # (in, N)
    y = empty((w.shape[0], x.shape[0]), x.dtype)  # (out, N)
    _multiply((w, columns, y))  # (1)
    if b is not None:
        y += b[:, None]  # (1)
    return batch_first(y), (columns, w, b is not None)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`linear_backward`, on columns."""
    x, w, has_bias = cache
    check_gradient("Linear", dy, (x.shape[1], w.shape[0]), w)
    columns = batch_last(dy)  # (out, N)
    products: list[Product] = []
    dx, dw = None, None
    if weight_grad:
        products.append((columns, x.T, dw := np.empty(w.shape, w.dtype)))  # (out, N) @ (N, in)     (2)
    if input_grad:
        products.append((w.T, columns, dx := empty(x.shape, x.dtype)))  # (in, out) @ (out, N)  (4)
    _multiply(*products)
    with one_blas_thread:
        db = columns @ np.ones(x.shape[1], dy.dtype) if has_bias and weight_grad else None  # (out,)  (3)
    return None if dx is None else batch_first(dx), dw, db


def _multiply(*products: Product) -> None:
    parts = [part for each in products for part in _cut(each)]
    parallel(lambda part: np.matmul(part[0], part[1], out=part[2]), parts, sum(map(_cost, products)))


def _cut(product: Product) -> list[Product]:
    """Cut the product into parts along its rows, or along its columns if there are more of them."""
    one, other, out = product
    if _cost(product) < WORTH:
        return [product]
    longer = max(out.shape)
    cuts = chunks(longer, max(LEAST, -(-longer // PARTS)))
    if out.shape[0] >= out.shape[1]:
        return [(one[cut], other, out[cut]) for cut in cuts]
    return [(one, other[:, cut], out[:, cut]) for cut in cuts]


def _cost(product: Product) -> float:
    one, _, out = product  # (rows, k), (k, columns)
    rows, columns = out.shape
    return float(2 * rows * one.shape[1] * columns)


IMPLEMENTATION = Implementation("batch_last", refuses, forward, backward)
