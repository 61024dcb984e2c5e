"""MobileNet v2: inverted residuals with linear bottlenecks.

    conv 3×3, 32, stride 2
    t     c     n   s        a block expands its channels t times by 1×1, convolves each by 3×3 with stride s,
    1     16    1   1        and projects them to c by 1×1 without an activation; n blocks, of which the first has
    6     24    2   2        the stride; where neither size nor width changes, the block's input is added
    6     32    3   2
    6     64    4   2
    6     96    3   1
    6     160   3   2
    6     320   1   1
    conv 1×1, 1280; mean of each channel; dense layer

Source: M. Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, 2018, table 2.
"""

from __future__ import annotations

from functools import partial

from ..nn import BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Graph, Layer, Linear, ReLU6, Sequential
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import chain, conv_norm, residual, wired

_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


@architecture("Sandler et al. 2018, https://arxiv.org/abs/1801.04381", IMAGENET)
def mobilenet_v2(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """MobileNet v2 of width 1.0.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights and the dropout mask

    >>> mobilenet_v2((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("mobilenet_v2", input_shape)
    features: list[Layer] = [conv_norm(channels, 32, 3, stride=2, activation=ReLU6, rng=rng)]
    channels = 32
    for t, c, n, s in _BLOCKS:
        for i in range(n):
            features.append(_inverted_residual(channels, t * channels, c, s if i == 0 else 1, rng))
            channels = c
    features.append(conv_norm(channels, 1280, activation=ReLU6, rng=rng))
    head = Linear(1280, num_classes, weight_init="glorot_uniform", rng=rng)
    classifier = Sequential(Dropout(0.2, rng=rng), head)
    return chain({"features": Sequential(*features), "avgpool": GlobalAvgPool2d(), "classifier": classifier})


def _inverted_residual(channels: int, expanded: int, width: int, stride: int, rng: Seed) -> Graph:
    conv = partial(conv_norm, activation=ReLU6, rng=rng)
    layers: list[Layer] = [] if expanded == channels else [conv(channels, expanded)]
    layers.append(conv(expanded, expanded, 3, stride=stride, groups=expanded))
    layers += [Conv2d(expanded, width, 1, bias=False, rng=rng), BatchNorm2d(width)]
    body = wired({"conv": Sequential(*layers)})
    return residual(body) if stride == 1 and channels == width else Graph(body)
