"""What is known of each named architecture: its paper, its images, its size.

A record stands beside each architecture, as a decorator. Sizes are computed from the network itself.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from ..errors import OptionError
from ..io.extent import multiply_adds
from ..nn import Layer
from ..nn.init import stand_ins
from ..options import did_you_mean
from ..typing import Shape

Make = TypeVar("Make", bound=Callable[..., Layer])


@dataclass(frozen=True)
class Preprocessing:
    """How images are prepared for the weights that torchvision publishes: resized, cropped, (x − mean) / std.

    Parameters
        resize : length of the shorter side, in pixels
        crop : side of the square that is cut out of the middle, in pixels; None for the whole image
        mean, std : of each channel, for x in [0, 1]

    >>> print(Preprocessing(256, 224))
    shorter side 256, the 224×224 in the middle, mean (0.485, 0.456, 0.406), deviation (0.229, 0.224, 0.225)
    """

    resize: int
    crop: int | None = None
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of ImageNet
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __str__(self) -> str:
        cut = f", the {self.crop}×{self.crop} in the middle" if self.crop else ""
        return f"shorter side {self.resize}{cut}, mean {self.mean}, deviation {self.std}"


IMAGENET = Preprocessing(256, 224)
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # for weights from TensorFlow: torchvision rescales ImageNet's to them


@dataclass(frozen=True)
class Facts:
    """What is known of an architecture.

    Parameters
        name : in `models.MODELS`
        paper : authors, year and address; "" if there is none
        input_shape, num_classes : by default
        preprocessing : None if torchvision has no weights
        parameters : trained numbers, for the default images and classes
        multiply_adds : of one image in inference

    >>> facts = facts_of("lenet5")
    >>> facts.input_shape, facts.num_classes, facts.parameters
    ((28, 28, 1), 10, 61706)
    """

    name: str
    paper: str
    input_shape: Shape
    num_classes: int
    preprocessing: Preprocessing | None
    parameters: int
    multiply_adds: int

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """Lines for people."""
        size = "×".join(map(str, self.input_shape))
        lines = [
            f"{self.name}: {self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds an image {size}, "
            f"{self.num_classes} classes"
        ]
        lines += [f"paper: {self.paper}"] if self.paper else []
        lines += [f"images for torchvision's weights: {self.preprocessing}"] if self.preprocessing else []
        return "\n".join(lines)


@dataclass(frozen=True)
class _Record:
    make: Callable[..., Layer]
    paper: str
    preprocessing: Preprocessing | None


_records: dict[str, _Record] = {}
RECORDS: Mapping[str, _Record] = MappingProxyType(_records)


def architecture(paper: str = "", preprocessing: Preprocessing | None = None) -> Callable[[Make], Make]:
    """Decorate a function (input_shape, num_classes, *, rng) → network with what cannot be computed."""

    def register(make: Make) -> Make:
        _records[make.__name__] = _Record(make, paper, preprocessing)
        return make

    return register


def check_name(name: str) -> None:
    """Raise an error unless there is an architecture of that name.

    Raises
        OptionError : there is none
    """
    if not isinstance(name, str) or name not in RECORDS:
        raise OptionError("model", "one of " + ", ".join(RECORDS), repr(name), did_you_mean(name, RECORDS))


def defaults(name: str) -> tuple[Shape, int]:
    """The images (H, W, C) and the number of classes that an architecture has by default; mlp's are MNIST's.

    Raises
        OptionError : no architecture has that name

    >>> defaults("lenet5")
    ((28, 28, 1), 10)
    """
    check_name(name)
    given = inspect.signature(RECORDS[name].make).parameters
    shape, classes = (given[key].default for key in ("input_shape", "num_classes"))
    return ((28, 28, 1), 10) if shape is inspect.Parameter.empty else (shape, classes)


def facts_of(name: str) -> Facts:
    """The facts of the architecture with that name; its weights are not drawn, and it does not run.

    Raises
        OptionError : no architecture has that name

    >>> print(facts_of("lenet5"))
    lenet5: 61,706 parameters, 416,520 multiply-adds an image 28×28×1, 10 classes
    paper: LeCun et al. 1998, https://doi.org/10.1109/5.726791
    """
    shape, classes = defaults(name)
    record = RECORDS[name]
    with stand_ins():
        model = record.make(shape, classes, rng=0)
    number = sum(math.prod(array.shape) for array in model.parameters().values())
    return Facts(name, record.paper, shape, classes, record.preprocessing, number, multiply_adds(model, shape))
