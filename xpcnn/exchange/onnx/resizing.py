"""Upsampling, and padding with an image's own numbers, to operators."""

from __future__ import annotations

import numpy as np

from ... import nn
from ...nn.sequences import as_images
from ...ops.bilinear import weights
from .layers import Place, pad_widths, translates


@translates(nn.Upsample)
def _upsample(at: Place, layer: nn.Upsample) -> str:
    if layer.mode == "nearest":
        return _resize(at, layer.scale_factor, mode="nearest", nearest_mode="floor", transformation="asymmetric")
    (height, width, _), (oh, ow, _) = at.x.shape, at.shape
    if oh % height == 0 and ow % width == 0 and layer.scale_factor in (None, (oh // height, ow // width)):
        how = "align_corners" if layer.align_corners else "half_pixel"
        return _resize(at, (oh // height, ow // width), mode="linear", transformation=how)
    # In the graph, sizes other than by whole factors would be those of float32's scales, rounded down.
    scales = layer.scale_factor or (None, None)
    rows, columns = (
        weights(out, size, scale, layer.align_corners, np.zeros(()), np)
        for out, size, scale in zip((oh, ow), (height, width), scales, strict=True)
    )
    x = at.node("MatMul", at.x.name, at.constant("columns", columns.T), part="columns")  # (N, C, H, W) @ (W, OW)
    return at.node("MatMul", at.constant("rows", rows), x)  # (OH, H) @ (N, C, H, OW)


def _resize(at: Place, factors: tuple[float, ...], *, transformation: str, **options: str) -> str:
    scales = at.constant("scales", [1.0, 1.0, *factors])
    return at.node("Resize", at.x.name, "", scales, coordinate_transformation_mode=transformation, **options)


_REFLECTS = (nn.ReflectionPad1d, nn.ReflectionPad2d)


@translates(*_REFLECTS, nn.ReplicationPad1d, nn.ReplicationPad2d)
def _edge_pad(at: Place, layer: nn.Layer) -> str:
    pads = at.constant("pads", pad_widths(at, as_images(layer).padding), "int64")
    return at.node("Pad", at.x.name, pads, mode="reflect" if isinstance(layer, _REFLECTS) else "edge")
