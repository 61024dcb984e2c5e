"""The layout of a layer's arrays in another program's file.

Ours are `Conv2d` (Cout, KH, KW, Cin/groups), `ConvTranspose2d` (Cin, KH, KW, Cout/groups), those of sequences without
KH, `Linear` (out, in), and vectors. Another program's array is ours with its axes permuted, and sometimes with permuted
rows or columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..nn import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Layer
from ..typing import NDArray, Shape

CONVOLUTIONS = (Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d)


@dataclass(frozen=True, eq=False)
class Layout:
    """The steps that turn our array into theirs: reshape it, permute its axes, permute its rows and columns.

    Parameters
        own : our shape
        split : the shape to which ours is reshaped first; of the same size
        axes : for each of their axes, the axis of the reshaped array
        columns, rows : for each index of our last and first axis, the index in theirs; None if they are the same

    >>> Layout.moved((8, 3, 3, 4), (0, 3, 1, 2)).shape
    (8, 4, 3, 3)
    """

    own: Shape
    split: Shape
    axes: tuple[int, ...]
    columns: NDArray | None = None
    rows: NDArray | None = None

    @classmethod
    def same(cls, shape: Shape, columns: NDArray | None = None, rows: NDArray | None = None) -> Self:
        """Theirs is ours, except for the order of the columns and rows."""
        return cls(shape, shape, tuple(range(len(shape))), columns, rows)

    @classmethod
    def moved(cls, shape: Shape, axes: tuple[int, ...]) -> Self:
        """Theirs has our axes in another order."""
        return cls(shape, shape, axes)

    @property
    def shape(self) -> Shape:
        """The shape of theirs."""
        return tuple(self.split[axis] for axis in self.axes)

    def theirs(self, array: NDArray) -> NDArray:
        """Their array, from ours."""
        moved = array.reshape(self.split).transpose(self.axes)
        moved = moved if self.columns is None else moved[..., np.argsort(self.columns)]
        return moved if self.rows is None else moved[np.argsort(self.rows)]

    def ours(self, array: NDArray) -> NDArray:
        """Our array, from theirs."""
        moved = array if self.columns is None else array[..., self.columns]
        moved = moved if self.rows is None else moved[self.rows]
        return moved.transpose(np.argsort(self.axes)).reshape(self.own)


@dataclass(frozen=True, eq=False)
class Part:
    """A layer with its own arrays, as in another program's file.

    Parameters
        name : the layer's dotted name in the network
        file_name : its default name in a file
        arrays : our dotted name of each array, by the array's name in the file's layer
        layouts : their layouts there; several if the program has several kinds of this layer
    """

    name: str
    file_name: str
    arrays: Mapping[str, str]
    layouts: tuple[Mapping[str, Layout], ...]


def own_arrays(model: Layer) -> list[tuple[str, Layer, dict[str, Shape]]]:
    """Each layer that has its own arrays: dotted name, layer, and the shapes of its arrays."""
    found: dict[str, tuple[str, Layer, dict[str, Shape]]] = {}
    for full, layer, key in model.named_arrays(buffers=True):
        name = full.removesuffix(key).removesuffix(".")
        found.setdefault(name, (name, layer, {}))[2][key] = tuple(getattr(layer, key).shape)
    return list(found.values())
