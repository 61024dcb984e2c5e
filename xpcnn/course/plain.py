"""Windows in plain NumPy, from which the exercises make their mistakes and terms. They share nothing with `xpcnn.ops`.

Images are (N, H, W, C); stride and padding are pairs (height, width).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from ..typing import NDArray

Two: TypeAlias = tuple[int, int]


def drawn(seed: int, *shape: int) -> NDArray:
    """Random numbers, float64."""
    array: NDArray = np.random.default_rng(seed).normal(size=shape)
    return array


def padded(x: NDArray, padding: Two, value: float = 0.0) -> NDArray:
    array: NDArray = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)), constant_values=value)
    return array


def positions(size: Two, kernel: Two, stride: Two, padding: Two = (0, 0)) -> Two:
    """(OH, OW)."""
    rows, columns = ((size[k] + 2 * padding[k] - kernel[k]) // stride[k] + 1 for k in (0, 1))
    return rows, columns


def places(out: Two, kernel: Two, step: Two) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Each position (i, j) of a window, and what it covers of the images."""
    for i, j in np.ndindex(*out):
        top, left = i * step[0], j * step[1]
        yield i, j, (slice(None), slice(top, top + kernel[0]), slice(left, left + kernel[1]))


def correlated(x: NDArray, w: NDArray, out: Two, step: Two) -> NDArray:
    """(N, OH, OW, Cout) of images that are padded."""
    y = np.zeros((len(x), *out, len(w)))
    for i, j, window in places(out, w.shape[1:3], step):
        y[:, i, j] = np.tensordot(x[window], w, ([1, 2, 3], [1, 2, 3]))
    return y


def kernel_gradient(dy: NDArray, x: NDArray, kernel: Two, step: Two) -> NDArray:
    """dw (Cout, KH, KW, Cin) of images that are padded."""
    dw = np.zeros((dy.shape[-1], *kernel, x.shape[-1]))
    for i, j, window in places(dy.shape[1:3], kernel, step):
        dw += np.tensordot(dy[:, i, j], x[window], (0, 0))
    return dw


def spread(dy: NDArray, w: NDArray, size: Two, step: Two, *, add: bool = True) -> NDArray:
    """dx of padded images (N, H, W, Cin): every dy passes w to the window that it comes from."""
    dx = np.zeros((len(dy), *size, w.shape[-1]))
    for i, j, window in places(dy.shape[1:3], w.shape[1:3], step):
        part = np.tensordot(dy[:, i, j], w, (1, 0))  # (N, KH, KW, Cin)
        dx[window] = dx[window] + part if add else part
    return dx


def cut(dx: NDArray, size: Two, padding: Two) -> NDArray:
    """The image without its padding."""
    return dx[:, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def with_padding(size: Two, padding: Two) -> Two:
    return size[0] + 2 * padding[0], size[1] + 2 * padding[1]
