"""The architectures that other programs have, too: images for them, and numbers for their arrays that need no file."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np

from xpcnn.nn import Dropout

# Small images at which no batch norm sees two values alone, and whose sides differ where the network allows it.
IMAGES = {
    "googlenet": (64, 80, 3),
    "inception_v3": (107, 95, 3),
    "resnet18": (64, 40, 3),
    "resnet34": (64, 40, 3),
    "resnet50": (64, 40, 3),
    "squeezenet1_1": (40, 33, 3),
    "densenet121": (64, 70, 3),
    "mobilenet_v2": (64, 40, 3),
    "shufflenet_v2_x1_0": (64, 40, 3),
    "mobilenet_v3_small": (64, 40, 3),
    "mobilenet_v3_large": (64, 40, 3),
    "efficientnet_b0": (64, 40, 3),
    "regnet_y_400mf": (64, 40, 3),
    "convnext_tiny": (64, 40, 3),
    "unet": (32, 48, 3),
    "fcn_resnet50": (33, 40, 3),
}
CLASSES = 5


def fill(model):
    """Give each array of a network numbers that depend on its name and shape alone; switch dropout off."""
    state = {}
    for name, array in model.state_dict().items():
        drawn = np.random.default_rng(crc32(name.encode())).standard_normal(array.shape, np.float32)
        if array.ndim > 1:
            state[name] = drawn * math.sqrt(2 / math.prod(array.shape[1:]))
        elif name.endswith(("weight", "running_var")):
            state[name] = 1 + 0.2 * np.clip(drawn, -2, 2)
        else:
            state[name] = 0.1 * drawn
    for _, layer in model.named_layers():
        if isinstance(layer, Dropout):
            layer.p = 0.0
    return model.load_state_dict(state)


def images(name, n=2):
    """Images for that architecture, float64."""
    return np.random.default_rng(7).normal(size=(n, *IMAGES[name]))


def ways(shape):
    """A gradient of outputs of that shape, float64."""
    return np.random.default_rng(8).normal(size=shape)
