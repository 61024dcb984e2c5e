"""MobileNet v3: inverted residuals, with squeeze-and-excitation and hard swish where a search found them to pay.

Each row of the tables is a block: kernel, expanded channels, output channels, squeeze-and-excitation, activation,
stride.

Source: A. Howard et al., Searching for MobileNetV3, 2019, tables 1 (large) and 2 (small).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from ..nn import Dropout, GlobalAvgPool2d, Graph, HardSigmoid, HardSwish, Layer, Linear, ReLU, Sequential
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import chain, conv_norm, divisible, residual, squeeze_excitation, wired

_Row: TypeAlias = tuple[int, int, int, bool, type[Layer], int]

_LARGE: tuple[_Row, ...] = (
    (3, 16, 16, False, ReLU, 1),
    (3, 64, 24, False, ReLU, 2),
    (3, 72, 24, False, ReLU, 1),
    (5, 72, 40, True, ReLU, 2),
    (5, 120, 40, True, ReLU, 1),
    (5, 120, 40, True, ReLU, 1),
    (3, 240, 80, False, HardSwish, 2),
    (3, 200, 80, False, HardSwish, 1),
    (3, 184, 80, False, HardSwish, 1),
    (3, 184, 80, False, HardSwish, 1),
    (3, 480, 112, True, HardSwish, 1),
    (3, 672, 112, True, HardSwish, 1),
    (5, 672, 160, True, HardSwish, 2),
    (5, 960, 160, True, HardSwish, 1),
    (5, 960, 160, True, HardSwish, 1),
)
_SMALL: tuple[_Row, ...] = (
    (3, 16, 16, True, ReLU, 2),
    (3, 72, 24, False, ReLU, 2),
    (3, 88, 24, False, ReLU, 1),
    (5, 96, 40, True, HardSwish, 2),
    (5, 240, 40, True, HardSwish, 1),
    (5, 240, 40, True, HardSwish, 1),
    (5, 120, 48, True, HardSwish, 1),
    (5, 144, 48, True, HardSwish, 1),
    (5, 288, 96, True, HardSwish, 2),
    (5, 576, 96, True, HardSwish, 1),
    (5, 576, 96, True, HardSwish, 1),
)

_conv_norm = partial(conv_norm, eps=0.001, momentum=0.01)


@architecture("Howard et al. 2019, https://arxiv.org/abs/1905.02244", IMAGENET)
def mobilenet_v3_large(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """MobileNet v3, large.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights and the dropout mask

    >>> mobilenet_v3_large((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    return _mobilenet("mobilenet_v3_large", _LARGE, 1280, input_shape, num_classes, rng)


@architecture("Howard et al. 2019, https://arxiv.org/abs/1905.02244", IMAGENET)
def mobilenet_v3_small(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """MobileNet v3, small; parameters as `mobilenet_v3_large`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("mobilenet_v3_small").input_shape, facts_of("mobilenet_v3_small").parameters
    ((224, 224, 3), 2542856)
    """
    return _mobilenet("mobilenet_v3_small", _SMALL, 1024, input_shape, num_classes, rng)


def _mobilenet(name: str, rows: Sequence[_Row], hidden: int, input_shape: Shape, num_classes: int, rng: Seed) -> Graph:
    rng = generator(rng)
    _, _, channels = as_image_shape(name, input_shape)
    features: list[Layer] = [_conv_norm(channels, 16, 3, stride=2, activation=HardSwish, rng=rng)]
    channels = 16
    for row in rows:
        features.append(_block(channels, *row, rng=rng))
        channels = row[2]
    features.append(_conv_norm(channels, 6 * channels, activation=HardSwish, rng=rng))
    classifier = Sequential(
        Linear(6 * channels, hidden, rng=rng),
        HardSwish(),
        Dropout(0.2, rng=rng),
        Linear(hidden, num_classes, weight_init="glorot_uniform", rng=rng),
    )
    return chain({"features": Sequential(*features), "avgpool": GlobalAvgPool2d(), "classifier": classifier})


def _block(
    channels: int, kernel: int, expanded: int, width: int, squeeze: bool, kind: type[Layer], stride: int, *, rng: Seed
) -> Graph:
    conv = partial(_conv_norm, activation=kind, rng=rng)
    layers: list[Layer] = [] if expanded == channels else [conv(channels, expanded)]
    layers.append(conv(expanded, expanded, kernel, stride=stride, groups=expanded))
    if squeeze:
        layers.append(squeeze_excitation(expanded, divisible(expanded // 4), gate=HardSigmoid, rng=rng))
    layers.append(_conv_norm(expanded, width, activation=None, rng=rng))
    body = wired({"block": Sequential(*layers)})
    return residual(body) if stride == 1 and channels == width else Graph(body)
