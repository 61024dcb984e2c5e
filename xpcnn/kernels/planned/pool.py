"""Pooling in a plan; equations of `xpcnn.ops.pool` and `xpcnn.ops.global_pool`.

A window's maximum, or sum, is first taken over its rows and then over its columns: KH + KW passes instead of KH·KW.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ops.window import Placement
from ...typing import NDArray
from ..memory import aligned
from .buffer import Buffer
from .step import Call, PlanStep


class Pooling(PlanStep):
    """The step of maximum or average pooling.

    Parameters
        place : of the window
        combine : np.maximum, or np.add for the average
    """

    def __init__(self, place: Placement, combine: np.ufunc) -> None:
        self.place, self.combine = place, combine
        self.is_mean = combine is np.add

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        (kh, kw), (sh, sw), (dh, dw) = self.place.window.kernel, self.place.window.stride, self.place.window.dilation
        (oh, ow), (top, bottom, left, right) = self.place.out, self.place.pads
        c, n, h, w = x.inside.shape
        source = x.inside
        if any(self.place.pads):
            source = aligned((c, n, top + h + bottom, left + w + right), x.inside.dtype)
            source.fill(-np.inf if self.combine is np.maximum else 0)
        inside = source[:, :, top : top + h, left : left + w]
        rows = [source[:, :, u * dh : u * dh + (oh - 1) * sh + 1 : sh] for u in range(kh)]  # (C, N, OH, PW) each
        reduced = aligned(rows[0].shape, x.inside.dtype)
        columns = [reduced[..., v * dw : v * dw + (ow - 1) * sw + 1 : sw] for v in range(kw)]
        passes = [*_passes(self.combine, rows, reduced), *_passes(self.combine, columns, y.inside)]
        mean = self.is_mean and 1 / (kh * kw)

        def run() -> None:
            if source is not x.inside:
                np.copyto(inside, x.inside)
            for operation, operands, out in passes:
                operation(*operands, out=out)
            if mean:
                np.multiply(y.inside, mean, out=y.inside)

        return run


class GlobalMean(PlanStep):
    """The step of global average pooling."""

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        images, means, share = x.inside, y.inside.T, 1 / (x.shape[1] * x.shape[2])

        def run() -> None:
            np.add.reduce(images, axis=(2, 3), out=means)
            np.multiply(means, share, out=means)

        return run


def _passes(combine: np.ufunc, views: list[NDArray], out: NDArray) -> list[tuple[np.ufunc, tuple[Any, ...], NDArray]]:
    """The calls that combine all views in `out`."""
    if len(views) == 1:
        return [(np.positive, (views[0],), out)]
    return [(combine, (views[0], views[1]), out), *((combine, (out, view), out) for view in views[2:])]
