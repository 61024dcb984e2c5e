"""The images that the tests of models take: the smallest of each, uneven ones, and small ones to train on."""

from __future__ import annotations

import pytest

from xpcnn.models import MODELS

SMALLEST = dict.fromkeys(MODELS, 1) | dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg19", "convnext_tiny"), 32)
SMALLEST |= {"lenet5": 12, "mnist_cnn": 4, "vgg_small": 8, "unet": 16, "unet_small": 16}
SMALLEST |= {"googlenet": 15, "inception_v3": 75, "squeezenet1_1": 17, "densenet121": 29}
A_CLASS_A_PIXEL = ("unet", "unet_small", "fcn_resnet50")
TRAINED = {"mlp": (4, 4, 2), "lenet5": (12, 12, 2)} | dict.fromkeys(("mnist_cnn", "vgg_small", "resnet20"), (8, 8, 2))
HEAVY = (
    "googlenet", "inception_v3", "resnet18", "resnet34", "resnet50", "densenet121", "mobilenet_v2",
    "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "unet", "fcn_resnet50",
)  # fmt: skip


def heavy_ones_slow(names):
    """The names as parameters of a test; those of networks that take seconds have the marker `slow`."""
    return [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in names]


def uneven(name):
    """Images that are not square, nor a multiple of what the poolings divide them by, unless they have to be."""
    least = SMALLEST[name]
    return (16, 48, 3) if name.startswith("unet") else (least + 1, least * 2 + 3, 3)


def outputs(name, shape, classes):
    """The shape of the outputs for one image of that shape."""
    return (*shape[:2], classes) if name in A_CLASS_A_PIXEL else (classes,)
