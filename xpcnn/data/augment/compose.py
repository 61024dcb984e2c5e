"""Several augmentations in sequence, also written as a line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import OptionError
from ...typing import Array
from .base import Augment
from .cutout import Cutout
from .flip import Flip
from .light import Brightness, Contrast
from .mixup import Mixup
from .rotate import Rotate
from .shift import Crop, Shift

# each word, and what its number means; None: it has no number
_WORDS: dict[str, tuple[Callable[..., Augment], str | None]] = {
    "flip": (Flip, None),
    "vflip": (lambda: Flip(horizontal=False, vertical=True), None),
    "shift": (Shift, "PIXELS"),
    "crop": (Crop, "PADDING"),
    "rotate": (Rotate, "DEGREES"),
    "brightness": (Brightness, "AMOUNT"),
    "contrast": (Contrast, "AMOUNT"),
    "cutout": (Cutout, "SIZE"),
    "mixup": (Mixup, "ALPHA"),
}


class Compose:
    """Applies augmentations in sequence, with one generator for all.

    Parameters
        steps : callables (x, y, rng) → (x, y)
    Raises
        OptionError

    >>> Compose(Flip(), Crop(4))
    Compose(Flip(horizontal=True, vertical=False, p=0.5), Crop(padding=4))
    """

    def __init__(self, *steps: Augment) -> None:
        for step in steps:
            if isinstance(step, type) or not callable(step):
                raise OptionError("Compose", "augmentations, such as Flip()", repr(step))
        self.steps = steps
        self.clips = any(getattr(step, "clips", False) for step in steps)  # see `Augmentation`

    def __call__(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        for step in self.steps:
            x, y = step(x, y, rng)
        return x, y

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"


def takes_device_arrays(augmentation: Any) -> bool:
    """True for augmentations of this package, which draw the same numbers and make the same images on a device.

    A function of one's own may need NumPy's arrays.

    >>> takes_device_arrays(parse("flip,crop:4")), takes_device_arrays(lambda x, y, rng: (x, y))
    (True, False)
    """
    if type(augmentation) is Compose:
        return all(map(takes_device_arrays, augmentation.steps))
    return type(augmentation).__module__.rpartition(".")[0] == __package__


def forms() -> tuple[str, ...]:
    """The forms that `parse` accepts: flip, vflip, shift:PIXELS …

    >>> ", ".join(forms()[:4])
    'flip, vflip, shift:PIXELS, crop:PADDING'
    """
    return tuple(word if number is None else f"{word}:{number}" for word, (_, number) in _WORDS.items())


def parse(text: str, num_classes: int | None = None, *, ignore_index: int | None = None) -> Compose:
    """The augmentations that a line of text names, in the order of the text.

    Parameters
        text : words separated by commas, such as "flip,crop:4,rotate:15,mixup:0.2"; see `forms`
        num_classes : for mixup, unless the labels are the targets of a regression
        ignore_index : for masks, the class of what comes from outside; see `Motion`
    Raises
        OptionError : names the word that is wrong

    >>> parse("flip,crop:4")
    Compose(Flip(horizontal=True, vertical=False, p=0.5), Crop(padding=4))
    """
    if not isinstance(text, str):
        raise OptionError("augment", "text, such as 'flip,crop:4'", repr(text))
    return Compose(*(_step(word.strip(), num_classes, ignore_index) for word in text.split(",")))


def _step(word: str, num_classes: int | None, ignore_index: int | None) -> Augment:
    name, colon, number = word.partition(":")
    if name not in _WORDS:
        raise OptionError("augment", "words among " + ", ".join(forms()), repr(word))
    make, wanted = _WORDS[name]
    if bool(colon) != bool(wanted):
        raise OptionError("augment", name + (f":{wanted}" if wanted else " without a number"), repr(word))
    arguments: list[Any] = [_number(number)] if wanted else []
    if make is Mixup:
        arguments.append(num_classes)
    options = {"ignore_index": ignore_index} if make in (Crop, Rotate, Shift) else {}
    try:
        return make(*arguments, **options)
    except OptionError as error:
        raise OptionError("augment", error.expected, repr(word)) from None


def _number(text: str) -> int | float | str:
    """The number; other text stays text, which no augmentation accepts."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
