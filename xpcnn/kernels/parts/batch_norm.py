"""Batch normalisation of a batch in parts: its sums cross the parts; equations of `xpcnn.kernels.batch_norm`.

Each part k adds up its N_k numbers of a channel about a centre z_k, which is the first of them:

    s_k = Σ (x − z_k),   μ_k = z_k + s_k/N_k,   q_k = Σ (x − z_k)² − s_k²/N_k
    μ = Σ_k N_k μ_k / M,   σ² = Σ_k (q_k + N_k (μ_k − μ)²) / M      (1)

If this cancels, because z_k is far from the others, once more about μ_k. Sums are products with ones: over positions
for each of the C·n numbers of one, as long runs. Pieces of the part stay in a second-level cache.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for computing the sample variance, 1983, equation 2.1 → (1)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...typing import NDArray, Shape
from ..batch_last import chunks
from .step import Call, Scratch, SummingStep, Sums, Values

PIECE = 1 << 16  # numbers, or one position
CANCELLED = 64  # largest ratio of s_k²/N_k to q_k, and of μ² to σ²


class TooLarge(Exception):
    """σ² is too large for r²: the reference runs."""


class BatchSums(Sums):
    """What the parts have in common: their sums, and the factors that are made of them, (C,) each."""

    def __init__(self, layer: Any, shape: Shape, sizes: Sequence[int], dtype: Any) -> None:
        c = shape[-1]
        self.layer, self.dtype = layer, np.dtype(dtype)
        self.sizes = np.array([[size * math.prod(shape[:-1])] for size in sizes], float)  # (k, 1), N_k
        self.count = int(self.sizes.sum())  # M
        self.means, self.squares, self.products, self.sums = np.zeros((4, len(sizes), c))
        self.mean, self.r, self.a, self.b, self.f, self.g = np.empty((6, c), self.dtype)
        self.var = np.empty(c, self.dtype)
        self.far = False  # μ is far from 0, beside σ

    @np.errstate(all="ignore")  # after an overflow the reference runs
    def after_forward(self) -> None:
        mean = np.sum(self.means * self.sizes, axis=0) / self.count  # (1)
        var = np.sum(self.squares + self.sizes * (self.means - mean) ** 2, axis=0) / self.count  # (1)
        if not (var < np.finfo(self.dtype).max ** 0.5).all():
            raise TooLarge
        self.mean[...], self.var[...] = mean, var
        self.r[...] = 1 / np.sqrt(self.var + self.layer.eps)  # (2)
        self.far = bool((abs(self.mean) * self.r > CANCELLED**0.5).any())
        gamma, beta = self.layer.weight, self.layer.bias
        self.a[...] = self.r if gamma is None else gamma * self.r  # (3)
        self.b[...] = 0 if beta is None else beta
        if not self.far:
            self.b -= self.a * self.mean  # (3)

    def after_backward(self) -> None:
        dgamma, dbeta = self.r * self.products.sum(axis=0), self.sums.sum(axis=0)  # (4)
        self.f[...] = -self.a * self.r * (dgamma / self.count)  # (5)
        self.g[...] = -self.a * (dbeta / self.count)  # (5)
        if not self.far:
            self.g -= self.f * self.mean  # (5)

    def write(self, k: int, grads: Mapping[str, NDArray]) -> None:
        """The share of part k in the gradients of the parameters."""
        if "weight" in grads:
            np.multiply(self.r, self.products[k], out=grads["weight"], casting="same_kind")  # (4)
        if "bias" in grads:
            np.copyto(grads["bias"], self.sums[k], casting="same_kind")  # (4)

    def move(self) -> None:
        """Move the running statistics."""
        self.layer.move(self.mean.copy(), self.var.copy(), self.count)


class BatchNorm(SummingStep):
    """The step of batch norm, with or without a ReLU."""

    keeps_input = True
    alters_dy = True

    def __init__(self, layer: Any, relu: bool) -> None:
        super().__init__(layer)
        self.relu = self.keeps_output = relu

    def sums(self, shape: Shape, sizes: Sequence[int], dtype: Any) -> BatchSums:
        return BatchSums(self.layer, shape, sizes, dtype)

    def halves(self, values: Values, scratch: Scratch) -> tuple[tuple[Call, Call], tuple[Call, Call]]:
        shared, k, relu = values.sums, values.number, self.relu
        c, n = values.x.shape[-2:]
        dx = values.dx
        x, y, dy, *_ = (each.reshape(-1, c * n) for each in values[:3])  # (P, Cn) each
        places = chunks(len(x), max(1, PIECE // (c * n)))
        work = scratch.array("first", (places[0].stop, c * n), x.dtype)
        mask = scratch.array("second", work.shape, bool)
        ones, zeros = np.ones(places[0].stop, x.dtype), np.zeros(c * n, x.dtype)
        rows = np.empty((2, len(places), c, n), x.dtype)
        spread = np.empty((4, c, n), x.dtype)
        flat = spread.reshape(4, -1)

        def total(which: int) -> NDArray:
            found: NDArray = rows[which].sum(axis=(0, 2), dtype=float)
            return found

        def add(which: int, piece: int, numbers: NDArray) -> None:
            np.matmul(ones[: len(numbers)], numbers, out=rows[which, piece].reshape(-1))

        def about(centre: NDArray) -> tuple[NDArray, NDArray]:
            """μ_k − z_k and q_k."""
            np.copyto(spread[0], centre[:, None])
            for piece, at in enumerate(places):
                t = work[: at.stop - at.start]
                np.subtract(x[at], flat[0], out=t)
                add(0, piece, t)
                np.multiply(t, t, out=t)
                add(1, piece, t)
            s, size = total(0), shared.sizes[k, 0]
            return s / size, total(1) - s**2 / size

        @np.errstate(over="ignore", invalid="ignore")  # after an overflow the reference runs
        def measure() -> None:
            centre = x[0].reshape(c, n)[:, 0].copy()  # z_k
            shift, squares = about(centre)
            cancelled = shared.sizes[k] * shift**2 > CANCELLED * squares
            if cancelled.any():
                centre = np.where(cancelled, centre + shift, centre).astype(x.dtype)
                shift, squares = about(centre)
            shared.means[k], shared.squares[k] = centre + shift, np.maximum(squares, 0)

        def normalize() -> None:
            for to, factors in zip(spread, (shared.mean, shared.a, shared.b), strict=False):
                np.copyto(to, factors[:, None])
            for at in places:
                source, out = x[at], y[at]
                if shared.far:
                    source = np.subtract(source, flat[0], out=out)
                np.multiply(source, flat[1], out=out)
                np.add(out, flat[2], out=out)  # (3)
                if relu:
                    np.maximum(out, zeros, out=out)

        def gather() -> None:
            np.copyto(spread[0], shared.mean[:, None])
            for piece, at in enumerate(places):
                t, given = work[: at.stop - at.start], dy[at]
                if relu:
                    passed = mask[: len(t)]
                    np.greater(y[at], zeros, out=passed)
                    np.multiply(given, passed, out=given)
                source = np.subtract(x[at], flat[0], out=t) if shared.far else x[at]
                np.multiply(source, given, out=t)
                add(0, piece, t)
                add(1, piece, given)
            shared.products[k], shared.sums[k] = total(0), total(1)
            if not shared.far:
                shared.products[k] -= shared.mean * shared.sums[k]

        def apply() -> None:
            shared.write(k, values.grads)
            if dx is None:
                return
            for to, factors in zip(spread, (shared.mean, shared.a, shared.f, shared.g), strict=True):
                np.copyto(to, factors[:, None])
            for at in places:
                t, out = work[: at.stop - at.start], dy[at]  # in place: dx is dy
                source = np.subtract(x[at], flat[0], out=t) if shared.far else x[at]
                np.multiply(source, flat[2], out=t)
                np.add(t, flat[3], out=t)
                np.multiply(out, flat[1], out=out)
                np.add(out, t, out=out)  # (5)

        return (measure, normalize), (gather, apply)
