"""Plain loops for pooling, transposed convolution, padding and upsampling. They share nothing with the package.

Everything is float64 NumPy, channels last, simple and slow. `pads` is (top, bottom, left, right).
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def out_size(size, kernel, stride, before, after, dilation, ceil):
    """As in PyTorch's pooling: if rounded up, the last window must begin in the image or the padding before it."""
    steps = (size + before + after - dilation * (kernel - 1) - 1) / stride
    positions = (math.ceil(steps) if ceil else math.floor(steps)) + 1
    return positions - 1 if ceil and (positions - 1) * stride >= size + before else positions


def windows(shape, kernel, stride, pads, dilation, ceil):
    """(n, i, j, c) of each output, with the (row, column) of each tap, row by row, in the image or not."""
    n_images, height, width, channels = shape
    oh = out_size(height, kernel[0], stride[0], pads[0], pads[1], dilation[0], ceil)
    ow = out_size(width, kernel[1], stride[1], pads[2], pads[3], dilation[1], ceil)
    for n, i, j, c in itertools.product(range(n_images), range(oh), range(ow), range(channels)):
        rows = [i * stride[0] + u * dilation[0] - pads[0] for u in range(kernel[0])]
        columns = [j * stride[1] + v * dilation[1] - pads[2] for v in range(kernel[1])]
        yield (n, i, j, c), list(itertools.product(rows, columns))


def max_pool(x, dy, kernel, stride, pads, dilation, ceil):
    """y as a dictionary by (n, i, j, c), and dx; dy(n, i, j, c) is an output's gradient."""
    y, dx = {}, np.zeros_like(x)
    for (n, i, j, c), taps in windows(x.shape, kernel, stride, pads, dilation, ceil):
        best = None
        for row, column in taps:
            inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
            if inside and (best is None or x[n, row, column, c] > x[n, *best, c]):
                best = row, column
        y[n, i, j, c] = x[n, *best, c]
        dx[n, *best, c] += dy(n, i, j, c)
    return y, dx


def avg_pool(x, dy, kernel, stride, pads, dilation, ceil, include_pad):
    """As `max_pool`; the divisor counts taps in the image, or in the image and its padding (not beyond)."""
    y, dx = {}, np.zeros_like(x)
    for (n, i, j, c), taps in windows(x.shape, kernel, stride, pads, dilation, ceil):
        inside = [(r, s) for r, s in taps if 0 <= r < x.shape[1] and 0 <= s < x.shape[2]]
        padded = [
            (r, s) for r, s in taps if -pads[0] <= r < x.shape[1] + pads[1] and -pads[2] <= s < x.shape[2] + pads[3]
        ]
        count = len(padded if include_pad else inside)
        y[n, i, j, c] = sum(x[n, r, s, c] for r, s in inside) / count
        for r, s in inside:
            dx[n, r, s, c] += dy(n, i, j, c) / count
    return y, dx


def dense(values):
    """The dictionary as an array."""
    y = np.zeros(np.max(list(values), axis=0) + 1)
    for index, value in values.items():
        y[index] = value
    return y


def adaptive_avg_pool(x, size):
    """The mean of each bin, cut out of x."""
    n, height, width, c = x.shape
    y = np.zeros((n, *size, c))
    for i in range(size[0]):
        for j in range(size[1]):
            rows = slice(math.floor(i * height / size[0]), math.ceil((i + 1) * height / size[0]))
            columns = slice(math.floor(j * width / size[1]), math.ceil((j + 1) * width / size[1]))
            y[:, i, j, :] = x[:, rows, columns, :].mean(axis=(1, 2))
    return y


def conv_transpose2d(x, w, b, stride, pads, dilation, groups, extra):
    """Every x adds w, times its value; terms outside the output are dropped. w is (Cin, KH, KW, Cout/groups)."""
    n_images, height, width, channels = x.shape
    _, kh, kw, group_out = w.shape
    oh = (height - 1) * stride[0] - pads[0] - pads[1] + dilation[0] * (kh - 1) + 1 + extra[0]
    ow = (width - 1) * stride[1] - pads[2] - pads[3] + dilation[1] * (kw - 1) + 1 + extra[1]
    y = np.zeros((n_images, oh, ow, group_out * groups)) + b
    for n, i, j, c, u, v in itertools.product(*map(range, (n_images, height, width, channels, kh, kw))):
        p, q = i * stride[0] + u * dilation[0] - pads[0], j * stride[1] + v * dilation[1] - pads[2]
        first = c // (channels // groups) * group_out
        if 0 <= p < oh and 0 <= q < ow:
            for f in range(group_out):
                y[n, p, q, first + f] += x[n, i, j, c] * w[c, u, v, f]
    return y


def bilinear(x, size, scales, aligned):
    """Each output is a mean of the four pixels around its place, by their distances. `scales` are None for a size."""
    n, height, width, c = x.shape

    def neighbours(i, out, length, scale):
        if aligned:
            place = i * (length - 1) / (out - 1) if out > 1 else 0.0
        else:
            place = max(0.0, (i + 0.5) * (length / out if scale is None or out == length else 1 / scale) - 0.5)
        low = min(math.floor(place), length - 1)
        part = place - low
        return [(low, 1 - part), (min(low + 1, length - 1), part)]

    y = np.zeros((n, *size, c))
    for i, j in itertools.product(range(size[0]), range(size[1])):
        for (p, a), (q, b) in itertools.product(
            neighbours(i, size[0], height, scales[0]), neighbours(j, size[1], width, scales[1])
        ):
            y[:, i, j, :] += a * b * x[:, p, q, :]
    return y
