"""Operators that move numbers: flattening and reshaping, axes, padding, upsampling.

What changes only the graph's axes needs no layer. Between images and rows there are `Flatten` and `Unflatten` alone:
other shapes may stand on the way to them. An item that has been made of a row is (C, H, W), unless its last axis is
moved to the front at once, as channels-last programs do: then it was (H, W, C).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ... import nn
from ...typing import NDArray
from .constants import axes_of
from .file import Node
from .graph_state import MOST_NUMBERS, GraphState
from .layers import to_channels_first
from .operators import reads
from .rearranging import rearranged
from .value import Made, Reshaped, Value, channels_first
from .windows import images, plainest


@reads("Identity")
def _identity(node: Node, state: GraphState) -> Made:
    return Made(state.value(node), node.inputs[:1])


@reads("Cast")
def _cast(node: Node, state: GraphState) -> Made:
    node.ignore("saturate", "round_mode")
    if (to := node.integer("to", 1)) not in (1, 11):
        raise node.refuse("a floating type", f"type {to}")
    return Made(state.value(node), node.inputs[:1])


@reads("Transpose")
def _transpose(node: Node, state: GraphState) -> Made | Reshaped:
    reshaped = state.reshaped(node)
    if reshaped is not None and node.integers("perm", ()) == to_channels_first(rank := len(reshaped.sizes)):
        made = state.unflattened(node.inputs[0], reshaped, tuple(range(rank)))
        if isinstance(made, Made):
            return Made(Value(made.value.shape, channels_first(rank)), made.inputs, made.layer)
    perm = node.integers("perm", ())
    if reshaped is not None and not reshaped.perm and _is_cut(reshaped, state.value_of(reshaped.root, node), perm):
        if sorted(perm) != list(range(len(reshaped.sizes) + 1)) or perm[0] != 0:
            raise node.refuse("a permutation that leaves the batch axis", str(perm))
        return replace(reshaped, perm=perm)
    value = state.value(node)
    rank = len(value.shape) + 1
    perm = node.integers("perm", tuple(reversed(range(rank))))
    if sorted(perm) != list(range(rank)) or perm[0] != 0:
        raise node.refuse("a permutation that leaves the batch axis", str(perm))
    axes = tuple(value.axes[axis - 1] for axis in perm[1:])
    return Made(Value(value.shape, axes, value.image), node.inputs[:1])


@reads("Flatten")
def _flatten(node: Node, state: GraphState) -> Made | Reshaped:
    sizes = state.sizes(node)
    if node.integer("axis", 1) not in (1, -len(sizes)):
        raise node.refuse("axis 1", "another")
    return _reshaped(node, state, (math.prod(sizes),))


@reads("Squeeze")
def _squeeze(node: Node, state: GraphState) -> Made | Reshaped:
    sizes, axes = state.sizes(node), axes_of(node, state)
    rank = len(sizes) + 1
    dropped = {axis % rank for axis in axes} if axes is not None else {i + 1 for i, n in enumerate(sizes) if n == 1}
    if any(axis == 0 or sizes[axis - 1] != 1 for axis in dropped):
        raise node.refuse("axes of length 1, and not the batch's", str(axes))
    return _reshaped(node, state, tuple(size for i, size in enumerate(sizes) if i + 1 not in dropped))


@reads("Unsqueeze")
def _unsqueeze(node: Node, state: GraphState) -> Made | Reshaped:
    sizes, axes = state.sizes(node), axes_of(node, state) or ()
    rank = len(sizes) + 1 + len(axes)
    if rank > 8:
        raise node.refuse("at most 8 axes", str(rank))
    added = {axis % rank for axis in axes}
    if len(added) != len(axes) or 0 in added:
        raise node.refuse("new axes after the batch's", str(axes))
    rest = iter(sizes)
    return _reshaped(node, state, tuple(1 if axis in added else next(rest) for axis in range(1, rank)))


@reads("Reshape")
def _reshape(node: Node, state: GraphState) -> Made | Reshaped:
    sizes, wanted = state.sizes(node), [int(size) for size in state.required(node, 1).ravel()]
    copies = node.integer("allowzero", 0) == 0
    batch, rest = (wanted or [1])[0], wanted[1:]
    if not rest or not (batch == -1 or (copies and batch == 0) or batch == state.batch):
        raise node.refuse("a shape whose first axis is the batch", str(wanted))
    if copies:
        rest = [sizes[i] if size == 0 and i < len(sizes) else size for i, size in enumerate(rest)]
    known = math.prod(size for size in rest if size != -1)
    if rest.count(-1) == 1 and known > 0:
        rest = [math.prod(sizes) // known if size == -1 else size for size in rest]
    if min(rest) < 1 or math.prod(rest) != math.prod(sizes):
        raise node.refuse(f"a shape for {math.prod(sizes)} numbers an item", str(wanted))
    return _reshaped(node, state, tuple(rest))


@reads("Gather")
def _gather(node: Node, state: GraphState) -> Made:
    """A row's numbers put into the layers' order, as `export_onnx` writes it."""
    value, indices = state.rows(node), state.required(node, 1)
    own = indices.shape == value.shape and value.image is not None
    if node.integer("axis", 0) not in (1, -1) or not own or not np.array_equal(indices, value.columns()):
        raise node.refuse("the order of flattened images, along axis 1", f"indices {indices.shape}")
    return Made(Value(value.shape, (0,)), node.inputs[:1])


@reads("Pad")
def _pad(node: Node, state: GraphState) -> Made:
    """Zeros, or an image's own numbers, around images; or channels of zeros."""
    given = state.optional(node, 1)
    pads = node.integers("pads", ()) if given is None else tuple(int(pad) for pad in given.ravel())
    fill, axes, mode = state.optional(node, 2), state.optional(node, 3), node.text("mode", "constant")
    number = node.number("value", 0.0) if fill is None else float(fill.reshape(()))
    around = {"reflect": nn.ReflectionPad2d, "edge": nn.ReplicationPad2d}
    if mode not in around and (mode != "constant" or number != 0):
        raise node.refuse("zeros, reflect or edge", f"mode {mode}, {number:g}")
    value = state.value(node)
    rank = len(value.shape) + 1
    padded = range(rank) if axes is None else [int(axis) % rank for axis in axes.ravel()]
    if len(pads) != 2 * len(padded) or len(set(padded)) != len(padded):
        raise node.refuse("two pads for each axis", f"{len(pads)} for {len(padded)}")
    sides = {axis: (pads[i], pads[i + len(padded)]) for i, axis in enumerate(padded) if any(pads[i :: len(padded)])}
    if not sides:
        return Made(value, node.inputs[:1])
    own = {value.axes[axis - 1]: widths for axis, widths in sides.items() if axis}
    if rank == 3 and own.keys() == {0} and mode in (*around, "constant"):
        return _padded_sequences(node, value, own[0], mode)
    if rank != 4 or 0 in sides or (2 in own and len(own) > 1):
        raise node.refuse("height and width, or channels", f"axes {sorted(sides)}")
    layer: nn.Layer
    if mode in around and 2 not in own:
        layer = around[mode](plainest((*own.get(0, (0, 0)), *own.get(1, (0, 0)))))
        if mode == "reflect" and any(max(own[axis]) >= value.shape[axis] for axis in own):
            raise node.refuse("sides below the image's", str(own))
    elif mode in around:
        raise node.refuse("height and width", f"axes {sorted(sides)}")
    elif 2 in own:
        layer = nn.ZeroPadChannels(*own[2])
    else:
        layer = nn.ZeroPad2d(plainest((*own.get(0, (0, 0)), *own.get(1, (0, 0)))))
    height, width, channels = (size + sum(own.get(axis, ())) for axis, size in enumerate(value.shape))
    out = images((height, width, channels), node)
    return Made(Value(out.shape, value.axes), node.inputs[:1], layer)


def _padded_sequences(node: Node, value: Value, ends: tuple[int, int], mode: str) -> Made:
    length, channels = value.shape
    if min(ends) < 0 or (mode == "reflect" and max(ends) >= length):
        raise node.refuse("ends below the sequence's length", str(ends))
    if math.prod(shape := (length + sum(ends), channels)) > MOST_NUMBERS:
        raise node.refuse(f"at most {MOST_NUMBERS} numbers", str(shape))
    kinds = {"reflect": nn.ReflectionPad1d, "edge": nn.ReplicationPad1d, "constant": nn.ZeroPad1d}
    return Made(Value(shape, value.axes), node.inputs[:1], kinds[mode](ends))


@reads("Resize", "Upsample")
def _resize(node: Node, state: GraphState) -> Made:
    """Each pixel as a block of equal ones, in any of the ways that ONNX has to say it."""
    node.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value")  # of other modes
    value = state.images(node)
    newer = node.operator == "Resize" and state.opset >= 11
    mode, where, rounding = node.text("mode", "nearest"), "asymmetric", "floor"
    if newer:
        where = node.text("coordinate_transformation_mode", "half_pixel")
        rounding = node.text("nearest_mode", "round_prefer_floor")
    bilinear = newer and mode == "linear" and where in ("half_pixel", "pytorch_half_pixel", "align_corners")
    blocks = {"asymmetric": ("floor",), "half_pixel": ("round_prefer_floor", "round_prefer_ceil")}
    nearest = mode == "nearest" and rounding in blocks.get(where, ())
    if not (nearest or bilinear) or node.integer("antialias", 0):
        got = f"{mode}, {where}, {rounding}"
        raise node.refuse("nearest neighbours, as blocks of equal pixels, or bilinear", got)
    if node.has("axes") or node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.refuse("scales for all axes", "another policy")
    scales, sizes = state.optional(node, 2 if newer else 1), state.optional(node, 3)
    if scales is not None and scales.size == 4:
        factors = [float(scale) for scale in scales.ravel()]
    elif sizes is not None and sizes.size == 4:
        factors = [1.0, *(int(size) / own for size, own in zip(sizes.ravel()[1:], value.sizes, strict=True))]
    else:
        raise node.refuse("a scale for each of four axes", "others")
    if bilinear and factors[:2] == [1, 1]:
        size = None if (scales is not None and scales.size == 4) or sizes is None else sizes.ravel()[2:]
        return _bilinear(node, value, where, factors[2:], size)
    if factors[:2] != [1, 1] or not all(1 <= factor <= 2**14 and factor == int(factor) for factor in factors):
        raise node.refuse("whole numbers as scales of height and width", str(factors))
    a, b = int(factors[2]), int(factors[3])
    height, width, channels = value.shape
    return Made(images((height * a, width * b, channels), node), node.inputs[:1], nn.Upsample(a if a == b else (a, b)))


def _is_cut(reshaped: Reshaped, value: Value, perm: tuple[int, ...]) -> bool:
    """Whether these are parts of images, or of rows, that change places; and not images that a row becomes."""
    return len(value.shape) == 3 or (value.image is None and perm == (0, 2, 1, 3) and reshaped.sizes[2:] == (1,))


def _bilinear(node: Node, value: Value, where: str, factors: list[float], size: NDArray | None) -> Made:
    """To a size; or by factors, which then say where pixels lie, too."""
    height, width, channels = value.shape
    options: dict[str, Any] = {"align_corners": where == "align_corners", "mode": "bilinear"}
    if size is None:
        layer = nn.Upsample((factors[0], factors[1]), **options)
        single = [np.floor(np.float32(n) * np.float32(scale)) for n, scale in zip(value.size, factors, strict=True)]
        out = layer.output_shape(value.shape)
        if list(out[:2]) != [int(n) for n in single]:
            raise node.refuse("scales by which sizes are whole numbers", str(factors), "give sizes")
        stays = [n == own and scale != 1 for n, own, scale in zip(out, value.size, factors, strict=False)]
        if where != "align_corners" and any(stays):  # ONNX moves its pixels, PyTorch does not
            raise node.refuse("scales that change the size, or 1", str(factors), "give sizes")
    else:
        layer = nn.Upsample(size=(int(size[0]), int(size[1])), **options)
        out = layer.output_shape(value.shape)
    if where == "pytorch_half_pixel" and 1 in out[:2] and out[:2] != (height, width):
        raise node.refuse("an output of more than one pixel a side", str(out))
    return Made(images((out[0], out[1], channels), node), node.inputs[:1], layer)


def _reshaped(node: Node, state: GraphState, sizes: tuple[int, ...]) -> Made | Reshaped:
    if not sizes:
        raise node.refuse("an axis besides the batch's", "none", "leave out the last Squeeze")
    before = state.reshaped(node)
    root = node.inputs[0] if before is None else before.root
    value = state.value_of(root, node)
    if before is not None and before.perm:
        made = rearranged(before, value, sizes, node) if value.axes in ((2, 0, 1), (0,)) else None
        if made is None:
            raise node.refuse("channels or pixels that change places", f"{before.sizes} turned by {before.perm}")
        return made
    if before is not None and before.normalized is not None:
        groups = before.sizes[0]
        if sizes != value.sizes or value.channel_axis != 1 or value.image is not None or value.shape[-1] % groups:
            raise node.refuse(f"the shape {value.sizes} from before the normalisation", str(sizes))
        layer = nn.GroupNorm(groups, value.shape[-1], eps=before.normalized, affine=False)
        return Made(value, (root,), layer)
    if (same := value if sizes == value.sizes else value.with_sizes(sizes)) is not None:
        return Made(same, (root,))
    if len(sizes) > 1:
        return Reshaped(root, sizes)
    return _flattened(state, root, value)


_GLOBAL: dict[type[nn.Layer], type[nn.Layer]] = {
    nn.AdaptiveAvgPool1d: nn.GlobalAvgPool1d,
    nn.AdaptiveAvgPool2d: nn.GlobalAvgPool2d,
    nn.MaxPool1d: nn.GlobalMaxPool1d,
    nn.MaxPool2d: nn.GlobalMaxPool2d,
}


def _flattened(state: GraphState, root: str, value: Value) -> Made:
    made = state.known[root]
    assert isinstance(made, Made)
    row = value.as_row()
    producer, kind = state.producer(root), type(made.layer)
    whole = producer is not None and producer.operator in ("GlobalMaxPool", "ReduceMax")
    if row.shape == value.shape[-1:] and kind in _GLOBAL and (whole or kind not in (nn.MaxPool1d, nn.MaxPool2d)):
        return Made(row, made.inputs, _GLOBAL[kind]())
    return Made(row, (root,), nn.Flatten())
