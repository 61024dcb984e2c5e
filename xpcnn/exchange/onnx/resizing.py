"""Images of another size, by interpolation and by padding: to operators, and from them.

Interpolation is a matrix along the height, and one along the width. Those of a layer that has a name are known again.
"""

from __future__ import annotations

import math
from itertools import starmap

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...nn.sequences import as_images
from ...ops.bilinear import weights
from .file import Node
from .graph_state import GraphState
from .interpolation import Interpolation, layer_with_matrices
from .layers import Place, pad_images, pad_widths, translates
from .operators import give, plainly, reads
from .products import windowed
from .value import Made

MOST_WEIGHTS = 2**24  # of a matrix


@reads("Resize", "Upsample")
def _resize(node: Node, state: GraphState) -> Made:
    newer = node.operator == "Resize" and state.opset >= 11
    name, value = state.images(node)
    rank, size = len(value.axes) + 1, value.size
    if rank != 4:
        raise node.refuse("images (N, C, H, W)", f"items of sizes {value.sizes}")
    given, scales = _scales(node, state, newer)
    axes = [node.axis(axis, rank - 1) for axis in node.integers("axes", tuple(range(rank)))]
    if len(given) != len(axes) or len(set(axes)) < len(axes):
        raise node.refuse("a scale for each axis", f"{len(given)} for {len(axes)}")
    by_axis = dict(zip(axes, given, strict=True))
    if by_axis.get(1, 1) not in ((1,) if scales else (1, value.sizes[0])) or (scales and by_axis.get(0, 1) != 1):
        raise node.refuse("scales of height and width", str(given))
    wanted = [by_axis.get(rank - 2 + axis, 1 if scales else n) if rank - 2 + axis > 1 else 1
              for axis, n in enumerate(size)]  # fmt: skip
    if (policy := node.text("keep_aspect_ratio_policy", "stretch")) != "stretch" and not scales:
        ratios = [wanted[axis] / n for axis, n in enumerate(size) if rank - 2 + axis in by_axis]
        ratio = {"not_larger": min, "not_smaller": max}[policy](ratios)
        wanted = [math.floor(ratio * n + 0.5) if rank - 2 + axis in by_axis else n for axis, n in enumerate(size)]
    scale = [plainly(each) if scales else each / n for each, n in zip(wanted, size, strict=True)]
    oh, ow = (
        int(np.float32(n) * np.float32(each)) if scales else int(each) for each, n in zip(wanted, size, strict=True)
    )
    y = state.as_images(node, (oh, ow, value.shape[-1]))
    how, factors = Interpolation(node, state, rank), (oh // size[0], ow // size[1])
    if how.blocks and tuple(scale) == factors:
        return Made(y, (name,), nn.Upsample(factors[0] if factors[0] == factors[1] else factors))
    if max(oh * size[0], ow * size[1]) > MOST_WEIGHTS:
        raise node.refuse(f"matrices of at most {MOST_WEIGHTS} weights", f"{size} to {(oh, ow)}")
    rows, columns = how.matrix(0, size[0], oh, scale[0]), how.matrix(1, size[1], ow, scale[1])
    layer = layer_with_matrices(rows, columns, (scale[0], scale[1]) if scales else None)
    if layer is None:
        state.charge(node, 4 * (rows.size + columns.size))
        layer = give(nn.Resample(size, (oh, ow)), node, state, rows=rows, columns=columns)
    return Made(y, (name,), layer)


def _scales(node: Node, state: GraphState, newer: bool) -> tuple[list[float], bool]:
    """Scales, or sizes; and whether they are scales."""
    scales, sizes = state.optional(node, 2 if newer else 1), state.optional(node, 3)
    if scales is not None and scales.size:
        return [float(each) for each in scales.ravel()], True
    if sizes is not None and sizes.size:
        return [int(each) for each in sizes.ravel()], False
    if node.has("scales"):  # until opset 8
        return list(node.numbers("scales")), True
    raise node.refuse("scales or sizes", "neither")


_AROUND = {"reflect": "ReflectionPad", "edge": "ReplicationPad"}


@reads("Pad")
def _pad(node: Node, state: GraphState) -> Made:
    """Zeros, or an image's own numbers, around images; or channels of zeros. Numbers below 0 cut pixels off."""
    pads = state.integers(node, 1, "pads") or ()
    fill, axes, mode = state.optional(node, 2), state.integers(node, 3, ""), node.text("mode", "constant")
    number = node.number("value", 0.0) if fill is None or not fill.size else float(fill.reshape(()))
    if mode not in _AROUND and (mode != "constant" or number != 0):
        raise node.refuse("zeros, reflect or edge", f"mode {mode}, {number:g}")
    rank = len(state.value(node).axes) + 1
    padded = range(rank) if axes is None else [node.axis(axis, rank - 1) for axis in axes]
    if len(pads) != 2 * len(padded) or len(set(padded)) != len(padded):
        raise node.refuse("two pads for each axis", f"{len(pads)} for {len(padded)}")
    sides = {axis: (pads[i], pads[i + len(padded)]) for i, axis in enumerate(padded) if any(pads[i :: len(padded)])}
    if not sides:
        return Made(state.value(node), node.inputs[:1])
    if 0 in sides or (1 in sides and (mode in _AROUND or min(sides[1]) < 0)):
        raise node.refuse("height and width, or channels", f"axes {sorted(sides)}")
    name, value = state.images(node)
    own = [sides.get(rank - 2, (0, 0)) if rank == 4 else (0, 0), sides.get(rank - 1, (0, 0)), sides.get(1, (0, 0))]
    layers: list[nn.Layer] = []
    for axis, (before, after) in enumerate(own[:2]):
        if min(before, after) < 0:
            stop = value.size[axis] - max(-after, 0)
            layers.append(nn.Slice(max(-before, 0), stop, axis=axis + len(value.shape) - 2))
    (top, bottom), (left, right) = (tuple(max(each, 0) for each in pair) for pair in own[:2])
    if any(widths := (top, bottom, left, right)):
        if mode == "reflect" and any(max(pair) >= n for pair, n in zip(own[:2], value.size, strict=True) if any(pair)):
            raise node.refuse("sides below the image's", str(own))
        layers.append(windowed(_AROUND.get(mode, "ZeroPad"), value, padding=widths))
    layers += [nn.ZeroPadChannels(*own[2])] * any(own[2])
    height, width, channels = (size + sum(pair) for size, pair in zip((*value.size, value.shape[-1]), own, strict=True))
    y = state.as_images(node, (height, width, channels))
    return Made(y, (name,), layers[0] if len(layers) == 1 else nn.Sequential(*layers))


@translates(nn.Upsample)
def _to_resize(at: Place, layer: nn.Upsample) -> str:
    (height, width, _), (oh, ow, _) = at.x.shape, at.shape
    whole = oh % height == 0 and ow % width == 0 and layer.scale_factor in (None, (oh // height, ow // width))
    if not whole:  # in the graph, sizes would be those of float32's scales, rounded down
        each = zip((oh, ow), (height, width), layer.scale_factor or (None, None), strict=True)
        return at.separable(*starmap(lambda o, n, s: weights(o, n, s, layer.align_corners, np.zeros(()), np), each))
    options = {"mode": "nearest", "nearest_mode": "floor"} if layer.mode == "nearest" else {"mode": "linear"}
    where = "asymmetric" if layer.mode == "nearest" else "align_corners" if layer.align_corners else "half_pixel"
    scales = at.constant("scales", [1.0, 1.0, oh // height, ow // width])
    return at.node("Resize", at.x.name, "", scales, coordinate_transformation_mode=where, **options)


@translates(nn.Resample)
def _to_matrices(at: Place, layer: nn.Resample) -> str:
    return at.separable(to_numpy(layer.rows), to_numpy(layer.columns))


@translates(nn.ZeroPad1d, nn.ZeroPad2d)
def _to_pad(at: Place, layer: nn.ZeroPad1d | nn.ZeroPad2d) -> str:
    return pad_images(at, as_images(layer).padding, 0.0)


@translates(nn.ZeroPadChannels)
def _to_channels(at: Place, layer: nn.ZeroPadChannels) -> str:
    pads = [0, layer.before, 0, 0, 0, layer.after, 0, 0]
    return at.node("Pad", at.x.name, at.constant("pads", pads, "int64"))


_REFLECTS = (nn.ReflectionPad1d, nn.ReflectionPad2d)


@translates(*_REFLECTS, nn.ReplicationPad1d, nn.ReplicationPad2d)
def _to_edge_pad(at: Place, layer: nn.Layer) -> str:
    pads = at.constant("pads", pad_widths(at, as_images(layer).padding), "int64")
    return at.node("Pad", at.x.name, pads, mode="reflect" if isinstance(layer, _REFLECTS) else "edge")
