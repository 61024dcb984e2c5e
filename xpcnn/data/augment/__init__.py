"""Random changes of the training images, from which a network learns what does not matter.

    loader = Loader(split, 64, shuffle=True, augment=augment.parse("flip,crop:4"))

An augmentation is a callable (x, y, rng) → (x, y) on a batch: x (N, H, W, C) floats, y the labels or targets,
rng the host's generator, from which each image gets draws of its own. It follows the arrays that it is given, writes
into none of them, and for one state of rng gives the same images on every backend. Your own is any such function.
"""

from .base import Augment, Augmentation
from .compose import Compose, forms, parse
from .cutout import Cutout
from .flip import Flip
from .light import Brightness, Contrast
from .mixup import Mixup
from .rotate import Rotate
from .shift import Crop, Shift

__all__ = [
    "Augment",
    "Augmentation",
    "Brightness",
    "Compose",
    "Contrast",
    "Crop",
    "Cutout",
    "Flip",
    "Mixup",
    "Rotate",
    "Shift",
    "forms",
    "parse",
]
