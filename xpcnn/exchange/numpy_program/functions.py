"""The functions that a network's program may contain: the operations that take more than one call of NumPy.

`export_numpy` copies those that the program calls, as they stand here. So they use NumPy alone, and say all that a
reader needs. Images are (N, H, W, C); the equations are those of `xpcnn.ops`, which has gradients, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array: TypeAlias = Any  # np.ndarray, as a program states it
Pair: TypeAlias = tuple[int, int]
NONE = ((0, 0), (0, 0))  # of padding: (above, below), (left, right)


def conv2d(
    x: Array,
    w: Array,
    b: Array | float = 0,
    *,
    stride: Pair = (1, 1),
    pad: tuple[Pair, Pair] = NONE,
    dilation: Pair = (1, 1),
) -> Array:
    """Slide the filters w (F, KH, KW, C) over the images: y[n,i,j,f] = b[f] + Σ x[n, i+u, j+v, c] · w[f,u,v,c]."""
    (sh, sw), (dh, dw), (_, kh, kw, _) = stride, dilation, w.shape
    x = np.pad(x, ((0, 0), *pad, (0, 0)))
    windows = sliding_window_view(x, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(1, 2))
    windows = windows[:, ::sh, ::sw, :, ::dh, ::dw]  # (N, OH, OW, C, KH, KW)
    return np.tensordot(windows, w, axes=((4, 5, 3), (1, 2, 3))) + b  # the sum over u, v and c: (N, OH, OW, F)


def grouped_conv2d(
    x: Array,
    w: Array,
    b: Array | float = 0,
    *,
    groups: int,
    stride: Pair = (1, 1),
    pad: tuple[Pair, Pair] = NONE,
    dilation: Pair = (1, 1),
) -> Array:
    """Convolve each group of channels with its own filters; w is (F, KH, KW, C / groups)."""
    parts = zip(np.split(x, groups, axis=3), np.split(w, groups), strict=True)
    ys = [conv2d(part, own, stride=stride, pad=pad, dilation=dilation) for part, own in parts]
    return np.concatenate(ys, axis=3) + b


def taps(x: Array, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Iterator[Array]:
    """What each element of a window sees while the window slides over the images: KH · KW arrays (N, OH, OW, C)."""
    (kh, kw), (sh, sw), (dh, dw) = kernel, stride, dilation
    rows, columns = x.shape[1] - dh * (kh - 1), x.shape[2] - dw * (kw - 1)  # where a window may begin
    for u in range(kh):
        for v in range(kw):
            yield x[:, u * dh : u * dh + rows : sh, v * dw : v * dw + columns : sw]


def depthwise_conv2d(
    x: Array,
    w: Array,
    b: Array | float = 0,
    *,
    stride: Pair = (1, 1),
    pad: tuple[Pair, Pair] = NONE,
    dilation: Pair = (1, 1),
) -> Array:
    """Slide one filter over each channel; w is (C, KH, KW, 1)."""
    channels, kh, kw, _ = w.shape
    x = np.pad(x, ((0, 0), *pad, (0, 0)))
    weights = w.reshape(channels, kh * kw).T  # (KH · KW, C)
    first, *others = (tap * weight for tap, weight in zip(taps(x, (kh, kw), stride, dilation), weights, strict=True))
    for other in others:
        first += other
    return first + b


def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | float = 0,
    *,
    size: Pair,
    stride: Pair = (1, 1),
    pad: tuple[Pair, Pair] = NONE,
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Add the kernel w (C, KH, KW, F / groups), times each number of x, to images of that size without padding."""
    (n, h, wide, _), (_, kh, kw, filters) = x.shape, w.shape
    (sh, sw), (dh, dw), ((top, bottom), (left, right)) = stride, dilation, pad
    y = np.zeros((n, top + size[0] + bottom, left + size[1] + right, groups * filters), x.dtype)
    for g, (part, own) in enumerate(zip(np.split(x, groups, axis=3), np.split(w, groups), strict=True)):
        channels = slice(g * filters, (g + 1) * filters)
        for u in range(kh):
            for v in range(kw):
                rows = slice(u * dh, u * dh + (h - 1) * sh + 1, sh)
                columns = slice(v * dw, v * dw + (wide - 1) * sw + 1, sw)
                y[:, rows, columns, channels] += part @ own[:, u, v]
    return y[:, top : top + size[0], left : left + size[1]] + b


def max_pool2d(
    x: Array, kernel: Pair, *, stride: Pair, pad: tuple[Pair, Pair] = NONE, dilation: Pair = (1, 1)
) -> Array:
    """The largest number under a window, for each channel."""
    x = np.pad(x, ((0, 0), *pad, (0, 0)), constant_values=-np.inf)
    y, *others = taps(x, kernel, stride, dilation)
    for other in others:
        y = np.maximum(y, other)
    return y


def avg_pool2d(
    x: Array, kernel: Pair, *, stride: Pair, pad: tuple[Pair, Pair] = NONE, counts: Array | None = None
) -> Array:
    """The mean under a window. Where padding does not count, `counts` (OH, OW, 1) says how many numbers do."""
    x = np.pad(x, ((0, 0), *pad, (0, 0)))
    total = sum(taps(x, kernel, stride))
    return total / (kernel[0] * kernel[1] if counts is None else counts)


def resized(x: Array, rows: Array, columns: Array) -> Array:
    """Images of another size. Row i of the matrices says which old rows (columns) the new one is the sum of."""
    return np.einsum("ip,jq,npqc->nijc", rows, columns, x, optimize=True)


def batch_norm(
    x: Array, mean: Array, var: Array, weight: Array | float = 1, bias: Array | float = 0, *, eps: float
) -> Array:
    """(x − μ) / √(σ² + ε) · γ + β with the statistics that training has kept, which is one factor and one offset."""
    factor = weight / np.sqrt(var + eps)
    return x * factor + (bias - mean * factor)


def layer_norm(x: Array, axes: int, weight: Array | float = 1, bias: Array | float = 0, *, eps: float) -> Array:
    """Give the last axes of each item mean 0 and variance 1, then the learned factor and offset."""
    over = tuple(range(-axes, 0))
    x = x - x.mean(axis=over, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=over, keepdims=True) + eps) * weight + bias


def group_norm(x: Array, groups: int, weight: Array | float = 1, bias: Array | float = 0, *, eps: float) -> Array:
    """Give each group of channels of an item mean 0 and variance 1, then the learned factor and offset."""
    n, *_, channels = x.shape
    split = x.reshape(n, -1, groups, channels // groups)
    split = split - split.mean(axis=(1, 3), keepdims=True)
    split = split / np.sqrt((split * split).mean(axis=(1, 3), keepdims=True) + eps)
    return split.reshape(x.shape) * weight + bias


def local_response_norm(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Divide by a power of the sum of squares of neighbouring channels."""
    squares = np.pad(x * x, ((0, 0), (0, 0), (0, 0), (size // 2, (size - 1) // 2)))
    return x * (k + alpha / size * sliding_window_view(squares, size, axis=3).sum(axis=-1)) ** -beta


def l2_normalize(x: Array, eps: float) -> Array:
    """Divide each place's channels by their length. By m, large squares do not overflow, nor small ones vanish."""
    m = np.maximum(np.abs(x).max(axis=-1, keepdims=True), np.finfo(x.dtype).tiny)
    length = m * np.sqrt(((x / m) ** 2).sum(axis=-1, keepdims=True))
    return x / np.maximum(length, eps)


def elu(x: Array, alpha: float, scale: float = 1.0) -> Array:
    """x where it is positive, else α (eˣ − 1); SELU multiplies both by a scale."""
    return scale * (np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ). Where e⁻ˣ overflows, 0 is right."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    """x Φ(x), where Φ(x) = ½ erfc(−x/√2) is the normal distribution function. NumPy has no erfc, Python has."""
    erfc = np.vectorize(math.erfc, otypes=[x.dtype])
    return 0.5 * x * erfc(-math.sqrt(0.5) * x)


def gelu_float32(x: Array) -> Array:
    """x Φ(x), with the normal distribution function Φ right to 1e-7 (W. Press et al., Numerical recipes, erfcc)."""
    z = np.minimum(np.abs(x) * math.sqrt(0.5), 10)
    t = 1 / (1 + 0.5 * z)
    fit = -0.82215223 + t * 0.17087277
    for number in (1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223):
        fit = number + t * fit
    tail = 0.5 * t * np.exp(fit - z * z)  # Φ(−|x|)
    return x * np.where(x > 0, 1 - tail, tail)


def gelu_tanh(x: Array) -> Array:
    """GELU's approximation by a tanh."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def log_softmax(x: Array) -> Array:
    """The logarithm of softmax, without computing it first."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def softmax(x: Array) -> Array:
    """Scores to probabilities: exponentials, divided by their sum. Subtracting the largest score keeps them finite."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
