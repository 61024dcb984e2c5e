"""Operators to layers: channels and pixels that change places, and slices of channels."""

from __future__ import annotations

import numpy as np

from ... import nn
from ...typing import Shape
from .file import Node
from .graph_state import GraphState
from .operators import reads
from .value import Made, Reshaped, Value
from .windows import images


@reads("DepthToSpace")
def _depth_to_space(node: Node, state: GraphState) -> Made:
    (height, width, channels), r = state.images(node).shape, node.integer("blocksize", 0)
    mode = node.text("mode", "DCR")
    if r < 1 or channels % (r * r) or mode not in ("DCR", "CRD"):
        raise node.refuse("a blocksize whose square divides the channels, mode DCR or CRD", f"{r} and {mode}")
    layer: nn.Layer = nn.PixelShuffle(r)
    if mode == "DCR":  # a block's pixels are the slower part of the channels
        layer = nn.Sequential(nn.ChannelShuffle(r * r), layer)
    return Made(images((height * r, width * r, channels // (r * r)), node), node.inputs[:1], layer)


@reads("SpaceToDepth")
def _space_to_depth(node: Node, state: GraphState) -> Made:
    (height, width, channels), r = state.images(node).shape, node.integer("blocksize", 0)
    mode = node.text("mode", "DCR")
    if r < 1 or height % r or width % r or mode not in ("DCR", "CRD"):
        raise node.refuse("a blocksize that divides height and width, mode DCR or CRD", f"{r} and {mode}")
    layer: nn.Layer = nn.PixelUnshuffle(r)
    if mode == "DCR":
        layer = nn.Sequential(layer, nn.ChannelShuffle(channels))
    return Made(images((height // r, width // r, channels * r * r), node), node.inputs[:1], layer)


@reads("Slice")
def _slice(node: Node, state: GraphState) -> Made:
    value = state.value(node)
    rank = len(value.shape) + 1
    given = [state.optional(node, number) for number in (1, 2, 3, 4)]
    starts, ends, axes, steps = (None if each is None else [int(i) for i in each.ravel()] for each in given)
    if starts is None and node.has("starts"):  # until opset 9
        starts, ends = list(node.integers("starts", ())), list(node.integers("ends", ()))
        axes = list(node.integers("axes", ())) or None
    starts, ends = starts or [], ends or []
    axes = [axis % rank for axis in (range(len(starts)) if axes is None else axes)]
    if not len(starts) == len(ends) == len(axes) or any(step != 1 for step in steps or ()):
        raise node.refuse("a start and an end for each axis, in steps of 1", f"steps {steps}")
    shape = (0, *value.sizes)
    parts = {a: slice(start, end).indices(shape[a])[:2] for a, start, end in zip(axes, starts, ends, strict=True)}
    cut = {axis: part for axis, part in parts.items() if part != (0, shape[axis]) or axis == 0}
    if cut.keys() - {value.channel_axis} or value.image is not None:
        raise node.refuse("a slice of the channels", f"axes {sorted(cut)}")
    if not cut:
        return Made(value, node.inputs[:1])
    return _part(node, value, *cut[value.channel_axis])


@reads("Split")
def _split(node: Node, state: GraphState) -> list[Made]:
    """A slice for each output."""
    value = state.value(node)
    size, number = value.shape[-1], len(node.outputs)
    if node.integer("axis", 0) % (len(value.shape) + 1) != value.channel_axis or value.image is not None:
        raise node.refuse("a split of the channels", f"axis {node.integer('axis', 0)}")
    given = state.optional(node, 1)
    each = -(-size // node.integer("num_outputs", number))  # the last one may be smaller
    sizes = [*node.integers("split", (each,) * (number - 1) + (size - each * (number - 1),))]
    if given is not None:
        sizes = [int(i) for i in given.ravel()]
    if len(sizes) != number or min(sizes) < 1 or sum(sizes) != size:
        raise node.refuse(f"{size} channels in {number} parts", str(sizes))
    ends = np.cumsum(sizes).tolist()
    return [_part(node, value, end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _part(node: Node, value: Value, start: int, stop: int) -> Made:
    if start >= stop:
        raise node.refuse("a channel at least", f"{start}:{stop}")
    part = Value((*value.shape[:-1], stop - start), value.axes)
    return Made(part, node.inputs[:1], nn.ChannelSlice(start, stop))


def rearranged(known: Reshaped, value: Value, sizes: Shape, node: Node) -> Made | None:
    """What images, or rows, become that were cut into parts, turned, and put together; None if no layer does that.

    Parameters
        known : the parts, and how they were turned
        value : what they were
        sizes : the sizes in the graph of what they become
    """
    parts, perm, channels = known.sizes, known.perm, value.shape[-1]
    if perm == (0, 2, 1, *range(3, len(perm))) and parts[0] * parts[1] == channels and sizes == value.sizes:
        return Made(value, (known.root,), nn.ChannelShuffle(parts[0]))
    if len(value.shape) != 3:
        return None
    height, width = value.size
    if perm == (0, 1, 4, 2, 5, 3) and parts[1] == parts[2]:
        r = parts[1]
        if parts[0] * r * r == channels and sizes == (parts[0], height * r, width * r) and parts[3:] == (height, width):
            return Made(images((height * r, width * r, parts[0]), node), (known.root,), nn.PixelShuffle(r))
    if perm == (0, 1, 3, 5, 2, 4) and parts[2] == parts[4]:
        r = parts[2]
        if parts == (channels, height // r, r, width // r, r) and sizes == (channels * r * r, parts[1], parts[3]):
            return Made(images((parts[1], parts[3], channels * r * r), node), (known.root,), nn.PixelUnshuffle(r))
    return None
