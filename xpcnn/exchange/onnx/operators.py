"""Operators to layers: activations, products and normalisation. (Others: the files beside this one.)

`READERS` has a function for each operator that is a layer or moves a value; what stands only within a layer of several
operators is in `fused_patterns`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ... import nn
from ...backend import asarray
from ...nn.activation import GELU_FORMS
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE
from ...typing import NDArray
from .file import Node
from .graph_state import MOST_NUMBERS, GraphState
from .value import Made, Reshaped, Value

Reader: TypeAlias = Callable[[Node, GraphState], Made | Reshaped | list[Made]]
Kind = TypeVar("Kind", bound=Callable[..., Any])  # a reader, or one that takes more
READERS: dict[str, Reader] = {}


def reads(*operators: str) -> Callable[[Kind], Kind]:
    def register(reader: Kind) -> Kind:
        READERS.update(dict.fromkeys(operators, reader))
        return reader

    return register


def give(layer: nn.Layer, node: Node, state: GraphState, **arrays: NDArray) -> nn.Layer:
    """The layer, with these weights for its own."""
    for name, array in arrays.items():
        own = getattr(layer, name)
        if own is None or tuple(own.shape) != array.shape:
            raise node.refuse(f"{name} {None if own is None else tuple(own.shape)}", str(array.shape))
        setattr(layer, name, asarray(np.array(array, state.dtype, order="C")))  # a copy: optimizers write into it
    return layer


def per_channel(array: NDArray, value: Value, node: Node) -> NDArray:
    """One number for each of the value's channels, from a constant that is broadcast along its other axes."""
    rank = len(value.shape) + 1
    shape = (*(1,) * (rank - array.ndim), *array.shape)
    channels = value.shape[-1]
    wanted = tuple(channels if axis == value.channel_axis else 1 for axis in range(rank))
    if (shape != wanted and array.size != 1) or array.ndim > rank:
        raise node.refuse(f"a number for each of {channels} channels, as {wanted}", f"a constant {array.shape}")
    spread: NDArray = np.broadcast_to(array.reshape(-1), (channels,))[value.columns()]
    return spread


_PLAIN: dict[str, Callable[[], nn.Layer]] = {
    "Relu": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "Softplus": nn.Softplus,
    "HardSwish": nn.HardSwish,
    "Mish": nn.Mish,
    "Softsign": nn.Softsign,
}


@reads(*_PLAIN)
def _plain(node: Node, state: GraphState) -> Made:
    return Made(state.value(node), node.inputs[:1], _PLAIN[node.operator]())


@reads("LeakyRelu")
def _leaky_relu(node: Node, state: GraphState) -> Made:
    return Made(state.value(node), node.inputs[:1], nn.LeakyReLU(plainly(node.number("alpha", 0.01))))


@reads("Elu")
def _elu(node: Node, state: GraphState) -> Made:
    return Made(state.value(node), node.inputs[:1], nn.ELU(plainly(node.number("alpha", 1.0))))


@reads("Selu")
def _selu(node: Node, state: GraphState) -> Made:
    given = [node.number("alpha", SELU_ALPHA), node.number("gamma", SELU_SCALE)]
    if not np.allclose(given, [SELU_ALPHA, SELU_SCALE], rtol=1e-6):
        raise node.refuse("the constants of Klambauer et al.", str(given))
    return Made(state.value(node), node.inputs[:1], nn.SELU())


@reads("Gelu")
def _gelu(node: Node, state: GraphState) -> Made:
    if (approximate := node.text("approximate", "none")) not in GELU_FORMS:
        raise node.refuse(f"approximate {' or '.join(GELU_FORMS)}", approximate)
    return Made(state.value(node), node.inputs[:1], nn.GELU(approximate))


@reads("PRelu")
def _prelu(node: Node, state: GraphState) -> Made:
    value, slope = state.value(node), state.weights(node, 1)
    slope = slope.reshape(-1) if slope.size == 1 else per_channel(slope, value, node)
    return Made(value, node.inputs[:1], give(nn.PReLU(len(slope)), node, state, weight=slope))


@reads("Clip")
def _clip(node: Node, state: GraphState) -> Made:
    """ReLU and ReLU6 are those of the clips that have a name of their own."""
    ends: list[float | None] = []
    for number, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = state.optional(node, number)
        end = float(node.number(name, default) if given is None else given.reshape(()))
        ends.append(plainly(end) if abs(end) < np.finfo(np.float32).max else None)
    named = {(0.0, None): nn.ReLU, (0.0, 6.0): nn.ReLU6, (None, None): nn.Identity}
    low, high = ends
    if low is not None and high is not None and low > high:
        raise node.refuse("min ≤ max", f"{low} and {high}")
    layer = named[low, high]() if (low, high) in named else nn.Clip(low, high)
    return Made(state.value(node), node.inputs[:1], layer)


@reads("HardSigmoid")
def _hard_sigmoid(node: Node, state: GraphState) -> Made:
    alpha, beta = plainly(node.number("alpha", 0.2)), plainly(node.number("beta", 0.5))
    sixth = abs(alpha - 1 / 6) < 1e-7
    return Made(state.value(node), node.inputs[:1], nn.HardSigmoid(1 / 6 if sixth else alpha, beta))


@reads("Celu")
def _celu(node: Node, state: GraphState) -> Made:
    return Made(state.value(node), node.inputs[:1], nn.CELU(plainly(node.number("alpha", 1.0))))


@reads("Softmax", "LogSoftmax")
def _softmax(node: Node, state: GraphState) -> Made:
    value = state.value(node)
    rank = len(value.shape) + 1
    axis = node.integer("axis", -1 if state.opset >= 13 else 1) % rank
    over = [axis] if state.opset >= 13 else range(axis, rank)  # older ones: over all axes from it on
    others = [value.sizes[each - 1] for each in over if each not in (0, value.channel_axis)]
    if axis == 0 or value.channel_axis not in over or max(others, default=1) > 1:
        raise node.refuse(f"axis {value.channel_axis}, the channels", f"axis {axis} of {value.sizes}")
    return Made(value, node.inputs[:1], nn.Softmax() if node.operator == "Softmax" else nn.LogSoftmax())


@reads("LRN")
def _response_norm(node: Node, state: GraphState) -> Made:
    names = (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    alpha, beta, k = (plainly(node.number(name, default)) for name, default in names)
    if (size := node.integer("size", 0)) % 2 != 1 or len(state.value(node).shape) != 3:
        raise node.refuse("images, and an odd size", str(size))
    if state.value(node).channel_axis != 1:
        raise node.refuse("channels as axis 1", f"axis {state.value(node).channel_axis}")
    return Made(state.value(node), node.inputs[:1], nn.LocalResponseNorm(size, alpha, beta, k))


@reads("Dropout")
def _dropout(node: Node, state: GraphState) -> Made:
    node.ignore("seed")
    ratio, training = state.optional(node, 1), state.optional(node, 2)
    if training is not None and bool(training.reshape(())):
        raise node.refuse("inference", "training_mode", "export the network for inference")
    p = node.number("ratio", 0.5) if ratio is None else float(ratio.reshape(()))
    return Made(state.value(node), node.inputs[:1], nn.Dropout(plainly(p)))


@reads("Gemm")
def gemm(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    weight = state.weights(node, 1) * node.number("alpha", 1.0)
    if node.integer("transA", 0):
        raise node.refuse("transA 0", "1")
    weight = weight if node.integer("transB", 0) else weight.T
    beta = node.number("beta", 1.0)
    if state.optional(node, 2) is not None:
        bias = state.weights(node, 2) * beta
    return _linear(node, state, weight, bias)


def matmul(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    return _linear(node, state, state.weights(node, 1).T, bias)


def _linear(node: Node, state: GraphState, weight: NDArray, bias: NDArray | None) -> Made:
    value = state.rows(node) if node.operator == "Gemm" else state.value(node)
    rank, features = len(value.shape), value.shape[-1]
    if weight.ndim != 2 or weight.shape[1] != features or value.channel_axis != rank:
        raise node.refuse(f"weights for {features} features, the last axis", f"{weight.shape}")
    out = Value((*value.shape[:-1], weight.shape[0]), value.axes) if rank > 1 else state.row(node, weight.shape[0])
    if math.prod(out.shape) > MOST_NUMBERS:
        raise node.refuse(f"at most {MOST_NUMBERS} numbers", str(out.sizes))
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, weight_init="zeros")
    arrays = {} if bias is None else {"bias": per_channel(bias, out, node)}
    weight = weight[out.columns()][:, value.columns()]
    return Made(out, node.inputs[:1], give(layer, node, state, weight=weight, **arrays))


@reads("BatchNormalization")
def _batch_norm(node: Node, state: GraphState) -> Made:
    value = state.value(node)
    trains = node.integer("training_mode", 0) or any(node.outputs[1:])  # which until opset 14 say so alone
    if trains or node.integer("spatial", 1) != 1:
        raise node.refuse("inference, a mean for each channel", "another mode", "export the network for inference")
    if value.channel_axis != 1:
        raise node.refuse("channels as axis 1", f"axis {value.channel_axis}")
    arrays = [state.weights(node, number) for number in (1, 2, 3, 4)]
    if any(array.shape != value.shape[-1:] for array in arrays):
        raise node.refuse(f"arrays ({value.shape[-1]},)", ", ".join(str(array.shape) for array in arrays))
    kind = nn.BatchNorm2d if len(value.shape) == 3 else nn.BatchNorm1d
    eps = plainly(node.number("epsilon", 1e-5))
    layer = kind(value.shape[-1], eps=eps, momentum=plainly(1 - plainly(node.number("momentum", 0.9))))
    names = ("weight", "bias", "running_mean", "running_var")
    if len(value.shape) not in (1, 2, 3) or np.any(arrays[3] < 0):
        raise node.refuse("variances ≥ 0, of rows or images", f"an item of sizes {value.sizes}")
    own = {name: array[value.columns()] for name, array in zip(names, arrays, strict=True)}
    return Made(value, node.inputs[:1], give(layer, node, state, **own))


@reads("LayerNormalization")
def _layer_norm(node: Node, state: GraphState) -> Made:
    node.ignore("stash_type")
    value, weight = state.value(node), state.weights(node, 1)
    bias = np.zeros_like(weight) if state.optional(node, 2) is None else state.weights(node, 2)
    rank = len(value.shape)
    axes = value.axes[node.integer("axis", -1) % (rank + 1) - 1 :]
    shape = value.shape[rank - len(axes) :]
    if sorted(axes) != list(range(rank - len(axes), rank)) or weight.shape != tuple(value.shape[a] for a in axes):
        raise node.refuse("the last axes of channels-last items, or all", f"weights {weight.shape}, axes {axes}")
    order = np.argsort(axes)
    arrays = {name: array.transpose(order) for name, array in (("weight", weight), ("bias", bias))}
    if value.image is not None:
        arrays = {name: array[value.columns()] for name, array in arrays.items()}
    layer = nn.LayerNorm(shape, eps=plainly(node.number("epsilon", 1e-5)))
    return Made(value, node.inputs[:1], give(layer, node, state, **arrays))


@reads("InstanceNormalization")
def _instance_norm(node: Node, state: GraphState) -> Made | Reshaped:
    """Of images; or the normalisation within a GroupNorm, of groups that `Reshape` has made channels of."""
    eps = plainly(node.number("epsilon", 1e-5))
    weight, bias = state.weights(node, 1), state.weights(node, 2)
    groups = state.reshaped(node)
    if groups is not None and len(groups.sizes) == 2:
        if np.any(weight != 1) or np.any(bias != 0) or groups.normalized is not None:
            raise node.refuse("groups (N, G, …) with scale 1 and B 0", f"an item of sizes {groups.sizes}")
        return Reshaped(groups.root, groups.sizes, eps)
    value = state.images(node)
    layer = nn.GroupNorm(value.shape[-1], value.shape[-1], eps=eps)
    return Made(value, node.inputs[:1], give(layer, node, state, weight=weight, bias=bias))


@reads("GroupNormalization")
def _group_norm(node: Node, state: GraphState) -> Made:
    node.ignore("stash_type")
    value, groups = state.images(node), node.integer("num_groups", 1)
    layer = nn.GroupNorm(groups, value.shape[-1], eps=plainly(node.number("epsilon", 1e-5)))
    arrays = [state.weights(node, number) for number in (1, 2)]
    if state.opset < 21:  # one number a group
        arrays = [np.repeat(array, value.shape[-1] // groups) for array in arrays]
    return Made(value, node.inputs[:1], give(layer, node, state, weight=arrays[0], bias=arrays[1]))


def plainly(number: float) -> float:
    """The decimal number that was meant: a file holds 0.1 as 0.10000000149."""
    return float(str(np.float32(number)))
