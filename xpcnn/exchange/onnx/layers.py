"""Layers to operators: what each layer of `xpcnn.nn` becomes in an ONNX graph, in inference.

The files beside this one have a translator for each, and what reads its operators again.

    Conv2d              Conv
    ConvTranspose2d     ConvTranspose, after Pad where output_padding is wider than the stride and the padding
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
    Dropout1d           nothing
    MaxPool2d           MaxPool, after Pad where dilation lets the padding be wider than the kernel
    AvgPool2d           AveragePool, after Pad where padding counts and what ceil_mode adds does not
    AdaptiveAvgPool2d   AveragePool where the bins are all alike, GlobalAveragePool for one, else two MatMul
    GlobalAvgPool2d     GlobalAveragePool, Flatten
    GlobalMaxPool2d     GlobalMaxPool, Flatten
    Linear              Gemm; MatMul and Add, between two Transpose, on the last axis of more than rows
    Flatten             Flatten; the columns of the Linear that follows change places
    Unflatten           Reshape to channels last, Transpose
    Reshape             Reshape, between two Transpose
    Permute             Transpose
    Slice               Slice
    ZeroPad2d           Pad
    ZeroPadChannels     Pad
    Upsample            Resize; two MatMul where a bilinear one is not by whole factors
    Resample            two MatMul
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
    Abs                 Abs
    Exp                 Exp
    Log                 Log
    Power               Pow
    Softmax             Softmax
    LogSoftmax          LogSoftmax
    Scale               Mul, Add
    ReflectionPad2d     Pad
    ReplicationPad2d    Pad
    PixelShuffle        DepthToSpace
    PixelUnshuffle      Reshape, Transpose, Reshape
    ChannelShuffle      Reshape, Transpose, Reshape
    InstanceNorm2d      InstanceNormalization
    LocalResponseNorm   LRN; Mul, Conv, Add, Pow, Div where size is even
    L2Normalize         ReduceL2, Max, Div
    Mean                ReduceMean, between two Transpose
    Sum                 ReduceSum, between two Transpose
    Max                 ReduceMax, between two Transpose
    Min                 ReduceMin, between two Transpose
    Identity            nothing
    Dropout             nothing
    Dropout2d           nothing
    StochasticDepth     nothing
    Sequential          its layers
    Residual            its layers, Add
    Concat              its layers, Concat
    Graph               its layers
    Add                 Add
    Subtract            Sub
    Multiply            Mul
    Maximum             Max
    Minimum             Min

Images are (N, C, H, W) between the nodes, sequences (N, C, L), other items (N, C, …).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...ops.window import Placement, Window
from ...typing import Shape
from .graph import Graph, Tensor


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

    def channels_last(self) -> str:
        """x with its axes as the layers have them."""
        rank = len(self.x.shape)
        return self.node("Transpose", part="channels_last", perm=to_channels_last(rank)) if rank > 1 else self.x.name

    def channels_first(self, operator: str, *inputs: str, part: str, **attributes: Any) -> str:
        """A node whose output has its axes as the layers have them, and what the graph has of it."""
        if len(self.shape) < 2:
            return self.node(operator, *inputs, **attributes)
        y = self.node(operator, *inputs, part=part, **attributes)
        return self.node("Transpose", y, perm=to_channels_first(len(self.shape)))

    def per_channel(self, name: str, array: Any) -> str:
        """A constant with a number for each channel, or one for all, as the graph broadcasts it: (C, 1, …)."""
        host = np.asarray(array) if isinstance(array, (list, tuple)) else to_numpy(array)
        return self.constant(name, host.reshape(-1, *(1,) * (len(self.x.shape) - 1)))

    def separable(self, rows: Any, columns: Any) -> str:
        """A matrix (OH, H) along the height, and one (OW, W) along the width."""
        x = self.node("MatMul", self.x.name, self.constant("columns", np.transpose(columns)), part="columns")
        return self.node("MatMul", self.constant("rows", rows), x)  # (OH, H) @ (N, C, H, OW)


Translator: TypeAlias = Callable[[Place, Any], str]  # adds the layer's nodes, and returns its output's name
TRANSLATORS: dict[type[nn.Layer], Translator] = {}


def translates(*kinds: type[nn.Layer]) -> Callable[[Translator], Translator]:
    def register(translator: Translator) -> Translator:
        TRANSLATORS.update(dict.fromkeys(kinds, translator))
        return translator

    return register


@translates(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.StochasticDepth)
def _nothing(at: Place, layer: nn.Layer) -> str:
    return at.x.name


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
