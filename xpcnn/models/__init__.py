"""Named architectures. Each is a function (input_shape, num_classes, *, rng) → a network that returns logits."""

from __future__ import annotations

from collections.abc import Callable

from ..nn import Layer
from ..random import Seed
from ..typing import Shape
from .convnext import convnext_tiny
from .densenet import densenet121
from .efficientnet import efficientnet_b0
from .facts import Facts, Preprocessing, check_name, defaults, facts_of
from .fcn import fcn_resnet50
from .googlenet import googlenet
from .head import new_head
from .inception import inception_v3
from .lenet import lenet5, mnist_cnn
from .mlp import mlp
from .mobilenet_v2 import mobilenet_v2
from .mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from .normalized import normalized
from .regnet import regnet_y_400mf
from .resnet import resnet18, resnet34, resnet50
from .resnet_cifar import resnet20
from .shufflenet import shufflenet_v2_x1_0
from .squeezenet import squeezenet1_1
from .unet import unet, unet_small
from .vgg import vgg, vgg11, vgg13, vgg16, vgg19, vgg_small

MODELS: dict[str, Callable[..., Layer]] = {
    each.__name__: each
    for each in (
        mlp,
        lenet5,
        mnist_cnn,
        vgg_small,
        resnet20,
        vgg11,
        vgg13,
        vgg16,
        vgg19,
        googlenet,
        inception_v3,
        resnet18,
        resnet34,
        resnet50,
        squeezenet1_1,
        densenet121,
        mobilenet_v2,
        shufflenet_v2_x1_0,
        mobilenet_v3_small,
        mobilenet_v3_large,
        efficientnet_b0,
        regnet_y_400mf,
        convnext_tiny,
        unet,
        unet_small,
        fcn_resnet50,
    )
}

__all__ = [
    "MODELS",
    "Facts",
    "Preprocessing",
    "build",
    "convnext_tiny",
    "defaults",
    "densenet121",
    "efficientnet_b0",
    "facts_of",
    "fcn_resnet50",
    "googlenet",
    "inception_v3",
    "lenet5",
    "mlp",
    "mnist_cnn",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "new_head",
    "normalized",
    "regnet_y_400mf",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "unet",
    "unet_small",
    "vgg",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg_small",
]


def build(name: str, input_shape: Shape, num_classes: int, *, rng: Seed = None) -> Layer:
    """Build the architecture with that name, for inputs (H, W, C) and that many classes.

    Raises
        OptionError : no architecture has that name
        ShapeError : the images are too small for it

    >>> build("lenet5", (28, 28, 1), 10, rng=0).output_shape((28, 28, 1))
    (10,)
    """
    check_name(name)
    return MODELS[name](input_shape, num_classes, rng=rng)
