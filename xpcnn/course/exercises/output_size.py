"""The number of positions of a window."""

from __future__ import annotations

import numpy as np

from ...ops import Window
from ..exercise import Case, Exercise, Line, Mistake


def _right(size: int, kernel: int, stride: int, padding: int) -> int:
    return Window((kernel, 1), (stride, 1), (padding, 0)).place(size, 1).out[0]


def _case(step: str, size: int, kernel: int, stride: int = 1, padding: int = 0) -> Case:
    return Case(step, {"size": size, "kernel": kernel, "stride": stride, "padding": padding})


def _cases() -> list[Case]:
    return [
        _case("stride 1", 5, 3),
        _case("a larger image", 28, 5),
        _case("padding", 5, 3, padding=1),
        _case("stride 2", 5, 3, stride=2),
        _case("stride and padding", 5, 3, stride=2, padding=1),
        _case("a rest at the end", 6, 3, stride=2),
        _case("a large stride", 10, 1, stride=4, padding=2),
    ]


EXERCISE = Exercise(
    number=2,
    title="How many positions a window has",
    text="""A kernel slides along an axis of the image that has `padding` zeros at each end, `stride` elements at
a time. At how many positions does it fit? If a rest shorter than the stride is left at the end, it is not used.""",
    formula="O = ⌊(L + 2·P − K) / S⌋ + 1                                                 (1)",
    hint="""`//` divides and rounds down; `/` makes a float. The first position needs no step: hence the + 1 at
the end.""",
    code='''def output_size(size, kernel, stride, padding):
    """size, kernel, stride, padding: integers, of one axis → the number of positions, an integer."""
    positions = ...
    return positions
''',
    outputs={"positions": ""},
    cases=_cases,
    right=_right,
    mistakes=(
        Mistake("the size were divided by the stride, whatever the kernel", lambda L, K, S, P: L // S),
        Mistake("the + 1 were forgotten", lambda L, K, S, P: (L + 2 * P - K) // S),
        Mistake("the padding were at one end only", lambda L, K, S, P: (L + P - K) // S + 1),
        Mistake("the padding were ignored", lambda L, K, S, P: (L - K) // S + 1),
        Mistake("the stride were ignored", lambda L, K, S, P: L + 2 * P - K + 1),
        Mistake("/ divided where // should: the rest is not left out", lambda L, K, S, P: (L + 2 * P - K) / S + 1),
        Mistake("it were rounded up", lambda L, K, S, P: int(np.ceil((L + 2 * P - K) / S)) + 1),
        Mistake("the 1 were added before the division", lambda L, K, S, P: (L + 2 * P - K + 1) // S),
    ),
    line=Line("ops.window", "_place", (1,), "convolution"),
    example="output_size(5, 3, 2, 1)  # 3",
)
