"""Plain loops that define each operation. They share nothing with the package.

Everything is float64 NumPy, channels last, simple and slow.
"""

from __future__ import annotations

import itertools

import numpy as np


def conv2d(x, w, b, stride, pads, dilation, groups):
    """y[n,i,j,f] by seven loops. pads = (top, bottom, left, right)."""
    n_images, height, width, _ = x.shape
    n_filters, kh, kw, group_in = w.shape
    top, bottom, left, right = pads
    oh = (height + top + bottom - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (width + left + right - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n_images, oh, ow, n_filters))
    for n in range(n_images):
        for i in range(oh):
            for j in range(ow):
                for f in range(n_filters):
                    first = f // (n_filters // groups) * group_in
                    for u in range(kh):
                        for v in range(kw):
                            row, column = i * stride[0] + u * dilation[0] - top, j * stride[1] + v * dilation[1] - left
                            if 0 <= row < height and 0 <= column < width:
                                for c in range(group_in):
                                    y[n, i, j, f] += x[n, row, column, first + c] * w[f, u, v, c]
                    if b is not None:
                        y[n, i, j, f] += b[f]
    return y


def conv2d_gradients(x, w, dy, stride, pads, dilation, groups):
    """dx, dw, db: every term of the forward sum passes its dy to both of its factors."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    _, height, width, _ = x.shape
    n_filters, kh, kw, group_in = w.shape
    for n, i, j, f in itertools.product(*map(range, dy.shape)):
        first = f // (n_filters // groups) * group_in
        for u, v in itertools.product(range(kh), range(kw)):
            row, column = i * stride[0] + u * dilation[0] - pads[0], j * stride[1] + v * dilation[1] - pads[2]
            if 0 <= row < height and 0 <= column < width:
                for c in range(group_in):
                    dx[n, row, column, first + c] += dy[n, i, j, f] * w[f, u, v, c]
                    dw[f, u, v, c] += dy[n, i, j, f] * x[n, row, column, first + c]
    return dx, dw, dy.sum(axis=(0, 1, 2))
