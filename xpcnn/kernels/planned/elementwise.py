"""Steps of a plan that treat each number by itself, or move numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...typing import NDArray
from .buffer import Buffer
from .step import Call, NotPlanned, PlanStep

RELU = 0.0, math.inf


class Rectifier(PlanStep):
    """The step of ReLU and its relatives: y = min(max(x, low), high).

    Parameters
        limits : low and high
    """

    in_place = True

    def __init__(self, limits: tuple[float, float] = RELU) -> None:
        self.limits = limits

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        a, b = (x.rows, y.rows) if x.margin == y.margin else (x.inside, y.inside)
        low, high = (np.full(a.shape[-1], each, a.dtype) for each in self.limits)  # arrays are faster than numbers
        if self.limits == RELU:
            return lambda: np.maximum(a, low, out=b)
        return lambda: np.clip(a, low, high, out=b)


class Affine(PlanStep):
    """The step of a batch norm: y = s x + b′, with an s and a b′ for each channel.

    Parameters
        affine : returns s and b′, (C,) each
    """

    in_place = True

    def __init__(self, affine: Callable[[], tuple[NDArray, NDArray]]) -> None:
        self.affine = affine

    def frozen(self) -> Affine:
        scale, shift = (each.copy() for each in self.affine())
        return Affine(lambda: (scale, shift))

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        a, b = x.inside, y.inside
        shape = (-1, 1, 1, 1) if x.is_images else (-1,)

        def run() -> None:
            scale, shift = self.affine()
            np.multiply(a, scale.reshape(shape), out=b)
            np.add(b, shift.reshape(shape), out=b)

        return run


class Elementwise(PlanStep):
    """The step of any function of single numbers, of arrays in any order of axes."""

    in_place = True

    def __init__(self, function: Callable[[NDArray], NDArray]) -> None:
        self.function = function

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        a, b = x.inside, y.inside
        return lambda: np.copyto(b, self.function(a))


class Join(PlanStep):
    """The step of a join: y = x₁ ∘ x₂ ∘ …, with broadcasting."""

    def __init__(self, combine: np.ufunc) -> None:
        self.combine = combine

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        plain = all(x.shape == y.shape and x.margin == y.margin for x in reads)
        first, second, *rest, out = (each.rows if plain else each.inside for each in (*reads, y))

        def run() -> None:
            self.combine(first, second, out=out)
            for each in rest:
                self.combine(out, each, out=out)

        return run


class Concatenation(PlanStep):
    """The step of a concatenation along the channels."""

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        channels = y.inside if y.is_images else np.moveaxis(y.inside, -1, 0)
        parts, start = [], 0
        for x in reads:
            part = x.inside if x.is_images else np.moveaxis(x.inside, -1, 0)
            parts.append((channels[start : start + len(part)], part))
            start += len(part)

        def run() -> None:
            for out, part in parts:
                np.copyto(out, part)

        return run


class ZeroPadding(PlanStep):
    """The step of zero padding.

    Parameters
        before : zeros before the first number along each axis of an item
    """

    def __init__(self, before: Sequence[int]) -> None:
        self.before = before

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        place = tuple(slice(b, b + size) for b, size in zip((0, *self.before), x.shape, strict=True))
        part = y.inside.transpose(1, 2, 3, 0)[place].transpose(3, 0, 1, 2) if y.is_images else y.inside[place]

        def run() -> None:
            y.inside.fill(0)
            np.copyto(part, x.inside)

        return run


class Flattening(PlanStep):
    """The step of `Flatten`."""

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        images = x.inside.transpose(1, 2, 3, 0) if x.is_images else x.inside
        out = y.inside.reshape(images.shape)
        return lambda: np.copyto(out, images)


class AsItIs(PlanStep):
    """The step of a layer that says nothing of plans: it runs as it does outside."""

    def __init__(self, layer: Callable[..., NDArray]) -> None:
        self.layer = layer

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:

        def run() -> None:
            values = tuple(each.value() for each in reads)
            value = self.layer(values if len(values) > 1 else values[0])
            if not isinstance(value, np.ndarray) or value.shape != y.shape or value.dtype != y.inside.dtype:
                raise NotPlanned  # such as the mean of a batch
            y.fill(value)

        return run
