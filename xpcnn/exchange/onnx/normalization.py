"""Normalisation: to operators, and from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...typing import NDArray, Shape
from .file import Node
from .graph_state import GraphState
from .layers import Place, translates
from .operators import give, per_channel, plainly, reads
from .value import Made


def _eps(node: Node) -> float:
    return plainly(node.number("epsilon", 1e-5))


@reads("BatchNormalization")
def _batch_norm(node: Node, state: GraphState) -> Made:
    trains = node.integer("training_mode", 0) or any(node.outputs[1:])  # which until opset 14 say so alone
    if trains or node.integer("spatial", 1) != 1:
        raise node.refuse("inference, a mean for each channel", "another mode", "export the network for inference")
    channels = state.value(node).sizes[0]
    name, value = state.last(node.inputs[0], 0)
    arrays = [state.weights(node, number) for number in (1, 2, 3, 4)]
    if any(array.shape != (channels,) for array in arrays):
        raise node.refuse(f"arrays ({channels},)", ", ".join(str(array.shape) for array in arrays))
    if len(value.shape) not in (1, 2, 3) or np.any(arrays[3] < 0):
        raise node.refuse("variances ≥ 0, of rows or images", f"an item of sizes {value.sizes}")
    kind = nn.BatchNorm2d if len(value.shape) == 3 else nn.BatchNorm1d
    layer = kind(channels, eps=_eps(node), momentum=plainly(1 - plainly(node.number("momentum", 0.9))))
    names = ("weight", "bias", "running_mean", "running_var")
    wide = (-1, *(1,) * (len(value.axes) - 1))
    own = {key: per_channel(array.reshape(wide), value, node) for key, array in zip(names, arrays, strict=True)}
    return Made(value, (name,), give(layer, node, state, **own))


@translates(nn.BatchNorm1d, nn.BatchNorm2d)
def _to_batch_norm(at: Place, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> str:
    weight, bias = _affine(layer, (layer.num_features,))
    arrays = {"weight": weight, "bias": bias, "running_mean": layer.running_mean, "running_var": layer.running_var}
    constants = [at.constant(name, array) for name, array in arrays.items()]
    return at.node("BatchNormalization", at.x.name, *constants, epsilon=layer.eps, momentum=1 - layer.momentum)


@reads("LayerNormalization")
def _layer_norm(node: Node, state: GraphState) -> Made:
    """Over the array's last axes, or all; their order is the array's."""
    node.ignore("stash_type")
    rank, weight = len(state.value(node).axes), state.weights(node, 1)
    first = node.item_axis(node.integer("axis", -1), rank)
    if weight.shape != state.value(node).sizes[first:]:
        raise node.refuse(f"weights of sizes {state.value(node).sizes[first:]}", str(weight.shape))
    bias = np.zeros_like(weight) if state.optional(node, 2) is None else state.weights(node, 2)
    name, value, count = state.ending(node.inputs[0], range(first, rank))
    shape = value.shape[-count:]
    spread = (value.spread(array) for array in (weight, bias))
    arrays = [
        np.broadcast_to(array, value.shape)[(0,) * (len(value.shape) - count)] for array in spread if array is not None
    ]
    layer = nn.LayerNorm(shape, eps=_eps(node))
    return Made(value, (name,), give(layer, node, state, weight=arrays[0], bias=arrays[1]))


@translates(nn.LayerNorm)
def _to_layer_norm(at: Place, layer: nn.LayerNorm) -> str:
    axes, rank = len(layer.normalized_shape), len(at.x.shape)
    weight, bias = _affine(layer, layer.normalized_shape)
    if axes == rank:  # over whole items: only the weights change their order
        affine = at.constant("weight", np.moveaxis(weight, -1, 0)), at.constant("bias", np.moveaxis(bias, -1, 0))
        return at.node("LayerNormalization", at.x.name, *affine, axis=1, epsilon=layer.eps)
    affine = at.constant("weight", weight), at.constant("bias", bias)
    x = at.channels_last()
    return at.channels_first("LayerNormalization", x, *affine, part="normalized", axis=-axes, epsilon=layer.eps)


@reads("RMSNormalization")
def _rms_norm(node: Node, state: GraphState) -> Made:
    """x / √(mean x² + ε) times weights, by layers that there are."""
    node.ignore("stash_type")
    rank, weight = len(state.value(node).axes), state.weights(node, 1)
    first = node.item_axis(node.integer("axis", -1), rank)
    name, value = state.last(node.inputs[0], *range(first, rank))
    weight = per_channel(weight, value, node)
    entries: dict[str, Any] = {
        "square": (nn.Power(2), "x"),
        "mean": (nn.Mean(-1, keepdims=True), "square"),
        "shifted": (nn.Normalize([-_eps(node)], [1.0]), "mean"),
        "inverse": (nn.Power(-0.5), "shifted"),
        "normalized": (nn.Multiply(), "x", "inverse"),
        "scaled": (give(nn.Scale(len(weight), bias=False), node, state, weight=weight), "normalized"),
    }
    return Made(value, (name,), nn.Graph(entries))


@reads("InstanceNormalization")
def _instance_norm(node: Node, state: GraphState) -> Made:
    """Of images; or the normalisation within a GroupNorm, of groups that `Reshape` has made of channels."""
    weight, bias, value = state.weights(node, 1), state.weights(node, 2), state.value(node)
    groups, rest = value.axes[0], [part for axis in value.axes[1:] for part in axis]
    last = value.own[-1]
    trivial = not np.any(weight != 1) and not np.any(bias != 0)
    if trivial and len(last) > len(groups) and last[: len(groups)] == groups and sorted(rest)[-1:] == list(last[-1:]):
        layer = nn.GroupNorm(value.sizes[0], value.shape[-1], eps=_eps(node), affine=False)
        return Made(value, node.inputs[:1], layer)
    name, value = state.images(node)
    layer = nn.GroupNorm(value.shape[-1], value.shape[-1], eps=_eps(node))
    return Made(value, (name,), give(layer, node, state, weight=weight, bias=bias))


def group_norm_with_weights(node: Node, product: Node, state: GraphState, bias: NDArray) -> Made | None:
    """γ and β of a GroupNorm that was left without them so far."""
    for number in (0, 1):
        made = state.known.get(product.inputs[number])
        while isinstance(made, Made) and made.layer is None and made.inputs:
            made = state.known.get(made.inputs[0])
        if isinstance(made, Made) and isinstance(made.layer, nn.GroupNorm) and not made.layer.affine:
            value = state.value(product, number)
            weight = per_channel(state.weights(product, 1 - number), value, product)
            layer = nn.GroupNorm(made.layer.num_groups, made.layer.num_channels, eps=made.layer.eps)
            arrays = {"weight": weight, "bias": per_channel(bias, value, node)}
            return Made(value, made.inputs, give(layer, node, state, **arrays))
    return None


@reads("GroupNormalization")
def _group_norm(node: Node, state: GraphState) -> Made:
    node.ignore("stash_type")
    (name, value), groups = state.images(node), node.integer("num_groups", 1)
    layer = nn.GroupNorm(groups, value.shape[-1], eps=_eps(node))
    arrays = [state.weights(node, number) for number in (1, 2)]
    if state.opset < 21:  # one number a group
        arrays = [np.repeat(array, value.shape[-1] // groups) for array in arrays]
    return Made(value, (name,), give(layer, node, state, weight=arrays[0], bias=arrays[1]))


@translates(nn.GroupNorm)
def _to_group_norm(at: Place, layer: nn.GroupNorm) -> str:
    """A group's numbers are one channel of `InstanceNormalization`."""
    groups, (*places, channels) = layer.num_groups, at.x.shape
    ones, zeros = at.constant("ones", np.ones(groups)), at.constant("zeros", np.zeros(groups))
    x = at.node("Reshape", at.x.name, at.constant("groups", [0, groups, -1], "int64"), part="groups")
    y = at.node("InstanceNormalization", x, ones, zeros, part="normalized", epsilon=layer.eps)
    shape = at.constant("shape", [0, channels, *places], "int64")
    if layer.weight is None or layer.bias is None:
        return at.node("Reshape", y, shape)
    y = at.node(
        "Mul", at.node("Reshape", y, shape, part="shape"), at.per_channel("weight", layer.weight), part="scaled"
    )
    return at.node("Add", y, at.per_channel("bias", layer.bias))


@translates(nn.InstanceNorm2d)
def _to_instance_norm(at: Place, layer: nn.InstanceNorm2d) -> str:
    weight, bias = _affine(layer, (layer.num_features,))
    affine = at.constant("weight", weight), at.constant("bias", bias)
    return at.node("InstanceNormalization", at.x.name, *affine, epsilon=layer.eps)


@reads("LRN")
def _response_norm(node: Node, state: GraphState) -> Made:
    """An even size has its odd neighbour after the channel: as a layer of the next odd size, it would be another."""
    names = (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    alpha, beta, k = (plainly(node.number(name, default)) for name, default in names)
    if (size := node.integer("size", 0)) % 2 != 1:
        raise node.refuse("an odd size", str(size))
    name, value = state.images(node)
    return Made(value, (name,), nn.LocalResponseNorm(size, alpha, beta, k))


@translates(nn.LocalResponseNorm)
def _to_response_norm(at: Place, layer: nn.LocalResponseNorm) -> str:
    """LRN has the odd neighbour of an even size on the other side: there, a 1×1 convolution sums the squares."""
    size, channels = layer.size, at.x.shape[-1]
    if size % 2:
        return at.node("LRN", size=size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)
    offsets = np.arange(channels) - np.arange(channels)[:, None]  # (C, C): of the neighbour from the channel
    band = ((offsets >= -(size // 2)) & (offsets < size - size // 2)) * (layer.alpha / size)
    square = at.node("Mul", at.x.name, at.x.name, part="square")
    near = at.node("Conv", square, at.constant("band", band[:, :, None, None]), part="near")
    total = at.node("Add", near, at.constant("k", layer.k), part="sum")
    return at.node("Div", at.x.name, at.node("Pow", total, at.constant("beta", layer.beta), part="power"))


@reads("LpNormalization")
def _l2_normalize(node: Node, state: GraphState) -> Made:
    """Without an ε in ONNX; a length of 0 gives 0."""
    axis = node.item_axis(node.integer("axis", -1), len(state.value(node).axes))
    if (p := node.integer("p", 2)) != 2:
        raise node.refuse("p 2", str(p))
    name, value = state.last(node.inputs[0], axis)
    return Made(value, (name,), nn.L2Normalize())


@translates(nn.L2Normalize)
def _to_l2_normalize(at: Place, layer: nn.L2Normalize) -> str:
    newer = at.graph.opset >= 18
    axes = [at.constant("axis", [1], "int64")] if newer else []
    norm = at.node("ReduceL2", at.x.name, *axes, part="norm", keepdims=1, **({} if newer else {"axes": [1]}))
    return at.node("Div", at.x.name, at.node("Max", norm, at.constant("eps", layer.eps), part="Max"))


@translates(nn.Scale)
def _to_scale(at: Place, layer: nn.Scale) -> str:
    weight = at.per_channel("weight", layer.weight)
    if layer.bias is None:
        return at.node("Mul", at.x.name, weight)
    return at.node("Add", at.node("Mul", at.x.name, weight, part="scaled"), at.per_channel("bias", layer.bias))


@translates(nn.Normalize)
def _to_normalize(at: Place, layer: nn.Normalize) -> str:
    mean, std = at.per_channel("mean", layer.mean), at.per_channel("std", layer.std)
    return at.node("Div", at.node("Sub", at.x.name, mean, part="centred"), std)


def _affine(layer: Any, shape: Shape) -> tuple[NDArray, NDArray]:
    """γ and β, or the 1 and 0 that they are where there are none."""
    weight = np.ones(shape) if layer.weight is None else to_numpy(layer.weight)
    return weight, np.zeros(shape) if layer.bias is None else to_numpy(layer.bias)
