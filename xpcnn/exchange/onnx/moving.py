"""Axes and numbers that change places: to operators, and from them.

What only moves axes is read without a layer; see `value`.
"""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...typing import Shape
from .file import Node
from .graph_state import GraphState, same
from .layers import Place, to_channels_first, translates
from .operators import reads
from .value import Made, Value


@reads("Transpose")
def _transpose(node: Node, state: GraphState) -> Made:
    value = state.value(node)
    rank = len(value.axes) + 1
    perm = node.integers("perm", tuple(reversed(range(rank))))
    if sorted(perm) != list(range(rank)) or perm[0] != 0:
        raise node.refuse("a permutation that leaves the batch axis", str(perm))
    return same(value.turned(perm), node.inputs[0])


@reads("Flatten")
def _flatten(node: Node, state: GraphState) -> Made:
    sizes = state.value(node).sizes
    if node.integer("axis", 1) not in (1, -len(sizes)):
        raise node.refuse("axis 1", "another")
    return with_sizes(node, state, (math.prod(sizes),))


@reads("Squeeze")
def _squeeze(node: Node, state: GraphState) -> Made:
    sizes, axes = state.value(node).sizes, state.integers(node, 1, "axes")
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(sizes, 1) if size == 1)
    dropped = {node.axis(axis, len(sizes)) for axis in axes}
    if any(axis == 0 or sizes[axis - 1] != 1 for axis in dropped):
        raise node.refuse("axes of length 1, and not the batch's", str(axes))
    return with_sizes(node, state, tuple(size for i, size in enumerate(sizes) if i + 1 not in dropped))


@reads("Unsqueeze")
def _unsqueeze(node: Node, state: GraphState) -> Made:
    sizes, axes = state.value(node).sizes, state.integers(node, 1, "axes") or ()
    rank = len(sizes) + 1 + len(axes)
    if rank > 8:
        raise node.refuse("at most 8 axes", str(rank))
    added = {node.axis(axis, rank - 1) for axis in axes}
    if len(added) != len(axes) or 0 in added:
        raise node.refuse("new axes after the batch's", str(axes))
    rest = iter(sizes)
    return with_sizes(node, state, tuple(1 if axis in added else next(rest) for axis in range(1, rank)))


@reads("Reshape")
def _reshape(node: Node, state: GraphState) -> Made:
    sizes, wanted = state.value(node).sizes, [int(size) for size in state.required(node, 1).ravel()]
    copies = node.integer("allowzero", 0) == 0
    batch, rest = (wanted or [1])[0], wanted[1:]
    if not (batch == -1 or (copies and batch == 0) or batch == state.batch) or len(wanted) > 8:
        raise node.refuse("a shape whose first axis is the batch", str(wanted))
    if copies:
        rest = [sizes[i] if size == 0 and i < len(sizes) else size for i, size in enumerate(rest)]
    known = math.prod(size for size in rest if size != -1)
    if rest.count(-1) == 1 and known > 0:
        rest = [math.prod(sizes) // known if size == -1 else size for size in rest]
    if min(rest, default=0) < 1 or math.prod(rest) != math.prod(sizes):
        raise node.refuse(f"a shape for {math.prod(sizes)} numbers an item", str(wanted))
    return with_sizes(node, state, tuple(rest))


def with_sizes(node: Node, state: GraphState, sizes: Shape) -> Made:
    """The same numbers in these sizes of the graph. A row is made one at once, for so layers take it."""
    name, value = node.inputs[0], state.value(node)
    changed = value.with_sizes(sizes)
    if changed is None:  # across the parts that there are: in the graph's order, there is one
        name, value = state.arranged(name, [tuple(part for axis in value.axes for part in axis)])
        row = value.with_sizes((math.prod(sizes),))
        changed = row.with_sizes(sizes) if row is not None else None
        assert changed is not None
    if len(sizes) == 1 and len(changed.shape) > 1:
        view = state.add(node.name, same(changed, name))
        name, changed = state.arranged(view, [tuple(range(len(changed.parts)))], node.name)
    return same(changed, name)


@reads("Expand")
def _expand(node: Node, state: GraphState) -> Made:
    value, sizes = state.value(node), [int(size) for size in state.required(node, 1).ravel()]
    own = [state.batch or -1, *value.sizes]
    aligned = [1] * (len(own) - len(sizes)) + sizes
    if len(aligned) != len(own) or any(size not in (1, n) for size, n in zip(aligned[1:], own[1:], strict=True)):
        raise node.refuse(f"the sizes {own} as they are", str(sizes))
    return same(value, node.inputs[0])


@reads("Slice")
def _slice(node: Node, state: GraphState) -> Made:
    rank = len(state.value(node).axes) + 1
    starts, ends, axes = (state.integers(node, i, name) for i, name in ((1, "starts"), (2, "ends"), (3, "axes")))
    starts, ends = starts or (), ends or ()
    axes = tuple(node.axis(axis, rank - 1) for axis in (range(len(starts)) if axes is None else axes))
    given = state.optional(node, 4)
    steps = [1] * len(starts) if given is None else [int(step) for step in given.ravel()]
    if not len(starts) == len(ends) == len(axes) == len(steps) or min(steps, default=1) < 1:
        raise node.refuse("a start, an end and a step above 0 for each axis", f"steps {steps}")
    made = same(state.value(node), node.inputs[0])
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis == 0:
            if (start, step) != (0, 1) or end < 2**31 - 1:
                raise node.refuse("slices of items, and not of the batch", f"axis 0 from {start}")
            continue
        made = part(node, state, state.add(node.name, made), axis, start, end, step)
    return made


def part(node: Node, state: GraphState, name: str, axis: int, start: int, end: int, step: int = 1) -> Made:
    """A slice along that axis of the graph, the batch's counted."""
    value = state.made(name, node).value
    length = value.sizes[axis - 1]
    start, stop, step = slice(start, end, step).indices(length)
    if start >= stop:
        raise node.refuse("a slice of one number at least", f"{start}:{stop}")
    if (start, stop, step) == (0, length, 1):
        return same(value, name)
    if value.axes[axis - 1] not in value.own:
        name, value = state.arranged(name, _first_to_last(value, axis - 1))
    own = value.own.index(value.axes[axis - 1]) if value.axes[axis - 1] else 0
    layer = nn.Slice(start, stop, step=step, axis=-1 if own == len(value.shape) - 1 else own + 1)
    return Made(value.replaced(own, len(range(start, stop, step)), axis - 1), (name,), layer)


def _first_to_last(value: Value, axis: int) -> list[tuple[int, ...]]:
    """The graph's axes, but that one at the end."""
    return [*(each for number, each in enumerate(value.axes) if number != axis), value.axes[axis]]


@reads("Split")
def _split(node: Node, state: GraphState) -> list[Made]:
    """A slice for each output."""
    value, number = state.value(node), len(node.outputs)
    axis = node.item_axis(node.integer("axis", 0), len(value.axes)) + 1
    size = value.sizes[axis - 1]
    each = -(-size // node.integer("num_outputs", number))  # the last one may be smaller
    default = (each,) * (number - 1) + (size - each * (number - 1),)
    sizes = state.integers(node, 1, "split") or default
    if len(sizes) != number or min(sizes) < 1 or sum(sizes) != size:
        raise node.refuse(f"{size} in {number} parts", str(sizes))
    ends = np.cumsum(sizes).tolist()
    return [part(node, state, node.inputs[0], axis, end - n, end) for end, n in zip(ends, sizes, strict=True)]


@reads("Gather")
def _gather(node: Node, state: GraphState) -> Made:
    """Places along an axis, in steps; or a row's numbers in the layers' order, as `export_onnx` writes it."""
    value, indices = state.value(node), state.required(node, 1)
    axis = node.item_axis(node.integer("axis", 0), len(value.axes)) + 1
    if indices.ndim > 1 or not indices.size or indices.dtype.kind not in "iu":
        raise node.refuse("places along an axis", f"indices {indices.shape}")
    size = value.sizes[axis - 1]
    places = np.where(indices < 0, indices + size, indices).ravel()
    if len(value.axes) == len(value.shape) == 1 and (
        (own := value.spread(np.arange(size))) is not None and np.array_equal(places, own)
    ):
        return same(Value(value.shape, value.parts, (tuple(sorted(value.axes[0])),)), node.inputs[0])
    steps = set(np.diff(places).tolist()) or {1}
    if len(steps) > 1 or min(steps) < 1 or not 0 <= places[0] <= places[-1] < size:
        raise node.refuse("places in steps, or the order of flattened images", f"indices {indices.shape}")
    made = part(node, state, node.inputs[0], axis, int(places[0]), int(places[-1]) + 1, min(steps))
    if indices.ndim:
        return made
    sizes = made.value.sizes
    return Made(made.value.with_sizes((*sizes[: axis - 1], *sizes[axis:])) or made.value, made.inputs, made.layer)


@reads("DepthToSpace", "SpaceToDepth")
def _pixels(node: Node, state: GraphState) -> Made:
    """By parts of axes: in mode DCR, a block's pixels are the slower part of the channels."""
    name, value = state.images(node)
    (height, width, channels), r = value.shape, node.integer("blocksize", 0)
    mode = node.text("mode", "DCR")
    deep = node.operator == "DepthToSpace"
    if r < 1 or (channels % (r * r) if deep else height % r or width % r) or mode not in ("DCR", "CRD"):
        raise node.refuse("a blocksize that divides the image, mode DCR or CRD", f"{r} and {mode}")
    if deep:
        c = channels // (r * r)
        first, perm, last = (r, r, c, height, width), (0, 3, 4, 1, 5, 2), (c, height * r, width * r)
        if mode == "CRD":
            first, perm = (c, r, r, height, width), (0, 1, 4, 2, 5, 3)
    else:
        first, perm = (channels, height // r, r, width // r, r), (0, 3, 5, 1, 2, 4)
        last = (channels * r * r, height // r, width // r)
        if mode == "CRD":
            perm = (0, 1, 3, 5, 2, 4)
    cut = value.with_sizes(first)
    joined = None if cut is None else cut.turned(perm).with_sizes(last)
    assert joined is not None
    return same(joined, name)


@translates(nn.Flatten)
def _to_flatten(at: Place, layer: nn.Flatten) -> str:
    return at.node("Flatten", axis=1)


@translates(nn.Unflatten, nn.Reshape)
def _to_reshape(at: Place, layer: nn.Reshape) -> str:
    """Through the layers' order of axes."""
    return at.channels_first(
        "Reshape", at.channels_last(), at.constant("shape", [0, *layer.shape], "int64"), part="reshaped"
    )


@translates(nn.Permute)
def _to_transpose(at: Place, layer: nn.Permute) -> str:
    rank = len(layer.axes)
    axes = [0, *(1 if axis == rank else axis + 1 for axis in layer.axes)]  # where they stand in the graph
    return at.node("Transpose", perm=[axes[axis] for axis in to_channels_first(rank)])


@translates(nn.Slice)
def _to_slice(at: Place, layer: nn.Slice) -> str:
    rank = len(at.x.shape)
    axis = layer.axis % (rank + 1)
    ends = (
        ("start", layer.start),
        ("stop", layer.stop),
        ("axis", 1 if axis == rank else axis + 1),
        ("step", layer.step),
    )
    return at.node("Slice", at.x.name, *(at.constant(name, [end], "int64") for name, end in ends))


@translates(nn.PixelShuffle)
def _to_pixel_shuffle(at: Place, layer: nn.PixelShuffle) -> str:
    return at.node("DepthToSpace", blocksize=layer.upscale_factor, mode="CRD")


@translates(nn.PixelUnshuffle)
def _to_pixel_unshuffle(at: Place, layer: nn.PixelUnshuffle) -> str:
    """SpaceToDepth has the channels in another order."""
    (height, width, channels), r = at.shape, layer.downscale_factor
    return _cut(at, [channels // (r * r), height, r, width, r], (0, 1, 3, 5, 2, 4), [channels, height, width])


@translates(nn.ChannelShuffle)
def _to_channel_shuffle(at: Place, layer: nn.ChannelShuffle) -> str:
    *space, channels = at.x.shape
    parts = [layer.groups, channels // layer.groups, math.prod(space)]
    return _cut(at, parts, (0, 2, 1, 3), [channels, *space])


def _cut(at: Place, parts: list[int], perm: tuple[int, ...], whole: list[int]) -> str:
    cut = at.node("Reshape", at.x.name, at.constant("parts", [0, *parts], "int64"), part="parts")
    turned = at.node("Transpose", cut, part="turned", perm=perm)
    return at.node("Reshape", turned, at.constant("whole", [0, *whole], "int64"))
