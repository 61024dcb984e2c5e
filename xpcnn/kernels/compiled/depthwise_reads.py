"""What the taps of a depthwise convolution read: see `depthwise`."""

from __future__ import annotations

from math import lcm
from typing import NamedTuple

from ...ops.window import Window

COST = 25  # of a tap for a number, in multiplications or additions of a matrix product


class Reads(NamedTuple):
    """What the taps read at a position: the kernel, S, D, G and P."""

    kh: int
    kw: int
    step_h: int
    step_w: int
    apart_h: int
    apart_w: int
    gap_h: int
    gap_w: int
    top: int
    left: int
    common: int  # multiple of S·G and D along the height, the least

    @classmethod
    def of(cls, window: Window, top: int, left: int) -> Reads:
        """Those of (1), (2)."""
        (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
        return cls(kh, kw, sh, sw, dh, dw, 1, 1, top, left, lcm(sh, dh))

    @classmethod
    def adjoint(cls, window: Window, top: int, left: int) -> Reads:
        """Those of (4)."""
        (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
        return cls(kh, kw, 1, 1, dh, dw, sh, sw, (kh - 1) * dh - top, (kw - 1) * dw - left, lcm(sh, dh))
