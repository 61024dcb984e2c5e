"""What is known of one value of an ONNX graph: its shape, the order of its axes and numbers, and what makes it.

The graph's axes may stand in any order; the layers' are channels last. A value knows which is which, so that
`Transpose` moves nothing and a channels-first network becomes a channels-last one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...errors import FormatError
from ...nn import Layer
from ...typing import Shape


def channels_first(rank: int) -> tuple[int, ...]:
    """The axes of items in a graph whose channels come first."""
    return (rank - 1, *range(rank - 1))


@dataclass(frozen=True)
class Value:
    """One item of a batch.

    Parameters
        shape : as the layers have it, without the batch axis and channels last
        axes : for each axis of the item in the graph, which axis of `shape` that is
        image : of a row whose numbers stand in another order than the layers', the image that it was
    """

    shape: Shape
    axes: tuple[int, ...]
    image: Value | None = None

    @property
    def sizes(self) -> Shape:
        """The item's shape in the graph."""
        return tuple(self.shape[axis] for axis in self.axes)

    @property
    def size(self) -> tuple[int, int]:
        """Of images, (H, W); of sequences, those of images of height 1."""
        height, width = (1, *self.shape[:-1])[-2:]
        return height, width

    @property
    def channel_axis(self) -> int:
        """Where the layers' last axis stands in the graph, the batch axis counted."""
        return self.axes.index(len(self.shape) - 1) + 1

    def with_sizes(self, sizes: Shape) -> Value | None:
        """The same numbers with these sizes in the graph, if axes of length 1 alone change their places."""
        first, last = channels_first(len(self.shape)), tuple(range(len(self.shape)))
        for axes in (first, last):
            long = [[axis for axis in each if self.shape[axis] > 1] for each in (self.axes, axes)]
            if long[0] == long[1] and tuple(self.shape[axis] for axis in axes) == sizes:
                return Value(self.shape, axes, self.image)
        return None

    def as_row(self) -> Value:
        """The row that these numbers are, one after the other."""
        long = [axis for axis in self.axes if self.shape[axis] > 1]
        return Value((math.prod(self.shape),), (0,), None if long == sorted(long) else self)

    def columns(self) -> Any:
        """For each place in the layers' row, its place in the graph's: an index for weights."""
        if self.image is None:
            return slice(None)
        places = np.arange(math.prod(self.shape)).reshape(self.image.sizes)
        return places.transpose(np.argsort(self.image.axes)).ravel()


@dataclass(frozen=True)
class Made:
    """A value that a layer makes.

    Parameters
        value : what is made
        inputs : names of the values that it is made of
        layer : makes it of them; None where nothing is computed
    """

    value: Value
    inputs: tuple[str, ...]
    layer: Layer | None = None


@dataclass(frozen=True)
class Reshaped:
    """A value on the way from one shape to another, of which no layer but another reshaping can make anything.

    Only a row with three axes is images, for layers that take it as it is; see `GraphState.unflattened`.

    Parameters
        root : the name of the value that it was
        sizes : the item's shape in the graph, before its axes are turned
        normalized : the ε of the normalisation along the last axis that it has been through
        perm : how its axes were turned afterwards, the batch's among them; () if they were not
    """

    root: str
    sizes: Shape
    normalized: float | None = None
    perm: tuple[int, ...] = ()

    @property
    def turned(self) -> Shape:
        """The item's shape in the graph, once its axes have been turned."""
        return tuple(self.sizes[axis - 1] for axis in self.perm[1:]) or self.sizes


Known: TypeAlias = Made | Reshaped | FormatError  # an error: why it is no layer by itself; it may be part of one
