"""EfficientNet-B0: inverted residuals with squeeze-and-excitation and SiLU, found by a search.

    conv 3×3, 32, stride 2
    expansion  kernel  stride  channels  blocks
    1          3       1       16        1
    6          3       2       24        2
    6          5       2       40        2
    6          3       2       80        3
    6          5       1       112       3
    6          5       2       192       4
    6          3       1       320       1
    conv 1×1, 1280; mean of each channel; dense layer

Source: M. Tan and Q. Le, EfficientNet: rethinking model scaling for convolutional neural networks, 2019, table 1.
"""

from __future__ import annotations

from functools import partial

from ..nn import Dropout, GlobalAvgPool2d, Graph, Layer, Linear, Sequential, SiLU, StochasticDepth
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import chain, conv_norm, residual, squeeze_excitation, wired

_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_DROPPED = 0.2  # the probability that the last block is dropped; that of the first is 0, between them it rises


@architecture("Tan and Le 2019, https://arxiv.org/abs/1905.11946", IMAGENET)
def efficientnet_b0(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """EfficientNet-B0.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights, the dropout mask and the blocks that are dropped

    >>> efficientnet_b0((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("efficientnet_b0", input_shape)
    features: list[Layer] = [conv_norm(channels, 32, 3, stride=2, activation=SiLU, rng=rng)]
    channels, done, total = 32, 0, sum(blocks for *_, blocks in _STAGES)
    for expansion, kernel, stride, width, blocks in _STAGES:
        stage: list[Layer] = []
        for i in range(blocks):
            step = stride if i == 0 else 1
            stage.append(_block(channels, expansion * channels, kernel, step, width, _DROPPED * done / total, rng))
            channels, done = width, done + 1
        features.append(Sequential(*stage))
    features.append(conv_norm(channels, 1280, activation=SiLU, rng=rng))
    head = Linear(1280, num_classes, weight_init="glorot_uniform", rng=rng)
    classifier = Sequential(Dropout(0.2, rng=rng), head)
    return chain({"features": Sequential(*features), "avgpool": GlobalAvgPool2d(), "classifier": classifier})


def _block(channels: int, expanded: int, kernel: int, stride: int, width: int, dropped: float, rng: Seed) -> Graph:
    conv = partial(conv_norm, activation=SiLU, rng=rng)
    layers: list[Layer] = [] if expanded == channels else [conv(channels, expanded)]
    layers.append(conv(expanded, expanded, kernel, stride=stride, groups=expanded))
    layers.append(squeeze_excitation(expanded, max(1, channels // 4), activation=SiLU, rng=rng))
    layers.append(conv_norm(expanded, width, activation=None, rng=rng))
    body = {"block": Sequential(*layers)}
    if stride > 1 or channels != width:
        return chain(body)
    return residual(wired(body | {"stochastic_depth": StochasticDepth(dropped, rng=rng)}))
