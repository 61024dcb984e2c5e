"""The gradient of average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, avg_pool2d_backward, avg_pool2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair, Term
from ..plain import Two, drawn, places, positions


def _right(dy: NDArray, size: Two, kernel: Two, stride: Two) -> Any:
    x = np.zeros((len(dy), *size, dy.shape[3]))
    return avg_pool2d_backward(dy, avg_pool2d_forward(x, window=Window(kernel, stride))[1])


def _pair(function: Any, dy: NDArray, size: Two, kernel: Two, stride: Two) -> Pair:
    return (
        lambda x: avg_pool2d_forward(x, window=Window(kernel, stride)),
        lambda dy, cache: [function(dy, size, kernel, stride)],
        {"x": drawn(7, len(dy), *size, dy.shape[3])},
    )


def _terms(name: str, index: tuple[int, ...], dy: NDArray, size: Two, kernel: Two, stride: Two) -> list[Term]:
    (n, p, q, c), taps = index, kernel[0] * kernel[1]
    return [
        Term(f"dy[{n},{i},{j},{c}]/{taps}", dy[n, i, j, c] / taps, {"i": i, "j": j})
        for i, j in np.ndindex(*dy.shape[1:3])
        if 0 <= p - i * stride[0] < kernel[0] and 0 <= q - j * stride[1] < kernel[1]
    ]


def _case(step: str, size: Two, channels: int, kernel: Two, stride: Two, n: int = 1) -> Case:
    dy = drawn(1, n, *positions(size, kernel, stride), channels)
    return Case(step, {"dy": dy, "size": size, "kernel": kernel, "stride": stride})


def _cases() -> list[Case]:
    return [
        _case("one channel", (4, 4), 1, (2, 2), (2, 2)),
        _case("several channels and images", (4, 6), 3, (2, 3), (2, 3), n=2),
        _case("overlapping windows", (5, 5), 2, (3, 3), (1, 1)),
        _case("height and width differ, a rest at the end", (6, 8), 2, (3, 2), (2, 3), n=2),
    ]


def _make(dy: NDArray, size: Two, kernel: Two, step: Two, divisor: float | None = None, *, add: bool = True) -> NDArray:
    dx = np.zeros((len(dy), *size, dy.shape[3]))
    for i, j, window in places(dy.shape[1:3], kernel, step):
        part = dy[:, i : i + 1, j : j + 1] / (divisor or kernel[0] * kernel[1])
        dx[window] = dx[window] + part if add else part
    return dx


EXERCISE = Exercise(
    number=8,
    title="Average pooling, backward",
    text="""The output of a window is the mean of its KH·KW elements. So each of them gets an equal part of dy.
Where windows overlap, the parts add up; an element that no window covers gets 0.""",
    formula="dx[n,p,q,c] = Σ_{i,j} dy[n,i,j,c] / (KH·KW)   over the windows that cover (p, q)      (5)",
    hint="`dx[n, i*s0 : i*s0 + kh, j*s1 : j*s1 + kw, c] += dy[n, i, j, c] / (kh * kw)`, for each n, i, j and c.",
    code='''import numpy as np


def avg_pool_backward(dy, size, kernel, stride):
    """dy (N, OH, OW, C), size (H, W) of x, kernel (KH, KW), stride (height, width) → dx (N, H, W, C)."""
    n_images, oh, ow, channels = dy.shape
    dx = np.zeros((n_images, size[0], size[1], channels))
    ...
    return dx
''',
    outputs={"dx": "npqc"},
    cases=_cases,
    right=_right,
    pair=_pair,
    terms=_terms,
    factors=lambda dy, size, kernel, stride: {"KH·KW, the number of taps": kernel[0] * kernel[1]},
    mistakes=(
        Mistake("the stride were ignored", lambda dy, z, k, s: _make(dy, z, k, (1, 1))),
        Mistake("the stride of the height were used for both axes", lambda dy, z, k, s: _make(dy, z, k, (s[0],) * 2)),
        Mistake("dy were not divided by KH·KW, the number of taps", lambda dy, z, k, s: _make(dy, z, k, s, 1.0)),
        Mistake("dy were divided by KH, not by KH·KW", lambda dy, z, k, s: _make(dy, z, k, s, k[0])),
        Mistake("dy were divided by the stride's S₀·S₁", lambda dy, z, k, s: _make(dy, z, k, s, s[0] * s[1])),
        Mistake("dy were divided by H·W, the whole image", lambda dy, z, k, s: _make(dy, z, k, s, z[0] * z[1])),
        Mistake(
            "overlapping windows were assigned, where they should be added",
            lambda dy, z, k, s: _make(dy, z, k, s, add=False),
        ),
    ),
    line=Line("ops.pool", "avg_pool2d_backward", (5,), "pooling"),
)
