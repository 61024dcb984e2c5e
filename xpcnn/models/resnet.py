"""ResNet-18, 34 and 50: residual networks for large images.

    conv1     7×7, 64, stride 2; 3×3 max pooling, stride 2
    layer1…4  blocks with 64, 128, 256 and 512 filters; the first block of layer2, 3 and 4 has stride 2
    fc        mean of each channel, dense layer

A block is y = relu(f(x) + x). f is two 3×3 convolutions, or in ResNet-50 a bottleneck 1×1, 3×3, 1×1 whose last has four
times as many filters. Where the shape changes, x goes through a 1×1 convolution with batch norm ("option B"). The
bottleneck's stride is in its 3×3 convolution, as in torchvision ("v1.5"); in the paper it is in the first 1×1.

Source: K. He et al., Deep residual learning for image recognition, 2015, table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..nn import BatchNorm2d, Conv2d, GlobalAvgPool2d, Graph, Layer, Linear, MaxPool2d, ReLU, Sequential
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import chain, conv_norm, residual, wired

Block: TypeAlias = Callable[..., Graph]  # (channels, filters, stride, dilation, rng)

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # blocks in layer1 to layer4


@architecture("He et al. 2015, https://arxiv.org/abs/1512.03385", IMAGENET)
def resnet18(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """ResNet-18.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> resnet18((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    return _resnet(18, basic, 512, input_shape, num_classes, rng)


@architecture("He et al. 2015, https://arxiv.org/abs/1512.03385", IMAGENET)
def resnet34(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """ResNet-34; parameters as `resnet18`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("resnet34").input_shape, facts_of("resnet34").parameters
    ((224, 224, 3), 21797672)
    """
    return _resnet(34, basic, 512, input_shape, num_classes, rng)


@architecture("He et al. 2015, https://arxiv.org/abs/1512.03385", IMAGENET)
def resnet50(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """ResNet-50; parameters as `resnet18`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("resnet50").input_shape, facts_of("resnet50").parameters
    ((224, 224, 3), 25557032)
    """
    return _resnet(50, bottleneck, 2048, input_shape, num_classes, rng)


def _resnet(depth: int, block: Block, features: int, input_shape: Shape, num_classes: int, rng: Seed) -> Graph:
    rng = generator(rng)
    _, _, channels = as_image_shape(f"resnet{depth}", input_shape)
    head = {"avgpool": GlobalAvgPool2d(), "fc": Linear(features, num_classes, weight_init="glorot_uniform", rng=rng)}
    return chain(trunk(channels, block, DEPTHS[depth], rng=rng) | head)


def trunk(
    channels: int, block: Block, depths: Sequence[int], *, strides: Sequence[int] = (1, 2, 2, 2), rng: Seed
) -> dict[str, Layer]:
    """The layers before the head.

    Parameters
        strides : of layer1 to layer4. Where layer3 or layer4 has 1 instead of 2, its convolutions are dilated instead,
            so that each unit sees as much of the image
    """
    layers: dict[str, Layer] = {
        "conv1": Conv2d(channels, 64, 7, stride=2, padding=3, bias=False, rng=rng),
        "bn1": BatchNorm2d(64),
        "relu": ReLU(),
        "maxpool": MaxPool2d(3, stride=2, padding=1),
    }
    channels, dilation = 64, 1
    for i, (depth, stride) in enumerate(zip(depths, strides, strict=True)):
        filters, before = 64 * 2**i, dilation
        dilation *= 2 if i and stride == 1 else 1
        blocks: list[Layer] = []
        for number in range(depth):
            first = number == 0
            made = block(channels, filters, stride if first else 1, before if first else dilation, rng)
            channels = filters * (4 if block is bottleneck else 1)
            blocks.append(made)
        layers[f"layer{i + 1}"] = Sequential(*blocks)
    return layers


def basic(channels: int, filters: int, stride: int, dilation: int, rng: Seed) -> Graph:
    """f: two 3×3 convolutions."""
    body = {
        "conv1": _conv(channels, filters, 3, stride, dilation, rng),
        "bn1": BatchNorm2d(filters),
        "relu1": ReLU(),
        "conv2": _conv(filters, filters, 3, 1, dilation, rng),
        "bn2": BatchNorm2d(filters),
    }
    return _block(body, channels, filters, stride, rng)


def bottleneck(channels: int, filters: int, stride: int, dilation: int, rng: Seed) -> Graph:
    """f: 1×1, 3×3 and 1×1 convolutions, the last with four times as many filters."""
    body = {
        "conv1": _conv(channels, filters, 1, 1, 1, rng),
        "bn1": BatchNorm2d(filters),
        "relu1": ReLU(),
        "conv2": _conv(filters, filters, 3, stride, dilation, rng),
        "bn2": BatchNorm2d(filters),
        "relu2": ReLU(),
        "conv3": _conv(filters, 4 * filters, 1, 1, 1, rng),
        "bn3": BatchNorm2d(4 * filters),
    }
    return _block(body, channels, 4 * filters, stride, rng)


def _block(body: dict[str, Layer], channels: int, filters: int, stride: int, rng: Seed) -> Graph:
    """y = relu(f(x) + x), or relu(f(x) + downsample(x)) where the shape changes."""
    entries, shortcut = wired(body), "x"
    if stride > 1 or channels != filters:
        shortcut = "downsample"
        entries = {shortcut: (conv_norm(channels, filters, stride=stride, activation=None, rng=rng), "x")} | entries
    return residual(entries, shortcut, ReLU())


def _conv(channels: int, filters: int, size: int, stride: int, dilation: int, rng: Seed) -> Conv2d:
    padding = dilation * (size - 1) // 2
    return Conv2d(channels, filters, size, stride=stride, padding=padding, dilation=dilation, bias=False, rng=rng)
