"""Layers of windows, as lines of a program: convolution and pooling, also of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import nn
from ...nn.sequences import SequenceLayer, as_images
from ...ops.adaptive_pool import bins
from ...ops.pool import tap_counts
from ...ops.window import Placement
from ...typing import Shape
from .place import Place, inline, writes

_UNIT = np.zeros(())


def on_images(at: Place, layer: Any) -> tuple[Any, str, Shape, Shape, str]:
    """The layer of images, and its input, shapes and what follows the call: sequences are images of height 1."""
    if isinstance(layer, SequenceLayer):
        return as_images(layer), f"{at.x}[:, None]", (1, *at.shape), (1, *at.out), "[:, 0]"
    return layer, at.x, at.shape, at.out, ""


def _geometry(place: Placement) -> dict[str, Any]:
    """Stride, padding and dilation; None where they are the ones that a call has anyhow."""
    top, bottom, left, right = place.pads
    window = place.window
    return {
        "stride": window.stride if window.stride != (1, 1) else None,
        "pad": ((top, bottom), (left, right)) if any(place.pads) else None,
        "dilation": window.dilation if window.dilation != (1, 1) else None,
    }


def _weights(at: Place, layer: Any) -> list[str]:
    """The weight and the bias; of sequences with a height of 1."""
    given = at.learned(layer)
    height = "[:, None]" if isinstance(layer, SequenceLayer) else ""
    return [given["weight"] + height, *([given["bias"]] if "bias" in given else [])]


@writes(nn.Conv2d, nn.Conv1d)
def _conv(at: Place, layer: Any) -> str:
    conv, x, shape, _, end = on_images(at, layer)
    options = _geometry(conv.window.place(*shape[:2]))
    if conv.groups == 1:
        return at.call("conv2d", x, *_weights(at, layer), **options) + end
    if conv.groups == conv.in_channels == conv.out_channels:
        return at.call("depthwise_conv2d", x, *_weights(at, layer), **options) + end
    return at.call("grouped_conv2d", x, *_weights(at, layer), groups=conv.groups, **options) + end


@writes(nn.ConvTranspose2d, nn.ConvTranspose1d)
def _conv_transpose(at: Place, layer: Any) -> str:
    conv, x, shape, out, end = on_images(at, layer)
    place = Placement(conv.window, out[:2], shape[:2], conv.window.padding)  # type: ignore[arg-type]
    groups = conv.groups if conv.groups > 1 else None
    return at.call("conv_transpose2d", x, *_weights(at, layer), size=out[:2], groups=groups, **_geometry(place)) + end


@writes(nn.MaxPool2d, nn.MaxPool1d)
def _max_pool(at: Place, layer: Any) -> str:
    pool, x, shape, _, end = on_images(at, layer)
    place = pool.window.place(*shape[:2])
    return at.call("max_pool2d", x, place.window.kernel, **_geometry(place) | {"stride": place.window.stride}) + end


@writes(nn.AvgPool2d, nn.AvgPool1d)
def _avg_pool(at: Place, layer: Any) -> str:
    pool, x, shape, _, end = on_images(at, layer)
    place = pool.window.place(*shape[:2])
    options = _geometry(place) | {"stride": place.window.stride}
    counts: Any = tap_counts(place, pool.count_include_pad, _UNIT, np)
    options["counts"] = at.array("counts", counts) if isinstance(counts, np.ndarray) else None
    return at.call("avg_pool2d", x, place.window.kernel, **options) + end


@writes(nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool1d)
def _adaptive(at: Place, layer: Any) -> str:
    _, x, shape, out, end = on_images(at, layer)
    if out[:2] == (1, 1):
        return f"{x}.mean(axis=(1, 2), keepdims=True){end}"
    names = zip(("rows", "columns"), out, shape, strict=False)
    return at.call("resized", x, *(at.array(name, bins(o, n, _UNIT, np)) for name, o, n in names)) + end


writes(nn.GlobalAvgPool2d)(inline("{x}.mean(axis=(1, 2))"))
writes(nn.GlobalMaxPool2d)(inline("{x}.max(axis=(1, 2))"))
writes(nn.GlobalAvgPool1d)(inline("{x}.mean(axis=1)"))
writes(nn.GlobalMaxPool1d)(inline("{x}.max(axis=1)"))
