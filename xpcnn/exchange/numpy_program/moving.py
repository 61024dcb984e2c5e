"""Layers that move numbers, change the size of images, reduce axes or join values, as lines of a program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import starmap
from typing import Any

import numpy as np

from ... import nn
from ...ops.bilinear import weights
from .place import Place, inline, writes
from .windows import on_images

_ADDED: dict[type[nn.Layer], str] = {nn.Add: " + ", nn.Subtract: " - ", nn.Multiply: " * "}
_CHOSEN: dict[type[nn.Layer], str] = {nn.Maximum: "np.maximum", nn.Minimum: "np.minimum"}


def _reshaped(x: str, *sizes: int) -> str:
    return f"{x}.reshape({', '.join(map(str, ('len(' + x + ')', *sizes)))})"


@writes(nn.Flatten, nn.Reshape, nn.Unflatten)
def _reshape(at: Place, layer: nn.Layer) -> str:
    return _reshaped(at.x, *at.out)


writes(nn.Permute)(lambda at, layer: f"{at.x}.transpose{(0, *layer.axes)}")


@writes(nn.Slice)
def _slice(at: Place, layer: nn.Slice) -> str:
    step = f":{layer.step}" if layer.step > 1 else ""
    return f"{at.x}[{':, ' * (layer.axis % (len(at.shape) + 1))}{layer.start}:{layer.stop}{step}]"


def _padded(mode: str = "") -> Any:
    def write(at: Place, layer: Any) -> str:
        images, x, _, _, end = on_images(at, layer)
        pairs = [tuple(pair) for pair in images.options()["widths"]]
        around = ((0, 0), *pairs, *[(0, 0)] * (3 - len(pairs)))
        return at.call("np.pad", x, around, mode=repr(mode) if mode else None) + end

    return write


writes(nn.ZeroPad2d, nn.ZeroPad1d, nn.ZeroPadChannels)(_padded())
writes(nn.ReflectionPad2d, nn.ReflectionPad1d)(_padded("reflect"))
writes(nn.ReplicationPad2d, nn.ReplicationPad1d)(_padded("edge"))


@writes(nn.PixelShuffle)
def _pixel_shuffle(at: Place, layer: nn.PixelShuffle) -> str:
    r, (height, width, _) = layer.upscale_factor, at.shape
    blocks = _reshaped(at.x, height, width, at.out[2], r, r)
    return f"{blocks}.transpose(0, 1, 4, 2, 5, 3).reshape{(-1, *at.out)}"


@writes(nn.PixelUnshuffle)
def _pixel_unshuffle(at: Place, layer: nn.PixelUnshuffle) -> str:
    r, (height, width, _) = layer.downscale_factor, at.out
    blocks = _reshaped(at.x, height, r, width, r, at.shape[2])
    return f"{blocks}.transpose(0, 1, 3, 5, 2, 4).reshape{(-1, *at.out)}"


@writes(nn.ChannelShuffle)
def _channel_shuffle(at: Place, layer: nn.ChannelShuffle) -> str:
    *places, channels = at.shape
    parts = _reshaped(at.x, *places, layer.groups, channels // layer.groups)
    return f"{parts}.swapaxes(-1, -2).reshape{(-1, *at.out)}"


@writes(nn.Upsample)
def _upsample(at: Place, layer: nn.Upsample) -> str:
    if layer.mode == "nearest":
        return f"{at.x}.repeat({layer.scale_factor[0]}, axis=1).repeat({layer.scale_factor[1]}, axis=2)"
    each = zip(at.out[:2], at.shape[:2], layer.scale_factor or (None, None), strict=True)
    matrices = starmap(lambda o, n, s: weights(o, n, s, layer.align_corners, np.zeros(()), np), each)
    return at.call("resized", at.x, *map(at.array, ("rows", "columns"), matrices))


@writes(nn.Resample)
def _resample(at: Place, layer: nn.Resample) -> str:
    return at.call("resized", at.x, *(at.array(key, getattr(layer, key)) for key in layer.buffer_names))


def _reduced(name: str) -> Any:
    def write(at: Place, layer: Any) -> str:
        return at.call(f"{at.x}.{name}", axis=layer.axes, keepdims=True if layer.keepdims else None)

    return write


writes(nn.Mean)(_reduced("mean"))
writes(nn.Sum)(_reduced("sum"))
writes(nn.Max)(_reduced("max"))
writes(nn.Min)(_reduced("min"))
writes(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.StochasticDepth)(inline("{x}"))


def joined(kind: type[nn.Layer], xs: Sequence[str]) -> str:
    """The expression that joins values."""
    if kind is nn.Concat:
        return f"np.concatenate([{', '.join(xs)}], axis=-1)"
    if kind in _ADDED:
        return _ADDED[kind].join(xs)
    return reduce(lambda one, other: f"{_CHOSEN[kind]}({one}, {other})", xs)


JOINS = (*_ADDED, *_CHOSEN, nn.Concat)
