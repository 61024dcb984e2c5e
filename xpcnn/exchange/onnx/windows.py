"""Operators to layers: convolution and pooling of images, and of sequences, which are images of height 1 here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import nn
from ...nn.sequences import as_images
from ...ops.window import Window
from ...typing import NDArray, Shape
from .constants import axes_of
from .file import Node
from .graph_state import MOST_NUMBERS, GraphState
from .operators import give, per_channel, reads
from .value import Made, Value

MOST_SIDE = 2**14  # of an image
MOST_WINDOW = 2**10  # a side, a stride, a padding, a dilation


@reads("Conv")
def conv(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    value, weight = state.windowed(node), _kernel(node, state)  # (Cout, Cin/groups, KH, KW)
    options = window_options(node, value, weight.shape[2:])
    groups = node.integer("group", 1)
    out, cin = weight.shape[0], weight.shape[1] * groups
    if cin != value.shape[-1]:
        raise node.refuse(f"weights for {value.shape[-1]} channels", f"for {cin}")
    bias = _bias(node, state, bias)
    layer = _layer("Conv", value, cin, out, **options, groups=groups, bias=bias is not None, weight_init="zeros")
    y = _like(value, (*as_images(layer).window.place(*value.size).out, out), node)
    return Made(y, node.inputs[:1], _filled(layer, node, state, weight, bias, y))


@reads("ConvTranspose")
def conv_transpose(node: Node, state: GraphState, bias: NDArray | None = None) -> Made:
    value, weight = state.windowed(node), _kernel(node, state)  # (Cin, Cout/groups, KH, KW)
    options = window_options(node, value, weight.shape[2:])
    groups = node.integer("group", 1)
    cin, out = weight.shape[0], weight.shape[1] * groups
    if cin != value.shape[-1]:
        raise node.refuse(f"weights for {value.shape[-1]} channels", f"for {cin}")
    rank = len(weight.shape) - 2
    extra: Any = _of_images(node.integers("output_padding", (0,) * rank), rank, 0)
    wanted = _of_images(node.integers("output_shape", ()), rank, 1)
    if wanted or isinstance(options["padding"], str) or node.text("auto_pad", "NOTSET").startswith("SAME"):
        options["padding"] = _cut_off(node, value, options, extra, wanted)
    bias = _bias(node, state, bias)
    options |= {"output_padding": extra, "groups": groups, "bias": bias is not None, "weight_init": "zeros"}
    layer = _layer("ConvTranspose", value, cin, out, **options)
    pads = options["padding"]
    sizes = [
        (value.size[axis] - 1) * options["stride"][axis]
        - sum(pads[2 * axis : 2 * axis + 2])
        + options["dilation"][axis] * (options["kernel_size"][axis] - 1)
        + 1
        + extra[axis]
        for axis in (0, 1)
    ]
    y = _like(value, (sizes[0], sizes[1], out), node)
    return Made(y, node.inputs[:1], _filled(layer, node, state, weight, bias, y))


def _cut_off(node: Node, value: Value, options: dict[str, Any], extra: Shape, wanted: Shape) -> Any:
    """The padding of a transposed convolution whose output's size is given: by output_shape, else in_size · stride.

    Of an odd number, SAME_UPPER cuts more off at the end, everything else at the beginning.
    """
    if len(wanted) not in (0, 2) or len(extra) != 2:
        raise node.refuse("a number an axis as output_shape and as output_padding", f"{wanted} and {extra}")
    sides: list[int] = []
    for axis, size in enumerate(value.size):
        stride, reach = options["stride"][axis], options["dilation"][axis] * (options["kernel_size"][axis] - 1) + 1
        whole = (size - 1) * stride + reach + extra[axis]
        total = whole - (wanted[axis] if wanted else size * stride)
        if total < 0:  # programs add rows, on different sides, or none
            raise node.refuse(f"an output of at most {whole}", str(whole - total))
        less, more = total // 2, total - total // 2
        sides += (less, more) if node.text("auto_pad", "NOTSET") == "SAME_UPPER" else (more, less)
    return tuple(sides)


@reads("MaxPool")
def _max_pool(node: Node, state: GraphState) -> Made:
    node.ignore("storage_order")  # of the indices, which are another output
    pad = state.producer(node.inputs[0]) if node.inputs else None
    widths = None if pad is None else _lowest(pad, state)
    first = node if pad is None or widths is None else pad
    value = state.windowed(first)
    options = window_options(node, value, node.integers("kernel_shape", ()))
    if widths is not None:
        if options["padding"] != (0, 0, 0, 0):
            raise node.refuse("no padding after a Pad of -inf", str(options["padding"]))
        options["padding"] = widths
    layer = _layer("MaxPool", value, **options, ceil_mode=bool(node.integer("ceil_mode", 0)))
    return _pooled(node, value, layer, first)


def _lowest(node: Node, state: GraphState) -> tuple[int, int, int, int] | None:
    """The −∞ that a Pad puts around images or sequences, as `export_onnx` writes it before MaxPool."""
    if node.operator != "Pad" or len(node.inputs) != 3:
        return None
    pads, fill = (state.constant(name, node.where) for name in node.inputs[1:])
    if pads is None or fill is None or pads.size not in (6, 8) or pads.dtype.kind != "i" or fill.size != 1:
        return None
    if node.text("mode", "constant") != "constant" or fill.reshape(()) != -np.inf:
        return None
    sides = [int(pad) for pad in pads.ravel()]
    half = len(sides) // 2
    top, left, bottom, right = (side for ends in (sides[:half], sides[half:]) for side in (0, *ends[2:])[-2:])
    if any((*sides[:2], *sides[half : half + 2])) or not 0 <= min(sides) <= max(sides) <= MOST_WINDOW:
        return None
    return top, bottom, left, right


@reads("AveragePool")
def _average_pool(node: Node, state: GraphState) -> Made:
    value = state.windowed(node)
    options = window_options(node, value, node.integers("kernel_shape", ()))
    if options.pop("dilation") != (1, 1):
        raise node.refuse("dilations 1", "others")
    counted = bool(node.integer("count_include_pad", 0))
    ceil = bool(node.integer("ceil_mode", 0))
    layer = _layer("AvgPool", value, **options, ceil_mode=ceil, count_include_pad=counted)
    return _pooled(node, value, layer)


@reads("GlobalAveragePool")
def _global_average_pool(node: Node, state: GraphState) -> Made:
    value = state.windowed(node)
    layer = nn.AdaptiveAvgPool2d(1) if len(value.shape) == 3 else nn.AdaptiveAvgPool1d(1)
    return Made(_like(value, (1, 1, value.shape[-1]), node), node.inputs[:1], layer)


@reads("GlobalMaxPool")
def _global_max_pool(node: Node, state: GraphState) -> Made:
    value = state.windowed(node)
    layer = nn.MaxPool2d(value.size) if len(value.shape) == 3 else nn.MaxPool1d(value.shape[0])
    return Made(_like(value, (1, 1, value.shape[-1]), node), node.inputs[:1], layer)


@reads("ReduceMean", "ReduceMax")
def _reduce(node: Node, state: GraphState) -> Made:
    """Global pooling, where it is over height and width; else any axes but the batch's."""
    node.ignore("noop_with_empty_axes")
    value, axes = state.value(node), axes_of(node, state)
    rank = len(value.shape) + 1
    reduced = {value.axes[axis % rank - 1] for axis in axes or () if axis % rank}
    if not reduced or len(axes or ()) != len(reduced):
        raise node.refuse("axes of an item", str(axes))
    mean, channels, keep = node.operator == "ReduceMean", value.shape[-1], node.integer("keepdims", 1) != 0
    if rank != 4 or reduced != {0, 1}:
        layer: nn.Layer = (nn.Mean if mean else nn.Max)(tuple(axis + 1 for axis in sorted(reduced)), keepdims=keep)
        left = [axis for axis in range(rank - 1) if axis not in reduced]
        if not keep and not left:
            raise node.refuse("an axis that is left, or keepdims", str(axes))
        kept = tuple(1 if axis in reduced else size for axis, size in enumerate(value.shape))
        y = Value(kept, value.axes)
        if not keep:
            order = tuple(left.index(axis) for axis in value.axes if axis in left)
            y = Value(tuple(value.shape[axis] for axis in left), order)
        return Made(y, node.inputs[:1], layer)
    if not keep:
        return Made(Value((channels,), (0,)), node.inputs[:1], nn.GlobalAvgPool2d() if mean else nn.GlobalMaxPool2d())
    pool: nn.Layer = nn.AdaptiveAvgPool2d(1) if mean else nn.MaxPool2d(value.size)
    return Made(Value((1, 1, channels), value.axes), node.inputs[:1], pool)


def images(shape: tuple[int, int, int], node: Node) -> Value:
    """Images (H, W, C) that an operator gives as (C, H, W)."""
    if min(shape) < 1 or max(shape[:2]) > MOST_SIDE or math.prod(shape) > MOST_NUMBERS:
        raise node.refuse(f"images of 1 to {MOST_SIDE} a side and {MOST_NUMBERS} numbers", str(shape))
    return Value(shape, (2, 0, 1))


def _like(value: Value, shape: tuple[int, int, int], node: Node) -> Value:
    """Images of that shape, or sequences if `value` is some."""
    if len(value.shape) == 3:
        return images(shape, node)
    if min(shape) < 1 or math.prod(shape) > MOST_NUMBERS:
        raise node.refuse(f"sequences of 1 to {MOST_NUMBERS} numbers", str(shape[1:]))
    return Value(shape[1:], (1, 0))


def window_options(node: Node, value: Value, kernel: tuple[int, ...]) -> dict[str, Any]:
    """The arguments of a layer with a window, as images have them."""
    rank = len(value.shape) - 1
    if len(kernel) != rank:
        raise node.refuse(f"a kernel of {rank} axes", str(kernel))
    kernel = _of_images(kernel, rank, 1)
    stride, dilation = (_of_images(node.integers(name, (1,) * rank), rank, 1) for name in ("strides", "dilations"))
    pads, auto = node.integers("pads", (0, 0) * rank), node.text("auto_pad", "NOTSET")
    pads = (0, pads[0], 0, pads[1]) if rank == 1 and len(pads) == 2 else pads
    if max(*kernel, *stride, *dilation, *pads) > MOST_WINDOW:
        raise node.refuse(f"windows of at most {MOST_WINDOW}", "a larger one")
    if len(pads) != 4 or auto not in ("NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"{2 * rank} pads and a known auto_pad", f"{pads}, {auto}")
    top, left, bottom, right = pads if auto in ("NOTSET", "") else (0, 0, 0, 0)
    padding: Any = (top, bottom, left, right)
    if auto.startswith("SAME"):
        padding = "same"  # the odd one after, as in SAME_UPPER
        if auto == "SAME_LOWER":
            even = Window(kernel, stride, "same", dilation).place(*value.size).pads
            padding = (even[1], even[0], even[3], even[2])
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def _of_images(numbers: tuple[int, ...], rank: int, height: int) -> tuple[int, ...]:
    """Numbers of one axis with that of the height before it; others as they are."""
    return (height, *numbers) if rank == len(numbers) == 1 else numbers


def _layer(kind: str, value: Value, *channels: int, **options: Any) -> Any:
    """The layer of that kind for images, or for sequences; the options are those of images."""
    padding = options["padding"]
    if len(value.shape) == 3:
        return getattr(nn, f"{kind}2d")(*channels, **options | {"padding": plainest(padding)})
    if not isinstance(padding, str):
        *_, before, after = padding
        options["padding"] = before if before == after else (before, after)
    options = {name: given[1] if name in _PAIRS else given for name, given in options.items()}
    return getattr(nn, f"{kind}1d")(*channels, **options)


_PAIRS = ("kernel_size", "stride", "dilation", "output_padding")


def plainest(padding: Any) -> Any:
    """The padding in as few numbers as say it."""
    if isinstance(padding, str) or padding[0] != padding[1] or padding[2] != padding[3]:
        return padding
    return padding[0] if padding[0] == padding[2] else (padding[0], padding[2])


def _pooled(node: Node, value: Value, layer: nn.Layer, first: Node | None = None) -> Made:
    """What a pooling layer makes, of which `first` is the first node, where it is more than this one."""
    window = as_images(layer).window
    place = window.place(*value.size, node.operator)
    same = node.text("auto_pad", "NOTSET").startswith("SAME")
    for axis, size in enumerate(place.size):
        reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1
        if same and (reach != window.kernel[axis] or (place.out[axis] - 1) * window.stride[axis] + reach < size):
            remedy = "write pads as numbers"  # onnxruntime and onnx.reference disagree
            raise node.refuse("a window without gaps that reaches over the stride, for auto_pad", str(window), remedy)
        start = np.arange(place.out[axis]) * window.stride[axis] - place.pads[2 * axis]
        inside = start + np.maximum(-(start // window.dilation[axis]), 0) * window.dilation[axis]  # the first tap ≥ 0
        last = start + (window.kernel[axis] - 1) * window.dilation[axis]
        if np.any(inside > np.minimum(last, size - 1)):
            raise node.refuse("an element of the image under every window", f"padding {place.pads} alone under some")
    return Made(_like(value, (*place.out, value.shape[-1]), node), (first or node).inputs[:1], layer)


def _kernel(node: Node, state: GraphState) -> NDArray:
    weight = state.weights(node, 1)
    rank = len(state.windowed(node).shape) + 1
    if weight.ndim != rank or node.integers("kernel_shape", weight.shape[2:]) != weight.shape[2:]:
        raise node.refuse(f"weights of {rank} axes, as kernel_shape says", str(weight.shape))
    return weight


def _bias(node: Node, state: GraphState, bias: NDArray | None) -> NDArray | None:
    if state.optional(node, 2) is None:
        return bias
    bias = state.weights(node, 2)
    return np.reshape(bias, (-1, *(1,) * (len(state.windowed(node).shape) - 1)))


def _filled(
    layer: nn.Layer, node: Node, state: GraphState, weight: NDArray, bias: NDArray | None, y: Value
) -> nn.Layer:
    arrays = {} if bias is None else {"bias": per_channel(bias, y, node)}
    return give(layer, node, state, weight=np.moveaxis(weight, 1, -1), **arrays)
