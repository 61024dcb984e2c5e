"""Compute the sizes of a network's arrays from its layers, without running it.

A file of a few hundred bytes can name layers that turn one small image into gigabytes: padding, upsampling, strides of
a transposed convolution. Or it can name pooling over windows that takes hours. Such networks are refused when their
file is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from .. import nn
from ..errors import FormatError, XpcnnError
from ..nn import Layer
from ..nn.layer import dotted
from ..nn.own_layers import standing_for
from ..nn.sequences import SequenceLayer, as_images
from ..nn.summary import item_shape
from ..typing import Shape

MOST_NUMBERS = 2**27  # in a layer's output or padded input, for one item: 512 MiB in float32
MOST_TIMES = 2**8  # or, for larger items, this many times their own numbers
MOST_INPUT = 2**28  # numbers in one item
MOST_TAPS = 2**20  # of a pooling window; those of a convolution have weights in the file

_Charge: TypeAlias = Callable[[Shape], None]


def check_extent(model: Layer, input_shape: Shape) -> Shape | None:
    """Refuse a network in which one item of that shape grows beyond the limits above.

    If an item does not fit a layer, the layers after it are not checked, because they cannot run.

    Returns
        the shape of the output of one item, or a tuple of several; None if the item does not fit
    Raises
        FormatError : names the layer
    """
    size = sum(math.prod(each) for each in (input_shape if isinstance(input_shape[0], tuple) else (input_shape,)))
    if size > MOST_INPUT:
        raise FormatError("input_shape", f"an item of at most {MOST_INPUT} numbers", str(input_shape)[:80])
    return _follow(model, tuple(input_shape), "", max(MOST_NUMBERS, MOST_TIMES * size))


def multiply_adds(model: Layer, input_shape: Shape) -> int:
    """The multiply-adds of inference for one item, from the layers' sizes alone.

    Raises
        FormatError : as `check_extent`, with the same limits
    """
    counted: list[int] = []
    _follow(
        model,
        tuple(input_shape),
        "",
        max(MOST_NUMBERS, MOST_TIMES * math.prod(input_shape)),
        lambda layer, shape, made: counted.append(layer.multiply_adds(shape, made)),
    )
    return sum(counted)


def _follow(
    layer: Layer, shape: Shape, path: str, most: int, seen: Callable[[Layer, Shape, Shape], None] | None = None
) -> Shape | None:
    """The shape of the layer's output; None if the item does not fit. `seen` gets each layer that is no container."""

    def charge(made: Shape) -> None:
        if math.prod(made) > most:
            got = f"{made} of {shape}"
            raise FormatError(f"architecture, layer '{path}'", f"at most {most} numbers of one item", got[:120])

    follow: Any = partial(_follow, most=most, seen=seen)
    if standing_for(type(layer)) is None:
        return _own(layer, shape, path, charge, follow)
    if isinstance(layer, nn.Container) and layer.children():
        within = {name: partial(follow, child, path=dotted(path, name)) for name, child in layer.children().items()}
        return _through(layer, shape, within, charge)
    if layer.arity != (1, 1):
        return _joined(layer, shape, charge)
    try:
        pool = as_images(layer)
        if isinstance(pool, nn.MaxPool2d | nn.AvgPool2d) and pool.window.taps > MOST_TAPS:
            raise FormatError(f"architecture, layer '{path}'", f"windows of at most {MOST_TAPS} taps", str(pool.window))
        made = _made(layer, shape, charge)
    except FormatError:
        raise
    except (XpcnnError, ValueError):  # ValueError: the item has more or fewer axes
        return None
    charge(made)
    if seen is not None:
        seen(layer, shape, made)
    return made


def _own(layer: Layer, shape: Any, path: str, charge: _Charge, follow: Any) -> Shape | None:
    """The output's shape of a layer from outside of `xpcnn.nn`, which says it, or runs on zeros.

    The layers within a container run, too, each after it has been followed.
    """

    class Followed(nn.Hooks):
        def infer(self, name: str, child: Layer, x: Any) -> Any:
            if child is not layer:
                follow(child, item_shape(x), path=dotted(path, name))
            return child(x)

    try:
        if type(layer).output_shape is not Layer.output_shape:
            made = layer.output_shape(shape)
        else:
            made = item_shape(nn.with_hooks(layer, Followed())(layer.zeros(shape)))
    except FormatError:
        raise
    except Exception:  # any error of a stranger's method means that the item does not fit
        return None
    if not isinstance(made[0], tuple):
        charge(made)
    return made


def _through(layer: Layer, shape: Shape, within: dict[str, Any], charge: _Charge) -> Shape | None:
    """The shape of a container's output; `within` holds its children."""
    if isinstance(layer, nn.Sequential):
        passed: Shape | None = shape
        for follow in within.values():
            passed = None if passed is None else follow(passed)
        return passed
    if isinstance(layer, nn.Graph):
        given: Any = (shape,) if len(layer.inputs) == 1 else shape
        if len(given) != len(layer.inputs) or not all(isinstance(each, tuple) for each in given):
            return None
        values: dict[str, Any] = dict(zip(layer.inputs, given, strict=True))
        for name, follow in within.items():
            read = [values[each] for each in layer.reads[name]]
            values[name] = None if None in read else follow(read[0] if len(read) == 1 else tuple(read))
        made = tuple(values[name] for name in layer.outputs)
        return made[0] if len(made) == 1 else None if None in made else made
    outputs = [follow(shape) for follow in within.values()]
    if None in outputs or not outputs:
        return None
    if isinstance(layer, nn.Concat):
        joined = (*outputs[0][:-1], sum(output[-1] for output in outputs))
        charge(joined)
        return joined
    return outputs[0]  # type: ignore[no-any-return]  # Residual: its body's


def _joined(layer: Layer, shapes: Any, charge: _Charge) -> Shape | None:
    """The output shape of a join of several values."""
    try:
        if isinstance(layer, nn.Concat):
            made = (*np.broadcast_shapes(*(each[:-1] for each in shapes)), sum(each[-1] for each in shapes))
        else:
            made = np.broadcast_shapes(*shapes)
    except ValueError:
        return None
    charge(made)
    return made


def _made(layer: Any, shape: Shape, charge: _Charge) -> Shape:
    """The output shape of a layer without children; most keep the input's. ValueError if the channels do not fit."""
    if any(hasattr(layer, name) and shape[-1:] != (getattr(layer, name),) for name in _INPUT_SIZES):
        raise ValueError(shape)
    if isinstance(layer, SequenceLayer):
        length, channels = shape
        return _made(layer.of_images(), (1, length, channels), charge)[-2:]
    if isinstance(layer, nn.Linear):
        return (*shape[:-1], layer.out_features)
    if isinstance(layer, nn.Flatten):
        return (math.prod(shape),)
    if isinstance(layer, nn.Unflatten):
        return tuple(layer.shape)
    if isinstance(layer, nn.GlobalAvgPool2d | nn.GlobalMaxPool2d):
        return shape[-1:]
    if isinstance(layer, nn.ZeroPadChannels):
        return (*shape[:-1], layer.before + shape[-1] + layer.after)
    if not isinstance(layer, _OF_IMAGES):
        says = type(layer).output_shape is not Layer.output_shape  # else it would be run
        return tuple(layer.output_shape(shape)) if says else shape
    h, w, c = shape
    if isinstance(layer, nn.ZeroPad2d):
        top, bottom, left, right = layer.padding
        return (top + h + bottom, left + w + right, c)
    if isinstance(layer, nn.Upsample):
        made = layer.output_shape(shape)
        if layer.mode == "bilinear":
            charge((made[0], max(h, w * c)))  # the weights, and the rows that are done first
            charge((made[1], w))
        return made
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        oh, ow = layer.output_size
        charge((oh, max(h, w * c)))  # the bins of the rows, which are computed first
        charge((ow, w))
        return (oh, ow, c)
    if isinstance(layer, nn.ConvTranspose2d):
        sizes = zip(shape, layer.stride, layer.dilation, layer.kernel_size, layer.output_padding, strict=False)
        oh, ow = ((n - 1) * stride + dilation * (k - 1) + 1 + more for n, stride, dilation, k, more in sizes)
        charge((oh, ow, layer.out_channels))  # with the padding, which is cut off
        at = layer.window.place(oh, ow)
        return (oh - sum(at.pads[:2]), ow - sum(at.pads[2:]), layer.out_channels)
    at = layer.window.place(h, w)
    charge((h + sum(at.pads[:2]), w + sum(at.pads[2:]), c))
    return (*at.out, layer.out_channels if isinstance(layer, nn.Conv2d) else c)


_INPUT_SIZES = ("in_features", "in_channels", "num_features", "num_channels")  # the size of the input's last axis
_OF_IMAGES = (
    nn.ZeroPad2d,
    nn.Upsample,
    nn.AdaptiveAvgPool2d,
    nn.ConvTranspose2d,
    nn.Conv2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
)
