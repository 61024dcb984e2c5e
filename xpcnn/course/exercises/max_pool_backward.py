"""The gradient of maximum pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, max_pool2d_backward, max_pool2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair, Term
from ..plain import Two, drawn, places, positions


def _right(dy: NDArray, x: NDArray, kernel: Two, stride: Two) -> Any:
    return max_pool2d_backward(dy, max_pool2d_forward(x, window=Window(kernel, stride))[1])


def _pair(function: Any, dy: NDArray, x: NDArray, kernel: Two, stride: Two) -> Pair:
    def forward(x: NDArray) -> Any:
        return max_pool2d_forward(x, window=Window(kernel, stride))[0], x

    return forward, lambda dy, x: [function(dy, x, kernel, stride)], {"x": x}


def _make(dy: NDArray, x: NDArray, kernel: Two, step: Two, share: Any, *, add: bool = True) -> NDArray:
    """`share` says what part of dy each element of a window gets, from its mask x == max, (N, KH, KW, C)."""
    dx = np.zeros_like(x)
    for i, j, window in places(dy.shape[1:3], kernel, step):
        part = share(x[window] == x[window].max((1, 2), keepdims=True)) * dy[:, i : i + 1, j : j + 1]
        dx[window] = dx[window] + part if add else np.where(part == 0, dx[window], part)
    return dx


def _first(mask: NDArray) -> NDArray:
    """The first element of each mask alone."""
    n, kh, kw, c = mask.shape
    flat = mask.reshape(n, kh * kw, c)
    only = np.arange(kh * kw)[:, None] == flat.argmax(1)[:, None]
    first: NDArray = only.reshape(mask.shape)
    return first


def _assigned_windows(dy: NDArray, x: NDArray, kernel: Two, stride: Two) -> NDArray:
    dx = np.zeros_like(x)
    for i, j, window in places(dy.shape[1:3], kernel, stride):
        dx[window] = _first(x[window] == x[window].max((1, 2), keepdims=True)) * dy[:, i : i + 1, j : j + 1]
    return dx


def _terms(name: str, index: tuple[int, ...], dy: NDArray, x: NDArray, kernel: Two, stride: Two) -> list[Term]:
    n, p, q, c = index
    terms = []
    for i, j, window in places(dy.shape[1:3], kernel, stride):
        u, v = p - i * stride[0], q - j * stride[1]
        if (
            0 <= u < kernel[0]
            and 0 <= v < kernel[1]
            and _first(x[window] == x[window].max((1, 2), keepdims=True))[n, u, v, c]
        ):
            terms.append(Term(f"dy[{n},{i},{j},{c}]", dy[n, i, j, c], {"i": i, "j": j}))
    return terms


def _case(step: str, x: NDArray, kernel: Two, stride: Two, smooth: bool = True) -> Case:
    dy = drawn(1, len(x), *positions(x.shape[1:3], kernel, stride), x.shape[3])
    return Case(step, {"dy": dy, "x": x, "kernel": kernel, "stride": stride}, smooth)


def _cases() -> list[Case]:
    ties = np.array([[1.0, 3, 5, 5], [3, 3, 5, 5], [0, 0, 2, 1], [0, 0, 1, 2]])[None, :, :, None]
    return [
        _case("one channel", drawn(0, 1, 4, 4, 1), (2, 2), (2, 2)),
        _case("several channels and images", drawn(2, 2, 4, 6, 3), (2, 3), (2, 3)),
        _case("ties", ties, (2, 2), (2, 2), smooth=False),
        _case("overlapping windows", drawn(3, 1, 5, 5, 2), (3, 3), (1, 1)),
        _case("height and width differ, a rest at the end", drawn(4, 2, 6, 8, 2), (3, 2), (2, 3)),
    ]


EXERCISE = Exercise(
    number=7,
    title="Maximum pooling, backward",
    text="""The output of a window is its largest element, and depends on no other: this element gets all of dy.
Of equal maxima the first, row by row, gets all of it. Where windows overlap, an element may win several times, and
then it gets the sum.""",
    formula="dx[n,p,q,c] = Σ_{i,j} dy[n,i,j,c]   over the windows whose first maximum is (p, q)      (4)",
    hint="""For each n, i, j and c: cut out the window `x[n, i*s0 : i*s0 + kh, j*s1 : j*s1 + kw, c]`. `np.argmax`
of it is a number k; the first maximum is in row `k // kw` and column `k % kw` of the window. Add dy there, with
`+=`.""",
    code='''import numpy as np


def max_pool_backward(dy, x, kernel, stride):
    """dy (N, OH, OW, C), x (N, H, W, C), kernel (KH, KW), stride (height, width) → dx (N, H, W, C)."""
    dx = np.zeros_like(x)
    ...
    return dx
''',
    outputs={"dx": "npqc"},
    cases=_cases,
    right=_right,
    pair=_pair,
    terms=_terms,
    mistakes=(
        Mistake("the stride were ignored", lambda dy, x, k, s: _make(dy, x, k, (1, 1), _first)),
        Mistake("the stride were ignored", lambda dy, x, k, s: _make(dy, x, k, (1, 1), lambda m: m)),
        Mistake(
            "the stride of the height were used for both axes", lambda dy, x, k, s: _make(dy, x, k, (s[0],) * 2, _first)
        ),
        Mistake("tied maxima each got all of dy", lambda dy, x, k, s: _make(dy, x, k, s, lambda m: m)),
        Mistake(
            "tied maxima shared dy",
            lambda dy, x, k, s: _make(dy, x, k, s, lambda m: m / m.sum((1, 2), keepdims=True)),
        ),
        Mistake(
            "the last of tied maxima got dy",
            lambda dy, x, k, s: _make(dy, x, k, s, lambda m: _first(m[:, ::-1, ::-1])[:, ::-1, ::-1]),
        ),
        Mistake(
            "overlapping windows were assigned, where they should be added",
            lambda dy, x, k, s: _make(dy, x, k, s, _first, add=False),
        ),
        Mistake("overlapping windows were assigned, where they should be added", _assigned_windows),
        Mistake(
            "every element of the window got dy", lambda dy, x, k, s: _make(dy, x, k, s, lambda m: np.ones(m.shape))
        ),
        Mistake(
            "it were average pooling",
            lambda dy, x, k, s: _make(dy, x, k, s, lambda m: np.full(m.shape, 1 / (k[0] * k[1]))),
        ),
        Mistake(
            "the maximum were passed on times its own value",
            lambda dy, x, k, s: _make(dy, x, k, s, _first) * x,
        ),
    ),
    line=Line("ops.pool", "max_pool2d_backward", (4,), "pooling"),
    example="""x = np.array([[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])[None, :, :, None]
dy = np.array([[1.0, 2], [2, 4]])[None, :, :, None]
max_pool_backward(dy, x, (2, 2), (2, 2))[0, :, :, 0]""",
)
