"""Named architectures. Each is a function (input_shape, num_classes, *, rng) → Sequential that returns logits."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import OptionError
from ..nn import Sequential
from ..options import did_you_mean
from ..random import Seed
from ..typing import Shape
from .lenet import lenet5, mnist_cnn
from .mlp import mlp
from .normalized import normalized
from .resnet import resnet20
from .vgg import vgg, vgg11, vgg13, vgg16, vgg19, vgg_small

MODELS: dict[str, Callable[..., Sequential]] = {
    each.__name__: each for each in (mlp, lenet5, mnist_cnn, vgg_small, resnet20, vgg11, vgg13, vgg16, vgg19)
}

__all__ = [
    "MODELS",
    "build",
    "lenet5",
    "mlp",
    "mnist_cnn",
    "normalized",
    "resnet20",
    "vgg",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg_small",
]


def build(name: str, input_shape: Shape, num_classes: int, *, rng: Seed = None) -> Sequential:
    """Build the architecture with that name, for inputs (H, W, C) and that many classes.

    Raises
        OptionError : no architecture has that name
        ShapeError : the images are too small for it
    """
    if not isinstance(name, str) or name not in MODELS:
        raise OptionError("model", "one of " + ", ".join(MODELS), repr(name), did_you_mean(name, MODELS))
    return MODELS[name](input_shape, num_classes, rng=rng)
