"""ResNet-20 in its CIFAR form.

A 3×3 convolution, then three stages of n = 3 blocks with 16, 32 and 64 filters, global average pooling and one
dense layer: 6n + 2 = 20 layers with weights. A block is y = relu(f(x) + x). In the first block of a stage, f has
stride 2, and the shortcut takes every second pixel and appends zero channels ("option A"), without parameters.

Source: K. He et al., Deep residual learning for image recognition, 2015, section 4.2.
"""

from __future__ import annotations

from ..nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    GlobalAvgPool2d,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
    ZeroPadChannels,
)
from ..random import Seed, generator
from ..typing import Shape
from .facts import architecture
from .image import as_image_shape


@architecture("He et al. 2015, https://arxiv.org/abs/1512.03385")
def resnet20(input_shape: Shape = (32, 32, 3), num_classes: int = 10, *, rng: Seed = None) -> Sequential:
    """ResNet-20 for small images.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> import math
    >>> sum(math.prod(array.shape) for array in resnet20().parameters().values())
    269722
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("resnet20", input_shape)
    layers: list[Layer] = [Conv2d(channels, 16, 3, padding=1, bias=False, rng=rng), BatchNorm2d(16), ReLU()]
    channels = 16
    for filters in (16, 32, 64):
        for _ in range(3):
            layers += [_block(channels, filters, rng), ReLU()]
            channels = filters
    head = Linear(64, num_classes, weight_init="glorot_uniform", rng=rng)
    return Sequential(*layers, GlobalAvgPool2d(), head)


def _block(channels: int, filters: int, rng: Seed) -> Residual:
    stride = 1 if channels == filters else 2
    body = Sequential(
        Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False, rng=rng),
        BatchNorm2d(filters),
        ReLU(),
        Conv2d(filters, filters, 3, padding=1, bias=False, rng=rng),
        BatchNorm2d(filters),
    )
    if stride == 1:
        return Residual(body)
    added = filters - channels
    every_second = AvgPool2d(1, stride=2)  # a 1×1 window averages nothing
    return Residual(body, Sequential(every_second, ZeroPadChannels(added // 2, added - added // 2)))
