"""Random window geometries for hypothesis: every combination that the arguments allow and the image admits."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import assume
from hypothesis import strategies as st

from xpcnn.ops.window import Window

Pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@dataclass(frozen=True)
class Geometry:
    """A window over images; all pairs are (height, width)."""

    images: int
    size: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int]


@st.composite
def geometries(draw: st.DrawFn, *, most_padding: int = 3) -> Geometry:
    """Kernels 1–3, strides 1–3, dilations 1–3, four independent paddings, odd sizes, a batch of one to three."""
    kernel, stride, dilation = draw(Pairs), draw(Pairs), draw(Pairs)
    pads = draw(st.tuples(*[st.integers(0, most_padding)] * 4))
    size = []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        least = max(1, reach - pads[2 * axis] - pads[2 * axis + 1])
        size.append(draw(st.integers(least, least + 4)))
    return Geometry(
        draw(st.integers(1, 3)), (size[0], size[1]), draw(st.integers(1, 3)), kernel, stride, pads, dilation
    )


def window_of(g: Geometry, ceil: bool) -> Window:
    """The window, for an example in which it is over an element of the image everywhere."""
    window = Window(g.kernel, g.stride, g.pads, g.dilation, ceil)
    assume(window.place(*g.size).covered)
    return window
