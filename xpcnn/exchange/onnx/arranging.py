"""Layers that put the numbers of an array into another order: as few, and as well known, as there are for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

from ... import nn
from ...typing import Shape
from .value import Axis, Value


def arranged(value: Value, groups: Sequence[Axis]) -> tuple[list[nn.Layer], Value]:
    """Layers after which the array's axes are these groups of parts, and the value that they make."""
    order = tuple(chain(*groups))
    shape = _shape(value, groups)
    place = {part: number for number, part in enumerate(order)}
    axes = tuple(tuple(place[part] for part in axis) for axis in value.axes)
    made = Value(shape, tuple(value.parts[part] for part in order), axes)
    if order == tuple(range(len(order))):
        return _reshaped(value.shape, shape), made._merged()
    layers = _shuffle(value, tuple(groups), order, shape) or _general(value, groups, order, shape)
    return layers, replace(made._merged(), moved=True)


def _shuffle(value: Value, groups: tuple[Axis, ...], order: Axis, shape: Shape) -> list[nn.Layer]:
    """A shuffle of channels or pixels, if it is one."""
    own, (*_, last) = value.own, value.own
    row = (math.prod(shape),)
    if row in (value.shape, shape) and (moved := _rotation(order, tuple(range(len(order))))):
        shuffle = nn.ChannelShuffle(math.prod(value.parts[part] for part in moved))
        return [*_reshaped(value.shape, row), shuffle, *_reshaped(row, shape)]
    if groups[:-1] == own[:-1] and (moved := _rotation(groups[-1], last)):
        return [nn.ChannelShuffle(math.prod(value.parts[part] for part in moved))]
    if len(groups) == len(own) == 3:
        (h, w, c), parts = own, value.parts
        if len(h) == len(w) == 1 and len(c) in (2, 3):
            *rest, a, b = c
            if parts[a] == parts[b] and groups == ((*h, a), (*w, b), tuple(rest)):
                return [nn.PixelShuffle(parts[a])]
        if len(h) == len(w) == 2 and parts[h[1]] == parts[w[1]] and groups == (h[:1], w[:1], (*c, h[1], w[1])):
            return [nn.PixelUnshuffle(parts[h[1]])]
    return []


def _rotation(axis: Axis, own: Axis) -> Axis:
    """The parts that have gone from the beginning of the array's axis to its end; () if it is no rotation."""
    cut = own.index(axis[0]) if axis and sorted(axis) == list(own) else 0
    return own[:cut] if cut and axis == (*own[cut:], *own[:cut]) else ()


def _general(value: Value, groups: Sequence[Axis], order: Axis, shape: Shape) -> list[nn.Layer]:
    """Axes of the array, or parts of them, in another order."""
    begins = {axis[0] for axis in (*value.own, *groups) if axis}
    begins |= {after for part, after in pairwise(order) if after != part + 1}
    begins |= {part + 1 for part, after in pairwise(order) if after != part + 1}
    runs = list[list[int]]()
    for part in order:
        if part in begins or not runs:
            runs.append([])
        runs[-1].append(part)
    before = sorted(runs)
    parts = _shape(value, [tuple(run) for run in before])
    turned = tuple(before.index(run) + 1 for run in runs)
    middle = tuple(parts[axis - 1] for axis in turned)
    return [*_reshaped(value.shape, parts), nn.Permute(turned), *_reshaped(middle, shape)]


def _reshaped(shape: Shape, wanted: Shape) -> list[nn.Layer]:
    if shape == wanted:
        return []
    if len(wanted) == 1:
        return [nn.Flatten()]
    return [nn.Unflatten(wanted) if len(shape) == 1 and len(wanted) in (2, 3) else nn.Reshape(wanted)]


def _shape(value: Value, groups: Sequence[Axis]) -> Shape:
    return tuple(math.prod(value.parts[part] for part in axis) for axis in groups)
