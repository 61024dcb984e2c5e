"""Maximum pooling of a part of a batch, with windows that tile the image; equations of `xpcnn.kernels.max_pool`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...ops.window import Placement
from ...typing import NDArray
from ..pool_pieces import tiled
from .step import Call, PartStep, Scratch, Values


class MaxPooling(PartStep):
    """The step of `MaxPool2d`.

    Parameters
        place : of its windows, at most 256 taps
    """

    def __init__(self, layer: Any, place: Placement) -> None:
        super().__init__(layer)
        self.place = place

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        x, y, dy, dx, *_ = values
        (kh, kw), (oh, ow) = self.place.window.kernel, self.place.out
        taps = [x[u : oh * kh : kh, v : ow * kw : kw] for u in range(kh) for v in range(kw)]  # (OH, OW, C, n) each
        if values.infers:
            return partial(_largest, taps, y), lambda: None
        winner = np.empty(y.shape, np.uint8)
        wins, numbered = (scratch.array(name, y.shape, np.uint8) for name in ("first", "second"))
        numbers = np.arange(kh * kw, dtype=np.uint8).reshape(kh, 1, kw, 1)  # (KH, 1, KW, 1)

        def forward() -> None:
            np.copyto(winner, 0)
            np.copyto(y, taps[0])
            for number, tap in enumerate(taps[1:], 1):
                np.greater(tap, y, out=wins.view(bool))
                np.multiply(wins, np.uint8(number), out=numbered)
                np.maximum(winner, numbered, out=winner)  # (2)
                np.maximum(y, tap, out=y)  # (1)

        if dx is None:
            return forward, lambda: None
        runs = dx.reshape(*dx.shape[:2], -1)  # (H, W, Cn)
        bits = np.dtype(f"i{dx.itemsize}")
        out: Any = tiled(runs, self.place)  # (OH, KH, OW, KW, Cn)
        ones = scratch.array("first", out.shape, bool)
        gradient = dy.reshape(oh, 1, ow, 1, -1).view(bits)
        winners = winner.reshape(oh, 1, ow, 1, -1)

        def backward() -> None:
            tiled(runs, self.place)
            np.equal(winners, numbers, out=ones)
            np.negative(ones.view(np.int8), out=ones.view(np.int8))  # all bits, as in `max_pool._mask`
            np.bitwise_and(gradient, ones.view(np.int8), out=out.view(bits))  # (4)

        return forward, backward


def _largest(taps: list[NDArray], y: NDArray) -> None:
    np.maximum(taps[0], taps[-1], out=y)
    for tap in taps[1:-1]:
        np.maximum(y, tap, out=y)  # (1)
