"""ConvNeXt-T: a residual network in the manner of a vision transformer.

    stem       4×4, stride 4; layer norm
    stages     96, 192, 384 and 768 channels in 3, 3, 9 and 3 blocks; between them layer norm and 2×2, stride 2
    head       mean of each channel, layer norm, dense layer

A block is y = x + γ · f(x). f is a depthwise 7×7 convolution, layer norm, a dense layer of each pixel to four times the
channels, GELU, and one back. γ is a factor for each channel, which starts at 10⁻⁶.

Source: Z. Liu et al., A ConvNet for the 2020s, 2022, table 9.
"""

from __future__ import annotations

from ..nn import (
    GELU,
    Conv2d,
    GlobalAvgPool2d,
    Graph,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    Scale,
    Sequential,
    StochasticDepth,
)
from ..random import Seed, generator
from ..typing import Shape
from .facts import Preprocessing, architecture
from .image import as_image_shape
from .wiring import chain, residual, wired

_STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))  # channels, blocks
_DROPPED = 0.1  # the probability that the last block is dropped; that of the first is 0, between them it rises


@architecture("Liu et al. 2022, https://arxiv.org/abs/2201.03545", Preprocessing(236, 224))
def convnext_tiny(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """ConvNeXt-T.

    Parameters
        input_shape : (H, W, C), H and W at least 32
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights and the blocks that are dropped

    >>> convnext_tiny((32, 32, 3), 10).output_shape((32, 32, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("convnext_tiny", input_shape, least=32)
    features: list[Layer] = []
    done, last = 0, sum(blocks for _, blocks in _STAGES) - 1
    for width, blocks in _STAGES:
        if not features:
            features.append(Sequential(Conv2d(channels, width, 4, stride=4, rng=rng), _norm(width)))
        else:
            features.append(Sequential(_norm(channels), Conv2d(channels, width, 2, stride=2, rng=rng)))
        features.append(Sequential(*(_block(width, _DROPPED * (done + i) / last, rng) for i in range(blocks))))
        channels, done = width, done + blocks
    head = Linear(channels, num_classes, weight_init="glorot_uniform", rng=rng)
    classifier = Sequential(_norm(channels), Identity(), head)  # torchvision flattens between them
    return chain({"features": Sequential(*features), "avgpool": GlobalAvgPool2d(), "classifier": classifier})


def _block(channels: int, dropped: float, rng: Seed) -> Graph:
    f = Sequential(
        Conv2d(channels, channels, 7, padding=3, groups=channels, rng=rng),
        Identity(),  # torchvision moves the channels to the end here, and back at the end of f
        _norm(channels),
        Linear(channels, 4 * channels, rng=rng),
        GELU(),
        Linear(4 * channels, channels, rng=rng),
    )
    layers = {
        "block": f,
        "layer_scale": Scale(channels, bias=False, init=1e-6),
        "stochastic_depth": StochasticDepth(dropped, rng=rng),
    }
    return residual(wired(layers))


def _norm(channels: int) -> LayerNorm:
    return LayerNorm(channels, eps=1e-6)
