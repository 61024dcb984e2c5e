"""Channels and pixels that change places to operators."""

from __future__ import annotations

import math

from ... import nn
from .layers import Place, translates


@translates(nn.PixelShuffle)
def _pixel_shuffle(at: Place, layer: nn.PixelShuffle) -> str:
    return at.node("DepthToSpace", blocksize=layer.upscale_factor, mode="CRD")


@translates(nn.PixelUnshuffle)
def _pixel_unshuffle(at: Place, layer: nn.PixelUnshuffle) -> str:
    """SpaceToDepth has the channels in another order."""
    (height, width, channels), r = at.shape, layer.downscale_factor
    return _turned(at, [channels // (r * r), height, r, width, r], (0, 1, 3, 5, 2, 4), [channels, height, width])


@translates(nn.ChannelShuffle)
def _channel_shuffle(at: Place, layer: nn.ChannelShuffle) -> str:
    *space, channels = at.x.shape
    parts = [layer.groups, channels // layer.groups, math.prod(space)]
    return _turned(at, parts, (0, 2, 1, 3), [channels, *space])


def _turned(at: Place, parts: list[int], perm: tuple[int, ...], whole: list[int]) -> str:
    cut = at.node("Reshape", at.x.name, at.constant("parts", [0, *parts], "int64"), part="parts")
    turned = at.node("Transpose", cut, part="turned", perm=perm)
    return at.node("Reshape", turned, at.constant("whole", [0, *whole], "int64"))


@translates(nn.ChannelSlice)
def _channel_slice(at: Place, layer: nn.ChannelSlice) -> str:
    ends = (("start", layer.start), ("stop", layer.stop), ("axis", 1))
    return at.node("Slice", at.x.name, *(at.constant(name, [end], "int64") for name, end in ends))
