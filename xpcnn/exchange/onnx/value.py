"""What is known of one value of an ONNX graph: the layers' array that it is, and the graph's axes as parts of it.

Layers are channels last, and a graph's axes may stand in any order, be divided, and be put together. What only moves
axes is no layer: the value's axes are written down as parts of the array that is there already. Where a layer needs
the numbers in an order that the array does not have, `arranging` puts them into it.

    an image (C, H, W) of the graph     array (H, W, C), parts H W C        axes ((2,), (0,), (1,))
    flattened                           the same array                      axes ((2, 0, 1),)
    its channels in g groups            array (H, W, C), parts H W g C/g    axes ((2,), (3,), (0,), (1,))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TypeAlias

import numpy as np

from ...errors import FormatError
from ...nn import Layer
from ...typing import NDArray, Shape

Axis: TypeAlias = tuple[int, ...]  # numbers of parts, of which the first varies slowest; () is an axis of length 1


@dataclass(frozen=True)
class Value:
    """One item of a batch.

    Parameters
        shape : of the layers' array
        parts : lengths above 1 whose products, in this order, are the lengths of the array's axes
        axes : the graph's
        moved : whether a layer has needed its axes in this order, which is not the network's own
    """

    shape: Shape
    parts: Shape
    axes: tuple[Axis, ...]
    moved: bool = False

    @classmethod
    def plain(cls, shape: Shape, order: Sequence[int]) -> Value:
        """Each of the graph's axes is an axis of the array: `order` says which; others are of length 1."""
        long = [axis for axis, size in enumerate(shape) if size > 1]
        axes = tuple((long.index(axis),) if axis in long else () for axis in order)
        return cls(tuple(shape), tuple(shape[axis] for axis in long), axes)

    @property
    def sizes(self) -> Shape:
        """The item's shape in the graph."""
        return tuple(math.prod(self.parts[part] for part in axis) for axis in self.axes)

    @property
    def size(self) -> tuple[int, int]:
        """Of images, (H, W); of sequences, those of images of height 1."""
        height, width = (1, *self.shape[:-1])[-2:]
        return height, width

    @property
    def own(self) -> tuple[Axis, ...]:
        """The array's axes."""
        axes, at = list[Axis](), 0
        for size in self.shape:
            begin, length = at, 1
            while length < size:
                length *= self.parts[at]
                at += 1
            axes.append(tuple(range(begin, at)))
        return tuple(axes)

    def with_sizes(self, sizes: Shape) -> Value | None:
        """The same numbers with these sizes in the graph; None where a part cannot be divided like that."""
        flat = replace(self, axes=(tuple(chain(*self.axes)),))
        ends = [0]
        for size in sizes:
            end = ends[-1]
            while size > 1:
                part = flat.axes[0][end]
                length = flat.parts[part]
                if size % length and length % size:
                    return None
                if length > size:
                    flat = flat._divided(part, size)
                size //= min(length, size)
                end += 1
            ends.append(end)
        axes = tuple(flat.axes[0][begin:end] for begin, end in pairwise(ends))
        return replace(flat, axes=axes)._merged()

    def turned(self, perm: Sequence[int]) -> Value:
        """The graph's axes in another order, the batch's among them."""
        return replace(self, axes=tuple(self.axes[axis - 1] for axis in perm[1:]))

    def replaced(self, own: int, size: int, axis: int) -> Value:
        """With another length of that axis of the array, which is that one of the graph's."""
        gone = self.own[own]
        first = gone[0] if gone else sum(map(len, self.own[:own]))
        added, shift = int(size > 1), int(size > 1) - len(gone)
        axes = [tuple(part + shift if part >= first else part for part in each) for each in self.axes]
        axes[axis] = (first,) if added else ()
        parts = (*self.parts[:first], *[size] * added, *self.parts[first + len(gone) :])
        return replace(self, shape=(*self.shape[:own], size, *self.shape[own + 1 :]), parts=parts, axes=tuple(axes))

    def without(self, own: Sequence[int], *, keep: bool) -> Value:
        """Without what is along these axes of the array, which are left with length 1, or not."""
        gone = {part for axis in own for part in self.own[axis]}
        place = {
            part: number for number, part in enumerate(part for part in range(len(self.parts)) if part not in gone)
        }
        shape = tuple(1 if axis in own else size for axis, size in enumerate(self.shape) if keep or axis not in own)
        axes = tuple(tuple(place[part] for part in axis if part not in gone) for axis in self.axes)
        return replace(self, shape=shape, parts=tuple(self.parts[part] for part in place), axes=axes)

    def spread(self, array: NDArray) -> NDArray | None:
        """An array that the graph broadcasts over items, with the axes of the layers'; None where it does not fit."""
        sizes = (1, *self.sizes)
        shape = (*(1,) * (len(sizes) - array.ndim), *array.shape)
        if len(shape) > len(sizes) or any(n not in (1, size) for n, size in zip(shape, sizes, strict=True)):
            return None
        fine = [
            1 if n == 1 else self.parts[part] for n, axis in zip(shape[1:], self.axes, strict=True) for part in axis
        ]
        order = np.argsort(list(chain(*self.axes)))
        fine_array = array.reshape(fine).transpose(order) if fine else array.reshape(())
        wide = [
            self.parts[part] if any(fine_array.shape[each] > 1 for each in axis) else 1
            for axis in self.own
            for part in axis
        ]  # an axis of the array of which only a part varies is whole
        spread: NDArray = np.broadcast_to(fine_array, wide).reshape(
            [math.prod(wide[part] for part in axis) for axis in self.own]
        )
        return spread

    def _divided(self, part: int, first: int) -> Value:
        """With that part as two, of which the first has that length."""
        axes = [
            tuple(chain(*((each, each + 1) if each == part else (each + (each > part),) for each in axis)))
            for axis in self.axes
        ]
        parts = (*self.parts[:part], first, self.parts[part] // first, *self.parts[part + 1 :])
        return replace(self, parts=parts, axes=tuple(axes))

    def _merged(self) -> Value:
        """With parts that are neighbours in the array and in the graph as one."""
        owner = {part: number for number, axis in enumerate(self.own) for part in axis}
        for axis in self.axes:
            for part, after in pairwise(axis):
                if after == part + 1 and owner[part] == owner[after]:
                    axes = [tuple(p - (p > part) for p in each if p != after) for each in self.axes]
                    length = self.parts[part] * self.parts[after]
                    parts = (*self.parts[:part], length, *self.parts[after + 1 :])
                    return replace(self, parts=parts, axes=tuple(axes))._merged()
        return self


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


Known: TypeAlias = Made | FormatError  # an error: why it is no layer by itself; it may be part of one
