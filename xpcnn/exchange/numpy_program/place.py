"""Where a layer stands in a program, and the table of what each layer becomes there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...typing import NDArray, Shape

_PLAIN = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Place:
    """A place in a network whose layer becomes a line of a program.

    Parameters
        arrays : the program's, by name; lines add those that they need
        weights : the first dotted name that the layer has in the network, with a dot
        x : the expression of what goes in;  several for a join
        shape, out : one item's, of what goes in and of what comes out
        dtype : of the network
    """

    arrays: dict[str, NDArray]
    weights: str
    x: Any
    shape: Any
    out: Shape
    dtype: str

    def array(self, key: str, numbers: Any) -> str:
        """The expression of an array of the layer, which is written beside the program."""
        name = f"{self.weights}{key}"
        self.arrays[name] = np.ascontiguousarray(to_numpy(numbers), self.dtype)
        return f'W["{name}"]' if _PLAIN.fullmatch(name) else f"W[{name!r}]"

    def call(self, function: str, *arguments: object, **options: object) -> str:
        """A call of a function; what is None is left out."""
        words = [str(each) for each in arguments if each is not None]
        words += [f"{name}={value}" for name, value in options.items() if value is not None]
        return f"{function}({BREAK}{f', {BREAK}'.join(words)})"

    def learned(self, layer: Any) -> dict[str, str]:
        """The layer's own parameters that it has, by name."""
        found = {key: getattr(layer, key) for key in layer.parameter_names}
        return {key: self.array(key, each) for key, each in found.items() if each is not None}


BREAK = "\ue002"  # where a line may be broken; no repr contains it
Writer: TypeAlias = Callable[[Place, Any], str]
WRITERS: dict[type[nn.Layer], Writer] = {}


def writes(*kinds: type[nn.Layer]) -> Callable[[Writer], Writer]:
    """Add a function that gives the expression of these layers."""

    def add(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return add


def inline(text: str) -> Callable[[Place, Any], str]:
    """A writer of one expression, in which {x} is what goes in, and other names are the layer's attributes."""
    return lambda at, layer: text.format(x=at.x, **{name: getattr(layer, name) for name in layer.config_names})
