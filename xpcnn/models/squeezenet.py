"""SqueezeNet 1.1: the accuracy of AlexNet with a fiftieth of its parameters.

A fire module squeezes by 1×1 convolutions to few channels, and expands them by 1×1 and 3×3 convolutions side by side.

    conv 3×3, 64, stride 2; max pooling
    fire 16 → 64 + 64,   twice; max pooling
    fire 32 → 128 + 128, twice; max pooling
    fire 48 → 192 + 192, twice
    fire 64 → 256 + 256, twice
    conv 1×1, a channel for each class; mean of each channel

Source: F. Iandola et al., SqueezeNet, 2016, table 1, with the changes of version 1.1 in the authors' repository.
"""

from __future__ import annotations

from ..nn import Concat, Conv2d, Dropout, GlobalAvgPool2d, Graph, Layer, MaxPool2d, ReLU, Sequential
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import chain, wired

_FIRES = ((16, 64, 2), (32, 128, 2), (48, 192, 2), (64, 256, 2))  # squeezed, expanded twice, modules


@architecture("Iandola et al. 2016, https://arxiv.org/abs/1602.07360", IMAGENET)
def squeezenet1_1(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """SqueezeNet 1.1.

    Parameters
        input_shape : (H, W, C), H and W at least 17
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights and the dropout masks

    >>> squeezenet1_1((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("squeezenet1_1", input_shape, least=17)
    features: list[Layer] = [Conv2d(channels, 64, 3, stride=2, rng=rng), ReLU()]
    channels = 64
    for squeezed, expanded, modules in _FIRES:
        if squeezed <= 48:
            features.append(MaxPool2d(3, stride=2, ceil_mode=True))
        for _ in range(modules):
            features.append(_fire(channels, squeezed, expanded, rng))
            channels = 2 * expanded
    classifier = Sequential(Dropout(0.5, rng=rng), Conv2d(channels, num_classes, 1, rng=rng), ReLU(), GlobalAvgPool2d())
    return chain({"features": Sequential(*features), "classifier": classifier})


def _fire(channels: int, squeezed: int, expanded: int, rng: Seed) -> Graph:
    entries = wired({"squeeze": Conv2d(channels, squeezed, 1, rng=rng), "squeeze_activation": ReLU()})
    for name, size in (("expand1x1", 1), ("expand3x3", 3)):
        conv = Conv2d(squeezed, expanded, size, padding=size // 2, rng=rng)
        entries |= wired({name: conv, f"{name}_activation": ReLU()}, "squeeze_activation")
    return Graph(entries | {"concat": (Concat(), "expand1x1_activation", "expand3x3_activation")})
