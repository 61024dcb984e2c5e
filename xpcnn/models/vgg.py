"""VGG: stacks of 3×3 convolutions between poolings.

Source: K. Simonyan and A. Zisserman, Very deep convolutional networks for large-scale image recognition,
2014, table 1 (configurations A, B, D, E).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ..errors import OptionError
from ..nn import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from ..options import as_flag
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape

Plan: TypeAlias = tuple[int | Literal["M"], ...]  # filters of a 3×3 convolution, or "M" for 2×2 max pooling

_SMALL: Plan = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M")
_VGG: dict[int, Plan] = {
    11: (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    13: (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    16: (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
    19: (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"),
}


@architecture()
def vgg_small(input_shape: Shape = (32, 32, 3), num_classes: int = 10, *, rng: Seed = None) -> Sequential:
    """Seven 3×3 convolutions with batch norm, three poolings, global average pooling and one dense layer.

    Parameters
        input_shape : (H, W, C), H and W at least 8
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> vgg_small((32, 32, 3)).output_shape((32, 32, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("vgg_small", input_shape, least=2 ** _SMALL.count("M"))
    return Sequential(
        *_features(channels, _SMALL, batch_norm=True, rng=rng),
        GlobalAvgPool2d(),
        Linear(256, num_classes, weight_init="glorot_uniform", rng=rng),
    )


@architecture("Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556", IMAGENET)
def vgg11(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, **options: Any) -> Sequential:
    """VGG with 8 convolutions and 3 dense layers; see `vgg`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("vgg11").input_shape, facts_of("vgg11").parameters
    ((224, 224, 3), 132863336)
    """
    return vgg(11, input_shape, num_classes, **options)


@architecture("Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556", IMAGENET)
def vgg13(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, **options: Any) -> Sequential:
    """VGG with 10 convolutions and 3 dense layers; see `vgg`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("vgg13").input_shape, facts_of("vgg13").parameters
    ((224, 224, 3), 133047848)
    """
    return vgg(13, input_shape, num_classes, **options)


@architecture("Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556", IMAGENET)
def vgg16(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, **options: Any) -> Sequential:
    """VGG with 13 convolutions and 3 dense layers; see `vgg`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("vgg16").input_shape, facts_of("vgg16").parameters
    ((224, 224, 3), 138357544)
    """
    return vgg(16, input_shape, num_classes, **options)


@architecture("Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556", IMAGENET)
def vgg19(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, **options: Any) -> Sequential:
    """VGG with 16 convolutions and 3 dense layers; see `vgg`.

    >>> from xpcnn.models import facts_of
    >>> facts_of("vgg19").input_shape, facts_of("vgg19").parameters
    ((224, 224, 3), 143667240)
    """
    return vgg(19, input_shape, num_classes, **options)


def vgg(
    depth: Literal[11, 13, 16, 19],
    input_shape: Shape = (224, 224, 3),
    num_classes: int = 1000,
    *,
    hidden: int | None = None,
    dropout: float = 0.5,
    batch_norm: bool = False,
    rng: Seed = None,
) -> Sequential:
    """VGG-11, 13, 16 or 19.

    Parameters
        depth : layers with weights
        input_shape : (H, W, C), H and W at least 32
        num_classes : outputs (logits)
        hidden : width of the two dense layers before the last; None for the paper's 4096 from 224×224 on, and
            512 for smaller images, whose last feature map is too small for more
        dropout : probability of dropping, after each of those two
        batch_norm : whether to add batch norm after each convolution, which deep ones need to train from scratch
        rng : seed or generator of the initial weights and the dropout masks

    >>> from xpcnn.nn import Conv2d
    >>> sum(isinstance(layer, Conv2d) for layer in vgg(11, (32, 32, 3), 10, hidden=8).children().values())
    8
    """
    rng = generator(rng)
    if not isinstance(depth, int) or depth not in _VGG:
        raise OptionError("vgg", "depth: one of " + ", ".join(map(str, _VGG)), repr(depth))
    plan = _VGG[depth]
    batch_norm = as_flag("vgg", "batch_norm", batch_norm)
    height, width, channels = as_image_shape(f"vgg{depth}", input_shape, least=2 ** plan.count("M"))
    if hidden is None:
        hidden = 4096 if min(height, width) >= 224 else 512
    return Sequential(
        *_features(channels, plan, batch_norm=batch_norm, rng=rng),
        Flatten(),
        Linear(512 * (height // 32) * (width // 32), hidden, rng=rng),
        ReLU(),
        Dropout(dropout, rng=rng.spawn(1)[0]),
        Linear(hidden, hidden, rng=rng),
        ReLU(),
        Dropout(dropout, rng=rng.spawn(1)[0]),
        Linear(hidden, num_classes, weight_init="glorot_uniform", rng=rng),
    )


def _features(channels: int, plan: Plan, *, batch_norm: bool, rng: Seed) -> list[Layer]:
    layers: list[Layer] = []
    for step in plan:
        if step == "M":
            layers.append(MaxPool2d(2))
            continue
        layers.append(Conv2d(channels, step, 3, padding=1, bias=not batch_norm, rng=rng))
        layers += [BatchNorm2d(step), ReLU()] if batch_norm else [ReLU()]
        channels = step
    return layers
