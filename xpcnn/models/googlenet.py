"""GoogLeNet: nine inception modules, each of four branches side by side.

    conv1, 2, 3       7×7, 64, stride 2; max pooling; 1×1, 64; 3×3, 192; max pooling
    inception3a, b    max pooling
    inception4a … e   max pooling
    inception5a, b    mean of each channel, dense layer

A module's branches are 1×1; 1×1 then 3×3; 1×1 then 3×3; and max pooling then 1×1. Each convolution is followed by batch
norm. The paper's third branch has 5×5 instead, and no batch norm; this is torchvision's network, whose weights fit. The
two heads in the middle, which the paper adds for training, are left out.

Source: C. Szegedy et al., Going deeper with convolutions, 2014, table 1.
"""

from __future__ import annotations

from typing import TypeAlias

from ..nn import (
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from ..random import Seed, generator
from ..typing import Pair, Shape
from .facts import HALVES, Preprocessing, architecture
from .image import as_image_shape
from .wiring import chain

_Widths: TypeAlias = tuple[int, tuple[int, int], tuple[int, int], int]
_MODULES: dict[str, _Widths | int] = {  # 1×1; 1×1 → 3×3; 1×1 → 3×3; pooling → 1×1. Or the size of max pooling
    "inception3a": (64, (96, 128), (16, 32), 32),
    "inception3b": (128, (128, 192), (32, 96), 64),
    "maxpool3": 3,
    "inception4a": (192, (96, 208), (16, 48), 64),
    "inception4b": (160, (112, 224), (24, 64), 64),
    "inception4c": (128, (128, 256), (24, 64), 64),
    "inception4d": (112, (144, 288), (32, 64), 64),
    "inception4e": (256, (160, 320), (32, 128), 128),
    "maxpool4": 2,
    "inception5a": (256, (160, 320), (32, 128), 128),
    "inception5b": (384, (192, 384), (48, 128), 128),
}


@architecture("Szegedy et al. 2014, https://arxiv.org/abs/1409.4842", Preprocessing(256, 224, *HALVES))
def googlenet(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """GoogLeNet with batch norm.

    Parameters
        input_shape : (H, W, C), H and W at least 15
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights and the dropout mask

    >>> googlenet((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("googlenet", input_shape, least=15)
    layers: dict[str, Layer] = {
        "conv1": basic_conv(channels, 64, 7, stride=2, padding=3, rng=rng),
        "maxpool1": MaxPool2d(3, stride=2, ceil_mode=True),
        "conv2": basic_conv(64, 64, 1, rng=rng),
        "conv3": basic_conv(64, 192, 3, padding=1, rng=rng),
        "maxpool2": MaxPool2d(3, stride=2, ceil_mode=True),
    }
    channels = 192
    for name, widths in _MODULES.items():
        if isinstance(widths, int):
            layers[name] = MaxPool2d(widths, stride=2, ceil_mode=True)
            continue
        layers[name] = _inception(channels, *widths, rng=rng)
        one, (_, two), (_, three), four = widths
        channels = one + two + three + four
    head = Linear(channels, num_classes, weight_init="glorot_uniform", rng=rng)
    return chain(layers | {"avgpool": GlobalAvgPool2d(), "dropout": Dropout(0.2, rng=rng), "fc": head})


def basic_conv(channels: int, filters: int, size: Pair, *, stride: int = 1, padding: Pair = 0, rng: Seed) -> Graph:
    """A convolution, batch norm and ReLU."""
    conv = Conv2d(channels, filters, size, stride=stride, padding=padding, bias=False, rng=rng)
    return chain({"conv": conv, "bn": BatchNorm2d(filters, eps=0.001), "relu": ReLU()})


def side_by_side(branches: dict[str, Layer]) -> Graph:
    """The outputs of branches that read the same value, one after another along the channels."""
    return Graph({name: (branch, "x") for name, branch in branches.items()} | {"concat": (Concat(), *branches)})


def _inception(channels: int, one: int, two: tuple[int, int], three: tuple[int, int], four: int, *, rng: Seed) -> Graph:
    def narrow_then_3x3(narrow: int, wide: int) -> Sequential:
        return Sequential(basic_conv(channels, narrow, 1, rng=rng), basic_conv(narrow, wide, 3, padding=1, rng=rng))

    return side_by_side(
        {
            "branch1": basic_conv(channels, one, 1, rng=rng),
            "branch2": narrow_then_3x3(*two),
            "branch3": narrow_then_3x3(*three),
            "branch4": Sequential(MaxPool2d(3, stride=1, padding=1), basic_conv(channels, four, 1, rng=rng)),
        }
    )
