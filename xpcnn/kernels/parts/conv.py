"""Convolution of a part of a batch: that of `xpcnn.kernels.rows` with its equations, for a stride of 1.

Only dw has another form, in which all images and columns of a row are summed by one product. Its L has the columns next
to the images:

    M[i,v,(u,c),(j,n)] = x̂[c, n, i + u, j + v]          a view of L, which has each column once
    dw[f,u,v,c]        = Σ_i (dy[i] M[i,v]ᵀ)[f,(u,c)]                                            (2)

Measured on one thread: 0.18 instead of 0.27 ms for the second convolution of LeNet-5, 32 images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ops.window import Placement
from ...typing import NDArray
from ..batch_last import chunks
from ..lowering import Block, Copy, copies, lowering
from .step import Call, PartStep, Scratch, Values

NUMBERS = 1 << 16  # of L in a block, if it has several rows: a quarter of a second-level cache

Lowered: TypeAlias = tuple[slice, list[Copy], NDArray]  # rows of output; the copies into L; a view of L
Correlation: TypeAlias = Callable[[NDArray, NDArray | None], None]  # of the filters and the bias


class Convolution(PartStep):
    """The step of `Conv2d` without groups and dilation.

    Parameters
        place : of its windows; with `flipped`, if dx is read
    """

    keeps_input = True

    def __init__(self, layer: Any, place: Placement) -> None:
        super().__init__(layer)
        self.place = place

    def takes_relu(self, infers: bool) -> bool:
        return infers

    def correlation(self, x: NDArray, y: NDArray, place: Placement, scratch: Scratch) -> Correlation:
        """The function that computes (1) of these arrays."""
        return correlation(x, y, place, scratch, self.relu)

    def weight_gradients(self, x: NDArray, dy: NDArray, grads: Mapping[str, NDArray], scratch: Scratch) -> list[Call]:
        """The calls that compute (2) and (3)."""
        calls = [weight_gradient(x, dy, grads["weight"], self.place, scratch)]
        return [*calls, bias_gradient(dy, grads["bias"])] if "bias" in grads else calls

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        x, y, dy, dx, grads, *_ = values
        layer, convolve = self.layer, self.correlation(x, y, self.place, scratch)

        def forward() -> None:
            convolve(layer.weight, layer.bias)  # (1)

        calls = self.weight_gradients(x, dy, grads, scratch) if grads else []
        if dx is not None:
            flipped = self.place.flipped
            assert flipped is not None
            back, (f, kh, kw, c) = self.correlation(dy, dx, flipped, scratch), layer.weight.shape
            turned = np.empty((c, kh, kw, f), x.dtype)

            def input_gradient() -> None:
                np.copyto(turned, layer.weight[:, ::-1, ::-1].transpose(3, 1, 2, 0))
                back(turned, None)  # (4)

            calls.append(input_gradient)

        def backward() -> None:
            for call in calls:
                call()

        return forward, backward


def _rows(x: NDArray, place: Placement) -> list[slice]:
    """The rows of output in a block."""
    numbers = (place.out[1] + place.window.kernel[1] - 1) * place.window.kernel[0] * x.shape[2] * x.shape[3]
    return chunks(place.out[0], max(1, NUMBERS // numbers))


def _lowered(x: NDArray, place: Placement, scratch: Scratch) -> list[Lowered]:
    """For each block, P (i, j, K, n)."""
    make: Callable[..., NDArray] = partial(scratch.array, "first")
    found: list[Lowered] = []
    for rows in _rows(x, place):
        block = Block(rows, slice(0, place.out[1]), slice(0, x.shape[3]))
        into, patches = lowering(x, place, block, 1, make)
        found.append((rows, into, patches[0]))
    return found


def correlation(x: NDArray, y: NDArray, place: Placement, scratch: Scratch, relu: bool = False) -> Correlation:
    """(1): the function of the filters (F, KH, KW, C) that computes y (OH, OW, F, n)."""
    (kh, kw), f, c = place.window.kernel, y.shape[2], x.shape[2]
    bias, zeros = np.empty(y.shape[2:], x.dtype), np.zeros(y.shape[2:], x.dtype)
    blocks, matrix = _lowered(x, place, scratch), np.empty((f, kw, kh, c), x.dtype)  # W
    matrices = matrix.reshape(f, -1)

    def run(w: NDArray, b: NDArray | None) -> None:
        if b is not None:
            np.copyto(bias, b[:, None])
        np.copyto(matrix, w.transpose(0, 2, 1, 3))
        for rows, into, patches in blocks:
            for target, source in into:
                np.copyto(target, source)
            np.matmul(matrices, patches, out=y[rows])  # (F, K) @ (K, n)  (1)
            if b is not None:
                np.add(y[rows], bias, out=y[rows])  # (1)
            if relu:
                np.maximum(y[rows], zeros, out=y[rows])

    return run


def weight_gradient(x: NDArray, dy: NDArray, dw: NDArray, place: Placement, scratch: Scratch) -> Call:
    """(2): the call that computes dw (F, KH, KW, C)."""
    (f, kh, kw, c), ow, n = dw.shape, place.out[1], x.shape[-1]
    top, _, left, _ = place.pads
    total, part = np.empty(dw.size, dw.dtype), np.empty(dw.size, dw.dtype)  # (KW, F, KH, C)
    blocks = []
    for rows in _rows(x, place):
        i = rows.stop - rows.start
        shared = scratch.array("first", (i, kh, c, ow + kw - 1, n), x.dtype)
        into = copies(shared.transpose(0, 3, 1, 2, 4)[None], x, (rows.start - top, 1, 1), (-left, 1), slice(0, n))
        s_i, _, s_c, s_q, s_n = shared.strides
        matrices = as_strided(shared, (i, kw, kh * c, ow * n), (s_i, s_q, s_c, s_n), writeable=False)  # M
        row = scratch.array("second", (i, f, ow, n), dy.dtype)
        each = scratch.array("third", (i, kw, f, kh * c), dy.dtype)
        into.append((row.transpose(0, 2, 1, 3), dy[rows]))
        blocks.append((into, row.reshape(i, 1, f, -1), matrices.swapaxes(-1, -2), each, np.ones(i, dy.dtype)))

    def run() -> None:
        for number, (into, row, matrices, each, ones) in enumerate(blocks):
            for target, source in into:
                np.copyto(target, source)
            np.matmul(row, matrices, out=each)  # (F, (j,n)) @ ((j,n), (u,c))  (2)
            np.matmul(ones, each.reshape(len(ones), -1), out=part if number else total)  # (2)
            if number:
                np.add(total, part, out=total)
        np.copyto(dw, total.reshape(kw, f, kh, c).transpose(1, 2, 0, 3))

    return run


def bias_gradient(dy: NDArray, db: NDArray) -> Call:
    """(3): the call that computes db (F,)."""
    f, n = dy.shape[-2:]
    runs, ones = dy.reshape(-1, f * n), np.ones(n, dy.dtype)
    sums = np.empty(f * n, dy.dtype)

    def run() -> None:
        np.add.reduce(runs, axis=0, out=sums)
        np.matmul(sums.reshape(f, n), ones, out=db)  # (3)

    return run
