"""Layers to operators: what each layer of `xpcnn.nn` becomes in an ONNX graph, in inference.

    Conv2d              Conv
    ConvTranspose2d     ConvTranspose, after Pad where output_padding is wider than the stride and the padding
    MaxPool2d           MaxPool, after Pad where dilation lets the padding be wider than the kernel
    AvgPool2d           AveragePool, after Pad where padding counts and what ceil_mode adds does not
    AdaptiveAvgPool2d   AveragePool where the bins are all alike, GlobalAveragePool for one, else two MatMul
    GlobalAvgPool2d     GlobalAveragePool, Flatten
    GlobalMaxPool2d     GlobalMaxPool, Flatten
    Conv1d              Conv
    ConvTranspose1d     ConvTranspose, as ConvTranspose2d
    MaxPool1d           MaxPool, as MaxPool2d
    AvgPool1d           AveragePool, as AvgPool2d
    AdaptiveAvgPool1d   AveragePool, GlobalAveragePool or MatMul, as AdaptiveAvgPool2d
    GlobalAvgPool1d     GlobalAveragePool, Flatten
    GlobalMaxPool1d     GlobalMaxPool, Flatten
    ZeroPad1d           Pad
    ReflectionPad1d     Pad
    ReplicationPad1d    Pad
    Linear              Gemm; MatMul and Add, between two Transpose, on the last axis of more than rows
    Flatten             Flatten; the columns of the Linear that follows change places
    Unflatten           Reshape to channels last, Transpose
    ZeroPad2d           Pad
    ZeroPadChannels     Pad
    Upsample            Resize; two MatMul where a bilinear one is not by whole factors
    BatchNorm1d         BatchNormalization
    BatchNorm2d         BatchNormalization
    LayerNorm           LayerNormalization, between two Transpose where it is not over whole items
    Normalize           Sub, Div
    GroupNorm           Reshape, InstanceNormalization, Reshape, Mul, Add
    ReLU                Relu
    LeakyReLU           LeakyRelu
    PReLU               PRelu
    ELU                 Elu
    SELU                Selu
    Sigmoid             Sigmoid
    Tanh                Tanh
    GELU                Gelu from opset 20 on, else Mul, Add, and Div, Erf or Tanh
    SiLU                Sigmoid, Mul
    Softplus            Softplus
    Clip                Clip
    ReLU6               Clip
    HardSigmoid         HardSigmoid
    HardSwish           HardSwish
    Mish                Mish from opset 18 on, else Softplus, Tanh, Mul
    Softsign            Softsign
    CELU                Celu
    Softmax             Softmax
    LogSoftmax          LogSoftmax
    Scale               Mul, Add
    ReflectionPad2d     Pad
    ReplicationPad2d    Pad
    PixelShuffle        DepthToSpace
    PixelUnshuffle      Reshape, Transpose, Reshape
    ChannelShuffle      Reshape, Transpose, Reshape
    ChannelSlice        Slice
    InstanceNorm2d      InstanceNormalization
    LocalResponseNorm   LRN; Mul, Conv, Add, Pow, Div where size is even
    L2Normalize         ReduceL2, Max, Div
    Mean                ReduceMean, between two Transpose
    Max                 ReduceMax, between two Transpose
    Identity            nothing
    Dropout             nothing
    Dropout1d           nothing
    Dropout2d           nothing
    Sequential          its layers
    Residual            its layers, Add
    Concat              its layers, Concat
    Graph               its layers
    Add                 Add
    Subtract            Sub
    Multiply            Mul
    Maximum             Max

Images are (N, C, H, W) between the nodes, sequences (N, C, L), other items (N, C, …).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...nn.sequences import as_images
from ...ops.window import Placement, Window
from ...typing import Shape
from .graph import Graph, Tensor, channels_first


@dataclass(frozen=True)
class Place:
    """A place in a network whose layer becomes nodes.

    Parameters
        graph : takes the nodes
        name : the layer's dotted name at this place, which its nodes bear
        weights : the first dotted name that it has in the network, with a dot, which its constants bear
        x : what goes in
        shape : of what comes out, one item's, channels last
    """

    graph: Graph
    name: str
    weights: str
    x: Tensor
    shape: Shape

    def node(self, operator: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """A node, on x if no inputs are given; where a layer becomes several, all but the last name their part."""
        name = f"{self.name}/{part}" if part else self.name
        return self.graph.node(operator, list(inputs) or [self.x.name], name, **attributes)

    def constant(self, name: str, array: Any, dtype: str = "float32") -> str:
        host = np.asarray(array) if isinstance(array, (list, tuple, float)) else to_numpy(array)
        return self.graph.constant(self.weights + name, np.ascontiguousarray(host.astype(dtype)))


Translator: TypeAlias = Callable[[Place, Any], str]  # adds the layer's nodes, and returns its output's name
TRANSLATORS: dict[type[nn.Layer], Translator] = {}


def translates(*kinds: type[nn.Layer]) -> Callable[[Translator], Translator]:
    def register(translator: Translator) -> Translator:
        TRANSLATORS.update(dict.fromkeys(kinds, translator))
        return translator

    return register


@translates(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
def _nothing(at: Place, layer: nn.Layer) -> str:
    return at.x.name


@translates(nn.Conv1d, nn.Conv2d)
def _conv(at: Place, layer: nn.Conv1d | nn.Conv2d) -> str:
    window = as_images(layer).window
    return at.node(
        "Conv",
        *_weight_and_bias(at, layer),  # (Cout, KH, KW, Cin/groups) → (Cout, Cin/groups, KH, KW)
        **window_attributes(at, window, placed(at, window).pads),
        group=layer.groups,
    )


@translates(nn.ConvTranspose1d, nn.ConvTranspose2d)
def _conv_transpose(at: Place, layer: nn.ConvTranspose1d | nn.ConvTranspose2d) -> str:
    x, *weights = _weight_and_bias(at, layer)  # (Cin, KH, KW, Cout/groups) → (Cin, Cout/groups, KH, KW)
    images = as_images(layer)
    pads, extra = images.window.padding, images.output_padding
    if any(more >= stride for more, stride in zip(extra, images.stride, strict=True)):  # which onnxruntime refuses
        top, bottom, left, right = pads
        ends = list(zip((bottom, right), extra, images.stride, strict=True))
        # zeros after the image make the output a stride larger each; what is too much of it is padding
        zeros = [max(0, -((end - more) // stride)) for end, more, stride in ends]
        bottom, right = (end + n * stride - more for n, (end, more, stride) in zip(zeros, ends, strict=True))
        x = pad_images(at, (0, zeros[0], 0, zeros[1]), 0.0, part="Pad") if any(zeros) else x
        pads, extra = (top, bottom, left, right), (0, 0)
    return at.node(
        "ConvTranspose",
        x,
        *weights,
        **window_attributes(at, images.window, pads),
        output_padding=extra[-spatial(at) :],
        group=layer.groups,
    )


@translates(nn.Linear)
def _linear(at: Place, layer: nn.Linear) -> str:
    weight = to_numpy(layer.weight)
    if (rank := len(at.x.shape)) > 1:
        x = at.node("Transpose", part="channels_last", perm=to_channels_last(rank))
        y = at.node("MatMul", x, at.constant("weight", weight.T), part="product")
        if layer.bias is not None:
            y = at.node("Add", y, at.constant("bias", layer.bias), part="sum")
        return at.node("Transpose", y, perm=to_channels_first(rank))
    if at.x.order is not None:
        weight = weight[:, channels_first(at.x.order)]
    weights = [at.constant("weight", weight), *([] if layer.bias is None else [at.constant("bias", layer.bias)])]
    return at.node("Gemm", at.x.name, *weights, transB=1)


@translates(nn.Flatten)
def _flatten(at: Place, layer: nn.Flatten) -> str:
    return at.node("Flatten", axis=1)


@translates(nn.Unflatten)
def _unflatten(at: Place, layer: nn.Unflatten) -> str:
    items = at.node("Reshape", at.x.name, at.constant("shape", [0, *layer.shape], "int64"), part="channels_last")
    return at.node("Transpose", items, perm=to_channels_first(len(layer.shape)))


@translates(nn.ZeroPad1d, nn.ZeroPad2d)
def _zero_pad(at: Place, layer: nn.ZeroPad1d | nn.ZeroPad2d) -> str:
    return pad_images(at, as_images(layer).padding, 0.0)


@translates(nn.ZeroPadChannels)
def _zero_pad_channels(at: Place, layer: nn.ZeroPadChannels) -> str:
    pads = [0, layer.before, 0, 0, 0, layer.after, 0, 0]
    return at.node("Pad", at.x.name, at.constant("pads", pads, "int64"))


def spatial(at: Place) -> int:
    """The number of axes that a window has at that place: 2 of images, 1 of sequences."""
    return len(at.x.shape) - 1


def placed(at: Place, window: Window) -> Placement:
    """The window over the images at that place, or over its sequences as images of height 1."""
    height, width = (1, *at.x.shape[:-1])[-2:]
    return window.place(height, width)


def window_attributes(at: Place, window: Window, pads: tuple[int, int, int, int]) -> dict[str, Any]:
    """The attributes of an operator with that window and padding."""
    axes = slice(-spatial(at), None)
    attributes = {"kernel_shape": window.kernel, "strides": window.stride, "dilations": window.dilation}
    return {name: pair[axes] for name, pair in attributes.items()} | {"pads": onnx_pads(pads, spatial(at))}


def onnx_pads(pads: tuple[int, int, int, int], axes: int = 2) -> list[int]:
    """(top, bottom, left, right) as ONNX has it, all beginnings, then all ends; of sequences, only left and right.

    >>> onnx_pads((1, 2, 3, 4))
    [1, 3, 2, 4]
    """
    top, bottom, left, right = pads
    return [top, left, bottom, right] if axes == 2 else [left, right]


def to_channels_first(rank: int) -> tuple[int, ...]:
    """The axes of a batch of items with `rank` axes, (N, …, C) → (N, C, …)."""
    return (0, rank, *range(1, rank))


def to_channels_last(rank: int) -> tuple[int, ...]:
    """The axes of a batch of items with `rank` axes, (N, C, …) → (N, …, C)."""
    return (0, *range(2, rank + 1), 1)


def pad_widths(at: Place, sides: tuple[int, int, int, int]) -> list[int]:
    """The pads of a Pad at that place: of all axes, the batch's and the channels' among them."""
    ends, axes = onnx_pads(sides, spatial(at)), spatial(at)
    return [0, 0, *ends[:axes], 0, 0, *ends[axes:]]


def pad_images(at: Place, sides: tuple[int, int, int, int], value: float, part: str = "") -> str:
    """A Pad of height and width. Zeros are written as −0, for onnxruntime makes a Pad of +0 and a pool after it into
    one pool, in which a padding's 0 is no number of the maximum, or which it refuses as its padding is too wide."""
    value = value or -0.0
    pads = at.constant("pads", pad_widths(at, sides), "int64")
    return at.node("Pad", at.x.name, pads, at.constant("padding", value), part=part)


def _weight_and_bias(at: Place, layer: Any) -> list[str]:
    weight = at.constant("weight", np.moveaxis(to_numpy(layer.weight), -1, 1))
    return [at.x.name, weight, *([] if layer.bias is None else [at.constant("bias", layer.bias)])]
