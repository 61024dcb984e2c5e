"""Random changes of the training images, from which a network learns to ignore what does not matter.

    loader = Loader(split, 64, shuffle=True, augment=augment.parse("flip,crop:4"))

An augmentation is a callable (x, y, rng) → (x, y) on a batch: x (N, H, W, C) floats, y the labels or targets,
rng the host's generator, with separate draws for each image. What moves pixels also moves the mask or image to learn,
by the same draw; light and hidden parts leave it as it is. It uses the library of its arguments, writes into none
of them, and gives the same images on every backend for the same state of rng. Any such function is an augmentation.
"""

from .base import Augment, Augmentation, Motion
from .compose import Compose, forms, parse, takes_device_arrays
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
    "Motion",
    "Rotate",
    "Shift",
    "forms",
    "parse",
    "takes_device_arrays",
]
