"""DenseNet-121: each layer reads the outputs of all layers before it in its block.

    conv0             7×7, 64, stride 2; 3×3 max pooling, stride 2
    denseblock1 … 4   6, 12, 24 and 16 layers: batch norm, ReLU, 1×1 (128), batch norm, ReLU, 3×3 (32)
    transition1 … 3   batch norm, ReLU, 1×1 to half the channels, 2×2 mean
    classifier        batch norm, ReLU, mean of each channel, dense layer

A layer adds k = 32 channels ("growth rate") to the ones that it reads.

Source: G. Huang et al., Densely connected convolutional networks, 2016, table 1.
"""

from __future__ import annotations

from ..nn import AvgPool2d, BatchNorm2d, Concat, Conv2d, GlobalAvgPool2d, Graph, Layer, Linear, MaxPool2d, ReLU
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import Entries, chain

_BLOCKS = (6, 12, 24, 16)
_GROWTH = 32


@architecture("Huang et al. 2016, https://arxiv.org/abs/1608.06993", IMAGENET)
def densenet121(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """DenseNet-121.

    Parameters
        input_shape : (H, W, C), H and W at least 29
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> densenet121((32, 32, 3), 10).output_shape((32, 32, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("densenet121", input_shape, least=29)
    features: dict[str, Layer] = {
        "conv0": Conv2d(channels, 64, 7, stride=2, padding=3, bias=False, rng=rng),
        "norm0": BatchNorm2d(64),
        "relu0": ReLU(),
        "pool0": MaxPool2d(3, stride=2, padding=1),
    }
    channels = 64
    for i, layers in enumerate(_BLOCKS, start=1):
        if i > 1:
            features[f"transition{i - 1}"] = _transition(channels, rng)
            channels //= 2
        features[f"denseblock{i}"] = _block(channels, layers, rng)
        channels += layers * _GROWTH
    return chain(
        {
            "features": chain(features | {"norm5": BatchNorm2d(channels)}),
            "relu": ReLU(),
            "avgpool": GlobalAvgPool2d(),
            "classifier": Linear(channels, num_classes, weight_init="glorot_uniform", rng=rng),
        }
    )


def _block(channels: int, layers: int, rng: Seed) -> Graph:
    """y = [x, f₁(x), f₂([x, f₁(x)]), …]."""
    entries: Entries = {}
    value = "x"
    for i in range(1, layers + 1):
        entries[f"denselayer{i}"] = (_layer(channels + (i - 1) * _GROWTH, rng), value)
        entries[f"concat{i}"] = (Concat(), value, f"denselayer{i}")
        value = f"concat{i}"
    return Graph(entries)


def _layer(channels: int, rng: Seed) -> Graph:
    return chain(
        {
            "norm1": BatchNorm2d(channels),
            "relu1": ReLU(),
            "conv1": Conv2d(channels, 4 * _GROWTH, 1, bias=False, rng=rng),
            "norm2": BatchNorm2d(4 * _GROWTH),
            "relu2": ReLU(),
            "conv2": Conv2d(4 * _GROWTH, _GROWTH, 3, padding=1, bias=False, rng=rng),
        }
    )


def _transition(channels: int, rng: Seed) -> Graph:
    return chain(
        {
            "norm": BatchNorm2d(channels),
            "relu": ReLU(),
            "conv": Conv2d(channels, channels // 2, 1, bias=False, rng=rng),
            "pool": AvgPool2d(2),
        }
    )
