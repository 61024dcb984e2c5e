"""Pooling and reductions: to operators, and from them.

The images' size is known here, so that padding "same" and what ceil_mode adds are written as numbers: programs differ
in how they round, and in what an average then counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ... import nn
from ...nn.sequences import as_images
from ...ops.reduce import reduced
from ...ops.window import Placement, Window
from .file import Node
from .graph_state import GraphState, same
from .interpolation import bins
from .layers import Place, pad_images, placed, spatial, translates, window_attributes
from .operators import reads
from .products import MOST_WINDOW, window_options, windowed
from .value import Made, Value


@reads("MaxPool")
def _max_pool(node: Node, state: GraphState) -> Made:
    node.ignore("storage_order")  # of the indices, which are another output
    pad = state.producer(node.inputs[0]) if node.inputs else None
    widths = None if pad is None else _lowest(pad, state)
    first = node if pad is None or widths is None else pad
    name, value = state.images(first)
    options = window_options(node, value, node.integers("kernel_shape", ()))
    if widths is not None:
        if options["padding"] != (0, 0, 0, 0):
            raise node.refuse("no padding after a Pad of -inf", str(options["padding"]))
        options["padding"] = widths
    layer = windowed("MaxPool", value, **options, ceil_mode=bool(node.integer("ceil_mode", 0)))
    return Made(_pooled(node, first, state, value, as_images(layer).window), (name,), layer)


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
    name, value = state.images(node)
    options = window_options(node, value, node.integers("kernel_shape", ()))
    if options.pop("dilation") != (1, 1):
        raise node.refuse("dilations 1", "others")
    counted, ceil = (bool(node.integer(key, 0)) for key in ("count_include_pad", "ceil_mode"))
    layer = windowed("AvgPool", value, **options, ceil_mode=ceil, count_include_pad=counted)
    return Made(_pooled(node, node, state, value, as_images(layer).window), (name,), layer)


def _pooled(node: Node, first: Node, state: GraphState, value: Value, window: Window) -> Value:
    """What a pooling layer makes, of which `first` is the first node, where it is more than this one."""
    place = window.place(*value.size, node.operator)
    automatic = node.text("auto_pad", "NOTSET").startswith("SAME")
    for axis, size in enumerate(place.size):
        reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1
        if automatic and (reach != window.kernel[axis] or (place.out[axis] - 1) * window.stride[axis] + reach < size):
            remedy = "write pads as numbers"  # onnxruntime and onnx.reference disagree
            raise node.refuse("a window without gaps that reaches over the stride, for auto_pad", str(window), remedy)
        start = np.arange(place.out[axis]) * window.stride[axis] - place.pads[2 * axis]
        inside = start + np.maximum(-(start // window.dilation[axis]), 0) * window.dilation[axis]  # the first tap ≥ 0
        last = start + (window.kernel[axis] - 1) * window.dilation[axis]
        if np.any(inside > np.minimum(last, size - 1)):
            raise node.refuse("an element of the image under every window", f"padding {place.pads} alone under some")
    return state.as_images(first, (*place.out, value.shape[-1]))


@reads("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: Node, state: GraphState) -> Made:
    name, value = state.images(node)
    return _to_a_pixel(
        node.operator == "GlobalAveragePool", name, value, state.as_images(node, (1, 1, value.shape[-1]))
    )


def _to_a_pixel(mean: bool, name: str, value: Value, y: Value) -> Made:
    if len(value.shape) == 2:
        return Made(y, (name,), nn.AdaptiveAvgPool1d(1) if mean else nn.MaxPool1d(value.shape[0]))
    return Made(y, (name,), nn.AdaptiveAvgPool2d(1) if mean else nn.MaxPool2d(value.size))


_REDUCTIONS: dict[type[nn.Layer], str] = {
    nn.Mean: "ReduceMean",
    nn.Sum: "ReduceSum",
    nn.Max: "ReduceMax",
    nn.Min: "ReduceMin",
}
_ROWS: dict[type[nn.Layer], type[nn.Layer]] = {nn.Mean: nn.GlobalAvgPool2d, nn.Max: nn.GlobalMaxPool2d}
# Reductions that are one of those, after and before a function of each number
Function: TypeAlias = Callable[[], nn.Layer] | None
_AROUND: dict[str, tuple[Function, type[Any], Function]] = {
    **{operator: (None, kind, None) for kind, operator in _REDUCTIONS.items()},
    "ReduceL1": (nn.Abs, nn.Sum, None),
    "ReduceL2": (partial(nn.Power, 2), nn.Sum, partial(nn.Power, 0.5)),
    "ReduceSumSquare": (partial(nn.Power, 2), nn.Sum, None),
    "ReduceLogSum": (None, nn.Sum, nn.Log),
}


@reads(*_AROUND)
def _reduce(node: Node, state: GraphState) -> Made:
    """Global pooling, where it is over height and width; else any axes but the batch's."""
    first, kind, then = _AROUND[node.operator]
    value, name = state.value(node), node.inputs[0]
    axes, rank = state.integers(node, 1, "axes"), len(value.axes)
    keep = node.integer("keepdims", 1) != 0
    if node.integer("noop_with_empty_axes", 0) and not axes:
        layers = [each() for each in (first, then) if each]
        return Made(value, (name,), nn.Sequential(*layers)) if layers else same(value, name)
    given = [node.axis(axis, rank) for axis in axes or ()]
    if not given or 0 in given or len(set(given)) < len(given):
        raise node.refuse("axes of an item", str(axes))
    chosen = {axis - 1 for axis in given}
    if any(0 < len(_of(chosen, value) & set(axis)) < len(axis) for axis in value.own):  # a part of an axis of the array
        name, value = state.arranged(name, value.axes)
    parts = _of(chosen, value)
    over = [axis for axis, own in enumerate(value.own) if own and set(own) <= parts]
    flat = not keep and len(over) < len(value.shape)
    y = value.without(over, keep=not flat)
    if not keep:
        y = replace(y, axes=tuple(axis for number, axis in enumerate(y.axes) if number not in chosen))
    single = {axis for axis, own in enumerate(value.own) if set(own) <= parts}
    if kind in _ROWS and len(value.shape) == 3 and single >= {0, 1} and 2 not in over:
        if not keep:
            return Made(replace(y, shape=value.shape[2:]), (name,), _ROWS[kind]())
        return _to_a_pixel(kind is nn.Mean, name, value, y)
    made = [kind(tuple(axis + 1 for axis in over), keepdims=not flat)] if over else []
    layers = [*(each() for each in (first,) if each), *made, *(each() for each in (then,) if each)]
    if not layers:
        return same(y, name)
    return Made(y, (name,), layers[0] if len(layers) == 1 else nn.Sequential(*layers))


@reads("ReduceLogSumExp")
def _log_sum_exp(node: Node, state: GraphState) -> Made:
    """x − log softmax x is the same number for every x, and no exponential in it overflows."""
    axes, rank = state.integers(node, 1, "axes") or (), len(state.value(node).axes)
    if len(axes) != 1:
        raise node.refuse("one axis", str(axes))
    axis, keep = node.item_axis(axes[0], rank), node.integer("keepdims", 1) != 0
    name, value = state.last(node.inputs[0], axis)
    parts = {"logs": (nn.LogSoftmax(), "x"), "same": (nn.Subtract(), "x", "logs")}
    y = value.without([len(value.shape) - 1], keep=True)
    if not keep:
        y = replace(y, axes=tuple(each for number, each in enumerate(y.axes) if number != axis))
    return Made(y, (name,), nn.Graph({**parts, "y": (nn.Max(-1, keepdims=True), "same")}))


def _of(chosen: set[int], value: Value) -> set[int]:
    """The parts of these axes of the graph."""
    return {part for axis in chosen for part in value.axes[axis]}


@translates(*_REDUCTIONS)
def _to_reduction(at: Place, layer: nn.Mean) -> str:
    """Channels last, as in the layers, whose order is that of what is left."""
    operator = _REDUCTIONS[type(layer)]
    over = list(reduced(operator, layer.axes, len(at.x.shape) + 1))
    inputs, axes = [at.channels_last()], {"axes": over}
    if at.graph.opset >= (13 if operator == "ReduceSum" else 18):
        inputs, axes = [*inputs, at.constant("axes", over, "int64")], {}
    return at.channels_first(operator, *inputs, part="reduced", keepdims=int(layer.keepdims), **axes)


@translates(nn.MaxPool1d, nn.MaxPool2d)
def _to_max_pool(at: Place, layer: nn.MaxPool1d | nn.MaxPool2d) -> str:
    window = as_images(layer).window
    place = placed(at, window)
    pads, x = _used(place), at.x.name
    if any(pad >= window.kernel[side // 2] for side, pad in enumerate(pads)):  # ONNX has no such MaxPool
        pads, x = (0, 0, 0, 0), pad_images(at, pads, -math.inf, part="Pad")
    return at.node("MaxPool", x, **window_attributes(at, window, pads))


@translates(nn.AvgPool1d, nn.AvgPool2d)
def _to_avg_pool(at: Place, layer: nn.AvgPool1d | nn.AvgPool2d) -> str:
    window = as_images(layer).window
    place = placed(at, window)
    asked = place.pads if isinstance(window.padding, str) else window.padding
    pads, x, counted = _used(place), at.x.name, layer.count_include_pad
    if counted and asked != place.pads:  # zeros that count, then what ceil_mode adds, which does not
        x = pad_images(at, asked, 0.0, part="Pad") if any(asked) else x
        top, bottom, left, right = (max(used - zeros, 0) for used, zeros in zip(pads, asked, strict=True))
        pads, counted = (top, bottom, left, right), False
    attributes = window_attributes(at, window, pads)
    del attributes["dilations"]  # which come with opset 19
    return at.node("AveragePool", x, **attributes, count_include_pad=int(counted))


@translates(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
def _to_adaptive_avg_pool(at: Place, layer: nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d) -> str:
    sizes, out = at.x.shape[:-1], as_images(layer).output_size[-spatial(at) :]
    if set(out) == {1}:
        return at.node("GlobalAveragePool")
    if all(size % o == 0 for size, o in zip(sizes, out, strict=True)):
        kernel = [size // o for size, o in zip(sizes, out, strict=True)]
        return at.node("AveragePool", kernel_shape=kernel, strides=kernel)
    if len(out) == 1:
        return at.node("MatMul", at.x.name, at.constant("columns", bins(out[0], sizes[0]).T))  # (N, C, L) @ (L, OL)
    return at.separable(bins(out[0], sizes[0]), bins(out[1], sizes[1]))


@translates(nn.GlobalAvgPool1d, nn.GlobalAvgPool2d, nn.GlobalMaxPool1d, nn.GlobalMaxPool2d)
def _to_global_pool(at: Place, layer: nn.Layer) -> str:
    mean = isinstance(layer, nn.GlobalAvgPool1d | nn.GlobalAvgPool2d)
    return at.node("Flatten", at.node("GlobalAveragePool" if mean else "GlobalMaxPool", part="pooled"), axis=1)


def _used(place: Placement) -> tuple[int, int, int, int]:
    """The padding without what is after the last window."""
    after = []
    for axis, size in enumerate(place.size):
        last = place.reads(axis, place.out[axis] - 1)[-1]
        after.append(max(last + 1 - size, 0))
    return place.pads[0], after[0], place.pads[2], after[1]
