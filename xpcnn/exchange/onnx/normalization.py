"""Normalisation layers to operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...typing import NDArray, Shape
from .layers import Place, to_channels_first, to_channels_last, translates


@translates(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(at: Place, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> str:
    weight, bias = _affine(layer, (layer.num_features,))
    return at.node(
        "BatchNormalization",
        at.x.name,
        at.constant("weight", weight),
        at.constant("bias", bias),
        at.constant("running_mean", layer.running_mean),
        at.constant("running_var", layer.running_var),
        epsilon=layer.eps,
        momentum=1 - layer.momentum,
    )


@translates(nn.Scale)
def _scale(at: Place, layer: nn.Scale) -> str:
    shape = (-1, *(1,) * (len(at.x.shape) - 1))  # (C, 1, 1)
    weight = at.constant("weight", to_numpy(layer.weight).reshape(shape))
    if layer.bias is None:
        return at.node("Mul", at.x.name, weight)
    scaled = at.node("Mul", at.x.name, weight, part="scaled")
    return at.node("Add", scaled, at.constant("bias", to_numpy(layer.bias).reshape(shape)))


@translates(nn.LayerNorm)
def _layer_norm(at: Place, layer: nn.LayerNorm) -> str:
    axes, rank = len(layer.normalized_shape), len(at.x.shape)
    weight, bias = _affine(layer, layer.normalized_shape)
    if axes == rank:  # over whole items: only the weights change their order
        affine = at.constant("weight", np.moveaxis(weight, -1, 0)), at.constant("bias", np.moveaxis(bias, -1, 0))
        return at.node("LayerNormalization", at.x.name, *affine, axis=1, epsilon=layer.eps)
    affine = at.constant("weight", weight), at.constant("bias", bias)
    x = at.node("Transpose", part="channels_last", perm=to_channels_last(rank))
    y = at.node("LayerNormalization", x, *affine, part="normalized", axis=-axes, epsilon=layer.eps)
    return at.node("Transpose", y, perm=to_channels_first(rank))


@translates(nn.Normalize)
def _normalize(at: Place, layer: nn.Normalize) -> str:
    broadcast = (-1, *(1,) * (len(at.x.shape) - 1))  # (C, 1, 1)
    mean, std = (at.constant(name, np.reshape(getattr(layer, name), broadcast)) for name in ("mean", "std"))
    return at.node("Div", at.node("Sub", at.x.name, mean, part="centred"), std)


@translates(nn.GroupNorm)
def _group_norm(at: Place, layer: nn.GroupNorm) -> str:
    """A group's numbers are one channel of `InstanceNormalization`."""
    groups, (*places, channels) = layer.num_groups, at.x.shape
    ones, zeros = at.constant("ones", np.ones(groups)), at.constant("zeros", np.zeros(groups))
    x = at.node("Reshape", at.x.name, at.constant("groups", [0, groups, -1], "int64"), part="groups")
    y = at.node("InstanceNormalization", x, ones, zeros, part="normalized", epsilon=layer.eps)
    shape = at.constant("shape", [0, channels, *places], "int64")
    if layer.weight is None or layer.bias is None:
        return at.node("Reshape", y, shape)
    broadcast = (-1, *(1,) * len(places))  # (C, 1, 1)
    weight, bias = (to_numpy(array).reshape(broadcast) for array in (layer.weight, layer.bias))
    y = at.node("Mul", at.node("Reshape", y, shape, part="shape"), at.constant("weight", weight), part="scaled")
    return at.node("Add", y, at.constant("bias", bias))


@translates(nn.InstanceNorm2d)
def _instance_norm(at: Place, layer: nn.InstanceNorm2d) -> str:
    weight, bias = _affine(layer, (layer.num_features,))
    affine = at.constant("weight", weight), at.constant("bias", bias)
    return at.node("InstanceNormalization", at.x.name, *affine, epsilon=layer.eps)


@translates(nn.LocalResponseNorm)
def _response_norm(at: Place, layer: nn.LocalResponseNorm) -> str:
    """LRN has the odd neighbour of an even size on the other side: there, a 1×1 convolution sums the squares."""
    size, channels = layer.size, at.x.shape[-1]
    if size % 2:
        return at.node("LRN", size=size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)
    offsets = np.arange(channels) - np.arange(channels)[:, None]  # (C, C): of the neighbour from the channel
    band = ((offsets >= -(size // 2)) & (offsets < size - size // 2)) * (layer.alpha / size)
    square = at.node("Mul", at.x.name, at.x.name, part="square")
    near = at.node("Conv", square, at.constant("band", band[:, :, None, None]), part="near")
    power = at.node("Pow", at.node("Add", near, at.constant("k", layer.k), part="sum"), at.constant("beta", layer.beta),
                    part="power")  # fmt: skip
    return at.node("Div", at.x.name, power)


@translates(nn.L2Normalize)
def _l2_normalize(at: Place, layer: nn.L2Normalize) -> str:
    axes = (at.x.name, at.constant("axis", [1], "int64")) if at.graph.opset >= 18 else (at.x.name,)
    attribute = {} if at.graph.opset >= 18 else {"axes": [1]}
    norm = at.node("ReduceL2", *axes, part="norm", keepdims=1, **attribute)
    return at.node("Div", at.x.name, at.node("Max", norm, at.constant("eps", layer.eps), part="Max"))


def _affine(layer: Any, shape: Shape) -> tuple[NDArray, NDArray]:
    """γ and β, or the 1 and 0 that they are where there are none."""
    weight = np.ones(shape) if layer.weight is None else to_numpy(layer.weight)
    return weight, np.zeros(shape) if layer.bias is None else to_numpy(layer.bias)
