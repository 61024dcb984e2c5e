"""The gradient of maximum pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, max_pool2d_backward, max_pool2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair, Term
from ..plain import Two, cut, drawn, padded, places, positions


def _right(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> Any:
    return max_pool2d_backward(dy, max_pool2d_forward(x, window=Window(kernel, stride, padding))[1])


def _pair(function: Any, dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> Pair:
    def forward(x: NDArray) -> Any:
        return max_pool2d_forward(x, window=Window(kernel, stride, padding))[0], x

    return forward, lambda dy, x: [function(dy, x, kernel, stride, padding)], {"x": x}


def _with(share: Any, *, step: Any = None, add: bool = True, border: float = -np.inf, whole: bool = False) -> Any:
    """`share` says what part of dy each element of a window gets, from its mask x̂ == max, (N, KH, KW, C)."""

    def function(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> NDArray:
        filled = padded(x, padding, border)
        dx = np.zeros_like(filled)
        for i, j, window in places(dy.shape[1:3], kernel, step(stride) if step else stride):
            part = share(_mask(filled[window])) * dy[:, i : i + 1, j : j + 1]
            kept = dx[window] if add or not whole else 0
            dx[window] = kept + part if add or whole else np.where(part == 0, kept, part)
        return cut(dx, x.shape[1:3], padding)

    return function


def _mask(window: NDArray) -> NDArray:
    mask: NDArray = window == window.max((1, 2), keepdims=True)
    return mask


def _first(mask: NDArray) -> NDArray:
    """The first element of each mask alone."""
    n, kh, kw, c = mask.shape
    flat = mask.reshape(n, kh * kw, c)
    only = np.arange(kh * kw)[:, None] == flat.argmax(1)[:, None]
    first: NDArray = only.reshape(mask.shape)
    return first


def _last(mask: NDArray) -> NDArray:
    return _first(mask[:, ::-1, ::-1])[:, ::-1, ::-1]


def _times_itself(dy: NDArray, x: NDArray, *geometry: Two) -> NDArray:
    dx: NDArray = _with(_first)(dy, x, *geometry) * x
    return dx


def _terms(
    name: str, index: tuple[int, ...], dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two
) -> list[Term]:
    n, p, q, c = index
    filled, terms = padded(x, padding, -np.inf), []
    for i, j, window in places(dy.shape[1:3], kernel, stride):
        u, v = p + padding[0] - i * stride[0], q + padding[1] - j * stride[1]
        if 0 <= u < kernel[0] and 0 <= v < kernel[1] and _first(_mask(filled[window]))[n, u, v, c]:
            terms.append(Term(f"dy[{n},{i},{j},{c}]", dy[n, i, j, c], {"i": i, "j": j}))
    return terms


def _case(step: str, x: NDArray, kernel: Two, stride: Two, padding: Two = (0, 0), *, smooth: bool = True) -> Case:
    dy = drawn(1, len(x), *positions(x.shape[1:3], kernel, stride, padding), x.shape[3])
    return Case(step, {"dy": dy, "x": x, "kernel": kernel, "stride": stride, "padding": padding}, smooth)


def _cases() -> list[Case]:
    ties = np.array([[1.0, 3, 5, 5], [3, 3, 5, 5], [0, 0, 2, 1], [0, 0, 1, 2]])[None, :, :, None]
    return [
        _case("one channel", drawn(0, 1, 4, 4, 1), (2, 2), (2, 2)),
        _case("several channels and images", drawn(2, 2, 4, 6, 3), (2, 3), (2, 3)),
        _case("ties", ties, (2, 2), (2, 2), smooth=False),
        _case("overlapping windows", drawn(3, 1, 5, 5, 2), (3, 3), (1, 1)),
        _case("padding, and all numbers negative", -1 - drawn(5, 1, 4, 4, 2) ** 2, (2, 2), (2, 2), (1, 1)),
        _case("height and width differ, a rest at the end", drawn(4, 2, 6, 8, 2), (3, 2), (2, 3), (1, 0)),
    ]


EXERCISE = Exercise(
    number=7,
    title="Maximum pooling, backward",
    text="""The output of a window is its largest element, and depends on no other: this element gets all of dy.
Of equal maxima the first, row by row, gets all of it. Where windows overlap, an element may win several times,
and then it gets the sum. The padding must never win, so it is −∞, not 0.""",
    formula="dx̂[n,p,q,c] = Σ_{i,j} dy[n,i,j,c]   over the windows whose first maximum is (p, q)     (4)",
    hint="""`np.pad(…, constant_values=-np.inf)` makes x̂. For each n, i, j and c: cut its window out of x̂.
`np.argmax` of it is a number k; the first maximum is in row `k // kw` and column `k % kw` of the window. Add dy
there, with `+=`, to an array of x̂'s size. At the end, cut off the padding.""",
    code='''import numpy as np


def max_pool_backward(dy, x, kernel, stride, padding):
    """dy (N, OH, OW, C), x (N, H, W, C), kernel (KH, KW), stride and padding (height, width) → dx (N, H, W, C)."""
    ...
    dx = ...
    return dx
''',
    outputs={"dx": "npqc"},
    cases=_cases,
    right=_right,
    pair=_pair,
    terms=_terms,
    mistakes=(
        Mistake("the stride were ignored", _with(_first, step=lambda s: (1, 1))),
        Mistake("the stride were ignored", _with(lambda mask: mask, step=lambda s: (1, 1))),
        Mistake("the stride of the height were used for both axes", _with(_first, step=lambda s: (s[0], s[0]))),
        Mistake("tied maxima each got all of dy", _with(lambda mask: mask)),
        Mistake("tied maxima shared dy", _with(lambda mask: mask / mask.sum((1, 2), keepdims=True))),
        Mistake("the last of tied maxima got dy", _with(_last)),
        Mistake("overlapping windows were assigned, where they should be added", _with(_first, add=False)),
        Mistake("overlapping windows were assigned, where they should be added", _with(_first, add=False, whole=True)),
        Mistake("the padding were 0, not −∞", _with(_first, border=0.0)),
        Mistake("every element of the window got dy", _with(lambda mask: np.ones(mask.shape))),
        Mistake("it were average pooling", _with(lambda mask: np.full(mask.shape, 1 / mask[0, ..., 0].size))),
        Mistake("dy were multiplied by the maximum", _times_itself),
    ),
    line=Line("ops.pool", "max_pool2d_backward", (4,), "pooling"),
    example="""x = np.array([[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])[None, :, :, None]
dy = np.array([[1.0, 2], [2, 4]])[None, :, :, None]
max_pool_backward(dy, x, (2, 2), (2, 2), (0, 0))""",
)
