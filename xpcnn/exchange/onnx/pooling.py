"""Pooling layers to operators.

The images' size is known here, so that padding "same" and what ceil_mode adds are written as numbers: programs differ
in how they round, and in what an average then counts.
"""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...ops.window import Placement
from ...typing import NDArray
from .layers import Place, onnx_pads, pad_images, placed, translates


@translates(nn.MaxPool2d)
def _max_pool(at: Place, layer: nn.MaxPool2d) -> str:
    place = placed(at, layer.window)
    pads, x = _used(place), at.x.name
    if any(pad >= layer.kernel_size[side // 2] for side, pad in enumerate(pads)):  # ONNX has no such MaxPool
        pads, x = (0, 0, 0, 0), pad_images(at, pads, -math.inf, part="Pad")
    return at.node(
        "MaxPool",
        x,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=onnx_pads(pads),
        dilations=layer.dilation,
    )


@translates(nn.AvgPool2d)
def _avg_pool(at: Place, layer: nn.AvgPool2d) -> str:
    window = layer.window
    place = placed(at, window)
    asked = place.pads if isinstance(window.padding, str) else window.padding
    pads, x, counted = _used(place), at.x.name, layer.count_include_pad
    if counted and asked != place.pads:  # zeros that count, then what ceil_mode adds, which does not
        x = pad_images(at, asked, 0.0, part="Pad") if any(asked) else x
        top, bottom, left, right = (max(used - zeros, 0) for used, zeros in zip(pads, asked, strict=True))
        pads, counted = (top, bottom, left, right), False
    return at.node(
        "AveragePool",
        x,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=onnx_pads(pads),
        count_include_pad=int(counted),
    )


@translates(nn.AdaptiveAvgPool2d)
def _adaptive_avg_pool(at: Place, layer: nn.AdaptiveAvgPool2d) -> str:
    (height, width, _), (oh, ow) = at.x.shape, layer.output_size
    if (oh, ow) == (1, 1):
        return at.node("GlobalAveragePool")
    if height % oh == 0 and width % ow == 0:
        kernel = (height // oh, width // ow)
        return at.node("AveragePool", kernel_shape=kernel, strides=kernel)
    rows = at.constant("rows", bins(oh, height))  # (OH, H)
    columns = at.constant("columns", bins(ow, width).T)  # (W, OW)
    x = at.node("MatMul", at.x.name, columns, part="columns")  # (N, C, H, W) @ (W, OW)
    return at.node("MatMul", rows, x)  # (OH, H) @ (N, C, H, OW)


@translates(nn.GlobalAvgPool2d)
def _global_avg_pool(at: Place, layer: nn.GlobalAvgPool2d) -> str:
    return at.node("Flatten", at.node("GlobalAveragePool", part="pooled"), axis=1)


@translates(nn.GlobalMaxPool2d)
def _global_max_pool(at: Place, layer: nn.GlobalMaxPool2d) -> str:
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
