"""Texts of kernels that go over windows: the geometry that they take, and the positions of a thread.

The output (i, j) reads x at (i·S + u·D − P, j·S + v·D − P) for each tap (u, v). So the outputs that read (p, q) are,
for each tap, i = (p + P − u·D) / S, where that is a whole number, and j likewise.
"""

from __future__ import annotations

from ...ops.window import Placement
from .kernel import Array

GEOMETRY = (
    "index h, index w, index ch, index oh, index ow, index kh, index kw, index sh, index sw, index dh, index dw, "
    "index ph, index pw"
)
OUTPUT = "index c = i % ch, oj = i / ch % ow, oi = i / ch / ow % oh, n = i / ch / ow / oh;"  # of a thread for each y
ELEMENT = "index c = i % ch, q = i / ch % w, p = i / ch / w % h, n = i / ch / w / h;"  # of a thread for each dx


def over_readers(add: str, start: str = "0") -> str:
    """What a thread for an element of dx does: `add` to its sum for each output (n, oi, oj) and tap that reads it."""
    return f"""
    {ELEMENT}
    T sum = {start};
    for (index u = 0; u < kh; ++u) {{
        index oi = (p + ph - u * dh) / sh;
        if (p + ph - u * dh < 0 || (p + ph - u * dh) % sh || oi >= oh) continue;
        for (index v = 0; v < kw; ++v) {{
            index oj = (q + pw - v * dw) / sw;
            if (q + pw - v * dw < 0 || (q + pw - v * dw) % sw || oj >= ow) continue;
            {add}
        }}
    }}
    dx[i] = sum;
    """


def geometry(x: Array, place: Placement) -> tuple[int, ...]:
    """The numbers of GEOMETRY, for images x (N, H, W, C)."""
    window = place.window
    return (
        *x.shape[1:], *place.out, *window.kernel, *window.stride, *window.dilation, place.pads[0], place.pads[2]
    )  # fmt: skip
