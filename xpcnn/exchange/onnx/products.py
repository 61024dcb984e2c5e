"""Convolutions and products with weights: to operators, and from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...nn.sequences import as_images
from ...ops.window import Window
from ...typing import NDArray, Shape
from .file import Node
from .graph import channels_first
from .graph_state import GraphState, limited
from .layers import Place, pad_images, placed, spatial, translates, window_attributes
from .operators import give, per_channel, reads
from .value import Made, Value

MOST_WINDOW = 2**10  # a side, a stride, a padding, a dilation


@reads("Conv")
def _conv(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    name, value, weight, options = _convolution(node, state)  # (Cout, Cin/groups, KH, KW)
    out = weight.shape[0]
    layer = windowed("Conv", value, value.shape[-1], out, **options, bias=_has_bias(node, bias), weight_init="zeros")
    y = state.as_images(node, (*as_images(layer).window.place(*value.size).out, out))
    return Made(y, (name,), _filled(layer, node, state, weight, bias, y))


@reads("ConvTranspose")
def _conv_transpose(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    name, value, weight, options = _convolution(node, state)  # (Cin, Cout/groups, KH, KW)
    out = weight.shape[1] * options["groups"]
    space = len(value.axes) - 1
    extra: Any = (*(0,) * (2 - space), *node.integers("output_padding", (0,) * space))
    wanted = node.integers("output_shape", ())
    wanted = (1, *wanted) if wanted and space == 1 else wanted
    if wanted or isinstance(options["padding"], str) or node.text("auto_pad", "NOTSET").startswith("SAME"):
        options["padding"] = _cut_off(node, value, options, extra, wanted)
    options |= {"output_padding": extra, "bias": _has_bias(node, bias), "weight_init": "zeros"}
    layer = windowed("ConvTranspose", value, value.shape[-1], out, **options)
    top, bottom, left, right = options["padding"]
    height, width = _whole(value, options, extra)
    height, width = height - top - bottom, width - left - right
    y = state.as_images(node, (height, width, out))
    return Made(y, (name,), _filled(layer, node, state, weight, bias, y))


def _convolution(node: Node, state: GraphState) -> tuple[str, Value, NDArray, dict[str, Any]]:
    """The images, the weights with four axes, and options of the layer."""
    name, value = state.images(node)
    weight, space = state.weights(node, 1), len(value.axes) - 1
    if weight.ndim != space + 2 or node.integers("kernel_shape", weight.shape[2:]) != weight.shape[2:]:
        raise node.refuse(f"weights of {space + 2} axes, as kernel_shape says", str(weight.shape))
    options = window_options(node, value, weight.shape[2:])
    groups = node.integer("group", 1)
    cin = weight.shape[1] * groups if node.operator == "Conv" else weight.shape[0]
    if cin != value.shape[-1]:
        raise node.refuse(f"weights for {value.shape[-1]} channels", f"for {cin}")
    return name, value, weight, options | {"groups": groups}


def _has_bias(node: Node, bias: NDArray | None) -> bool:
    return bias is not None or bool(node.inputs[2:] and node.inputs[2])


def _filled(
    layer: nn.Layer, node: Node, state: GraphState, weight: NDArray, bias: NDArray | None, y: Value
) -> nn.Layer:
    own = state.optional(node, 2)
    if own is not None and bias is not None:
        raise node.refuse("one bias", "two")
    arrays = {} if bias is None else {"bias": per_channel(bias, y, node)}
    if own is not None:
        arrays = {"bias": state.weights(node, 2).reshape(-1)}
    return give(layer, node, state, weight=np.moveaxis(weight, 1, -1), **arrays)


def _cut_off(node: Node, value: Value, options: dict[str, Any], extra: Shape, wanted: Shape) -> Any:
    """The padding of a transposed convolution whose output's size is given: by output_shape, else in_size · stride.

    Of an odd number, SAME_UPPER cuts more off at the end, everything else at the beginning.
    """
    if len(wanted) not in (0, 2) or len(extra) != 2:
        raise node.refuse("a number an axis as output_shape and as output_padding", f"{wanted} and {extra}")
    sides: list[int] = []
    for axis, whole in enumerate(_whole(value, options, extra)):
        total = whole - (wanted[axis] if wanted else value.size[axis] * options["stride"][axis])
        if total < 0:  # programs add rows, on different sides, or none
            raise node.refuse(f"an output of at most {whole}", str(whole - total))
        less, more = total // 2, total - total // 2
        sides += (less, more) if node.text("auto_pad", "NOTSET") == "SAME_UPPER" else (more, less)
    return tuple(sides)


def _whole(value: Value, options: dict[str, Any], extra: Shape) -> list[int]:
    """Height and width of what a transposed convolution makes, before its padding is cut off."""
    each = zip(value.size, *(options[key] for key in ("stride", "dilation", "kernel_size")), extra, strict=True)
    return [(size - 1) * stride + dilation * (kernel - 1) + 1 + more for size, stride, dilation, kernel, more in each]


def window_options(node: Node, value: Value, kernel: Shape) -> dict[str, Any]:
    """The arguments of a layer with a window, as images have them: sequences have height 1."""
    space = len(value.axes) - 1
    one, none = (1,) * space, (0,) * (2 * space)
    stride, dilation = node.integers("strides", one), node.integers("dilations", one)
    pads, auto = node.integers("pads", none), node.text("auto_pad", "NOTSET")
    if len(kernel) != space:
        raise node.refuse(f"a kernel of {space} axes", str(kernel))
    if len(pads) != 2 * space or auto not in ("NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"{2 * space} pads and a known auto_pad", f"{pads}, {auto}")
    if max(*kernel, *stride, *dilation, *pads) > MOST_WINDOW:
        raise node.refuse(f"windows of at most {MOST_WINDOW}", "a larger one")
    pads = pads if auto in ("NOTSET", "") else none
    if space == 1:  # of height 1
        kernel, stride, dilation, pads = (1, *kernel), (1, *stride), (1, *dilation), (0, pads[0], 0, pads[1])
    top, left, bottom, right = pads
    padding: Any = (top, bottom, left, right)
    if auto.startswith("SAME"):
        padding = "same"  # the odd one after, as in SAME_UPPER
        if auto == "SAME_LOWER":
            even = Window(kernel, stride, "same", dilation).place(*value.size).pads
            padding = (even[1], even[0], even[3], even[2])
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}


_PAIRS = ("kernel_size", "stride", "dilation", "output_padding")


def windowed(kind: str, value: Value, *channels: int, **options: Any) -> Any:
    """The layer of that kind for images, or for sequences; the options are those of images."""
    padding = options["padding"]
    if len(value.shape) == 3:
        return getattr(nn, f"{kind}2d")(*channels, **options | {"padding": plainest(padding)})
    if not isinstance(padding, str):
        *_, before, after = padding
        options["padding"] = before if before == after else (before, after)
    options = {name: given[1] if name in _PAIRS else given for name, given in options.items()}
    return getattr(nn, f"{kind}1d")(*channels, **options)


def plainest(padding: Any) -> Any:
    """The padding in as few numbers as say it."""
    if isinstance(padding, str) or padding[0] != padding[1] or padding[2] != padding[3]:
        return padding
    return padding[0] if padding[0] == padding[2] else (padding[0], padding[2])


@reads("Gemm")
def _gemm(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    weight = state.weights(node, 1) * node.number("alpha", 1.0)
    if node.integer("transA", 0) or len(state.value(node).axes) != 1:
        raise node.refuse("rows (N, features), and transA 0", f"items of sizes {state.value(node).sizes}")
    weight = weight if node.integer("transB", 0) else weight.T
    if state.optional(node, 2) is not None:
        if bias is not None:
            raise node.refuse("one bias", "two")
        bias = state.weights(node, 2) * node.number("beta", 1.0)
    return linear(node, state, weight, bias)


def _matmul(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    return linear(node, state, state.weights(node, 1).T, bias)


def linear(node: Node, state: GraphState, weight: NDArray, bias: NDArray | None, axis: int = -1) -> Made:
    """The product along that axis of the graph's items, whose weights' columns follow the array's order."""
    value = state.value(node, 0 if state.is_constant(node.inputs[1]) else 1)
    axis %= len(value.axes)
    features = value.sizes[axis]
    if weight.ndim != 2 or weight.shape[1] != features:
        raise node.refuse(f"weights for {features} features, the last axis", f"{weight.shape}")
    name, value = state.last(next(each for each in node.inputs if not state.is_constant(each)), axis)
    sizes = [1] * len(value.axes)
    sizes[axis] = features
    columns = value.spread(np.arange(features).reshape(sizes))
    out = limited(value.replaced(len(value.shape) - 1, weight.shape[0], axis), node)
    layer = nn.Linear(features, weight.shape[0], bias=bias is not None, weight_init="zeros")
    arrays = {} if bias is None else {"bias": per_channel(bias, out, node)}
    assert columns is not None
    return Made(out, (name,), give(layer, node, state, weight=weight[:, columns.ravel()], **arrays))


# Products that take the sum with a constant after them for their bias
PRODUCTS: dict[str, Callable[[Node, GraphState, NDArray | None], Made]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
}


@translates(nn.Conv1d, nn.Conv2d)
def _to_conv(at: Place, layer: nn.Conv1d | nn.Conv2d) -> str:
    window = as_images(layer).window
    return _written(at, "Conv", layer, at.x.name, window, placed(at, window).pads)


@translates(nn.ConvTranspose1d, nn.ConvTranspose2d)
def _to_conv_transpose(at: Place, layer: nn.ConvTranspose1d | nn.ConvTranspose2d) -> str:
    """ONNX's output_padding stays below the stride; what is more comes from zeros after the input, or less padding."""
    images, x = as_images(layer), at.x.name
    extra, pads = images.output_padding, images.window.padding
    if any(more >= stride for more, stride in zip(extra, images.stride, strict=True)):
        top, bottom, left, right = pads
        ends = list(zip((bottom, right), extra, images.stride, strict=True))
        # zeros after the image make the output a stride larger each; what is too much of it is padding
        zeros = [max(0, -((end - more) // stride)) for end, more, stride in ends]
        bottom, right = (end + n * stride - more for n, (end, more, stride) in zip(zeros, ends, strict=True))
        x = pad_images(at, (0, zeros[0], 0, zeros[1]), 0.0, part="Pad") if any(zeros) else x
        pads, extra = (top, bottom, left, right), (0, 0)
    return _written(at, "ConvTranspose", layer, x, images.window, pads, output_padding=extra[-spatial(at) :])


def _written(
    at: Place, operator: str, layer: Any, x: str, window: Window, pads: tuple[int, int, int, int], **more: Any
) -> str:
    weights = [at.constant("weight", np.moveaxis(to_numpy(layer.weight), -1, 1))]  # (Cout, Cin, KH, KW)
    if layer.bias is not None:
        weights.append(at.constant("bias", layer.bias))
    return at.node(operator, x, *weights, **window_attributes(at, window, pads), group=layer.groups, **more)


@translates(nn.Linear)
def _to_linear(at: Place, layer: nn.Linear) -> str:
    weight = to_numpy(layer.weight)
    if len(at.x.shape) > 1:
        factors = at.channels_last(), at.constant("weight", weight.T)
        if layer.bias is None:
            return at.channels_first("MatMul", *factors, part="product")
        y = at.node("MatMul", *factors, part="product")
        return at.channels_first("Add", y, at.constant("bias", layer.bias), part="sum")
    if at.x.order is not None:
        weight = weight[:, channels_first(at.x.order)]
    weights = [at.constant("weight", weight), *([] if layer.bias is None else [at.constant("bias", layer.bias)])]
    return at.node("Gemm", at.x.name, *weights, transB=1)
