"""A network that takes images in [0, 1] and normalises them itself."""

from __future__ import annotations

from collections.abc import Sequence

from ..nn import Layer, Normalize, Sequential
from ..typing import Array


def normalized(model: Layer, mean: Sequence[float] | Array, std: Sequence[float] | Array) -> Sequential:
    """The network with `Normalize(mean, std)` before its first layer; parameters are shared, not copied.

    Parameters
        model : a network; the numbers in the names of a `Sequential`'s layers increase by one
        mean, std : C numbers each, such as `split.statistics()`
    Raises
        OptionError : they are something else

    >>> from xpcnn.nn import Flatten, Linear
    >>> list(normalized(Sequential(Flatten(), Linear(4, 2)), [0.5], [0.25]).parameters())
    ['2.weight', '2.bias']
    """
    layers = model.children().values() if type(model) is Sequential else (model,)
    return Sequential(Normalize(mean, std), *layers)
