"""ShuffleNet v2, 1.0×: half of the channels pass a block as they are, and then both halves are shuffled.

    conv1            3×3, 24, stride 2; 3×3 max pooling, stride 2
    stage2, 3, 4     116, 232 and 464 channels in 4, 8 and 4 blocks; the first has stride 2 and both branches convolve
    conv5            1×1, 1024; mean of each channel, dense layer

Source: N. Ma et al., ShuffleNet v2: practical guidelines for efficient CNN architecture design, 2018, table 5 and
figure 3.
"""

from __future__ import annotations

from ..nn import (
    BatchNorm2d,
    ChannelShuffle,
    Concat,
    Conv2d,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    Sequential,
    Slice,
)
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import Entries, chain, conv_norm

_STAGES = {"stage2": (116, 4), "stage3": (232, 8), "stage4": (464, 4)}  # channels, blocks


@architecture("Ma et al. 2018, https://arxiv.org/abs/1807.11164", IMAGENET)
def shufflenet_v2_x1_0(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """ShuffleNet v2 of width 1.0.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> shufflenet_v2_x1_0((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("shufflenet_v2_x1_0", input_shape)
    layers: dict[str, Layer] = {
        "conv1": conv_norm(channels, 24, 3, stride=2, rng=rng),
        "maxpool": MaxPool2d(3, stride=2, padding=1),
    }
    channels = 24
    for name, (width, blocks) in _STAGES.items():
        rest = [_block(width, rng) for _ in range(blocks - 1)]
        layers[name] = Sequential(_first_block(channels, width, rng), *rest)
        channels = width
    return chain(
        layers
        | {
            "conv5": conv_norm(channels, 1024, rng=rng),
            "avgpool": GlobalAvgPool2d(),
            "fc": Linear(1024, num_classes, weight_init="glorot_uniform", rng=rng),
        }
    )


def _block(channels: int, rng: Seed) -> Graph:
    """One half of the channels as it is, the other half convolved (figure 3c)."""
    half = channels // 2
    return _shuffled(
        {
            "kept": (Slice(0, half), "x"),
            "convolved": (Slice(half, channels), "x"),
            "branch2": (_branch2(half, half, 1, rng), "convolved"),
        },
        "kept",
    )


def _first_block(channels: int, width: int, rng: Seed) -> Graph:
    """Both branches convolve all channels with stride 2 (figure 3d)."""
    branch1 = Sequential(*_depthwise(channels, 2, rng), *conv_norm(channels, width // 2, rng=rng).children().values())
    branch2 = _branch2(channels, width // 2, 2, rng)
    return _shuffled({"branch1": (branch1, "x"), "branch2": (branch2, "x")}, "branch1")


def _shuffled(entries: Entries, other: str) -> Graph:
    return Graph(entries | {"concat": (Concat(), other, "branch2"), "shuffle": (ChannelShuffle(2), "concat")})


def _branch2(channels: int, width: int, stride: int, rng: Seed) -> Sequential:
    wide = conv_norm(channels, width, rng=rng).children().values()
    return Sequential(*wide, *_depthwise(width, stride, rng), *conv_norm(width, width, rng=rng).children().values())


def _depthwise(channels: int, stride: int, rng: Seed) -> tuple[Layer, ...]:
    conv = Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False, rng=rng)
    return conv, BatchNorm2d(channels)
