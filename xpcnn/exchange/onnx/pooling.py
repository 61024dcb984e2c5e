"""Pooling layers to operators.

The images' size is known here, so that padding "same" and what ceil_mode adds are written as numbers: programs differ
in how they round, and in what an average then counts.
"""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...nn.sequences import as_images
from ...ops.window import Placement
from ...typing import NDArray
from .layers import Place, pad_images, placed, spatial, translates, window_attributes


@translates(nn.MaxPool1d, nn.MaxPool2d)
def _max_pool(at: Place, layer: nn.MaxPool1d | nn.MaxPool2d) -> str:
    window = as_images(layer).window
    place = placed(at, window)
    pads, x = _used(place), at.x.name
    if any(pad >= window.kernel[side // 2] for side, pad in enumerate(pads)):  # ONNX has no such MaxPool
        pads, x = (0, 0, 0, 0), pad_images(at, pads, -math.inf, part="Pad")
    return at.node("MaxPool", x, **window_attributes(at, window, pads))


@translates(nn.AvgPool1d, nn.AvgPool2d)
def _avg_pool(at: Place, layer: nn.AvgPool1d | nn.AvgPool2d) -> str:
    window = as_images(layer).window
    place = placed(at, window)
    asked = place.pads if isinstance(window.padding, str) else window.padding
    pads, x, counted = _used(place), at.x.name, layer.count_include_pad
    if counted and asked != place.pads:  # zeros that count, then what ceil_mode adds, which does not
        x = pad_images(at, asked, 0.0, part="Pad") if any(asked) else x
        top, bottom, left, right = (max(used - zeros, 0) for used, zeros in zip(pads, asked, strict=True))
        pads, counted = (top, bottom, left, right), False
    attributes = window_attributes(at, window, pads)
    del attributes["dilations"]  # which come with opset 19
    return at.node("AveragePool", x, **attributes, count_include_pad=int(counted))


@translates(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
def _adaptive_avg_pool(at: Place, layer: nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d) -> str:
    sizes, out = at.x.shape[:-1], as_images(layer).output_size[-spatial(at) :]
    if set(out) == {1}:
        return at.node("GlobalAveragePool")
    if all(size % o == 0 for size, o in zip(sizes, out, strict=True)):
        kernel = [size // o for size, o in zip(sizes, out, strict=True)]
        return at.node("AveragePool", kernel_shape=kernel, strides=kernel)
    columns = at.constant("columns", bins(out[-1], sizes[-1]).T)  # (W, OW)
    if len(out) == 1:
        return at.node("MatMul", at.x.name, columns)  # (N, C, L) @ (L, OL)
    rows = at.constant("rows", bins(out[0], sizes[0]))  # (OH, H)
    x = at.node("MatMul", at.x.name, columns, part="columns")  # (N, C, H, W) @ (W, OW)
    return at.node("MatMul", rows, x)  # (OH, H) @ (N, C, H, OW)


@translates(nn.GlobalAvgPool1d, nn.GlobalAvgPool2d)
def _global_avg_pool(at: Place, layer: nn.Layer) -> str:
    return at.node("Flatten", at.node("GlobalAveragePool", part="pooled"), axis=1)


@translates(nn.GlobalMaxPool1d, nn.GlobalMaxPool2d)
def _global_max_pool(at: Place, layer: nn.Layer) -> str:
    return at.node("Flatten", at.node("GlobalMaxPool", part="pooled"), axis=1)


def bins(out: int, size: int) -> NDArray:
    """The matrix (out, size) of equations 1 and 2 of `xpcnn.ops.adaptive_pool`.

    >>> bins(2, 3)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    i, at = np.arange(out)[:, None], np.arange(size)
    start, end = i * size // out, -(-(i + 1) * size // out)
    inside: NDArray = ((start <= at) & (at < end)) / (end - start)
    return inside


def _used(place: Placement) -> tuple[int, int, int, int]:
    """The padding without what is after the last window."""
    after = []
    for axis, size in enumerate(place.size):
        last = place.reads(axis, place.out[axis] - 1)[-1]
        after.append(max(last + 1 - size, 0))
    return place.pads[0], after[0], place.pads[2], after[1]
