"""A convolution that one makes fast."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...ops import Window, conv2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Function, Line, Mistake, Unfinished
from ..plain import correlated, drawn, positions

_FASTER = 5.0  # than the loops over positions and filters
_ROUNDS = 3


def _right(x: NDArray, w: NDArray) -> Any:
    return conv2d_forward(x, w, window=Window(w.shape[1:3]))[0]


def _slow(x: NDArray, w: NDArray) -> NDArray:
    n_images, height, width, _ = x.shape
    n_filters, kh, kw, _ = w.shape
    y = np.zeros((n_images, height - kh + 1, width - kw + 1, n_filters))
    for n, i, j, f in np.ndindex(*y.shape):
        y[n, i, j, f] = np.sum(x[n, i : i + kh, j : j + kw] * w[f])
    return y


def _cases() -> list[Case]:
    return [
        Case("one channel", {"x": drawn(0, 1, 5, 5, 1), "w": drawn(1, 1, 3, 3, 1)}),
        Case("several channels, filters and images", {"x": drawn(2, 3, 6, 7, 4), "w": drawn(3, 5, 3, 2, 4)}),
    ]


def _seconds(function: Function, *arguments: Any) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - started)
    return min(times)


def _afterwards(function: Function, seconds: float) -> str:
    x, w = drawn(0, 2, 12, 12, 8), drawn(1, 16, 3, 3, 8)
    mine, slow, library = (_seconds(each, x, w) for each in (function, _slow, _right))
    told = f"{1000 * mine:.3g} ms; the loops {1000 * slow:.3g} ms, the library {1000 * library:.3g} ms"
    if mine * _FASTER > slow:
        raise Unfinished(f"right, but not yet {_FASTER:.0f} times as fast as the loops: {told}")
    return told


def _columns(order: str, turn: bool = False) -> Function:
    def function(x: NDArray, w: NDArray) -> NDArray:
        windows = sliding_window_view(x, w.shape[1:3], (1, 2))  # (N, OH, OW, C, KH, KW)
        columns = (windows if order == "cuv" else windows.transpose(0, 1, 2, 4, 5, 3)).reshape(*windows.shape[:3], -1)
        kernel = w[:, ::-1, ::-1] if turn else w
        y: NDArray = columns @ kernel.reshape(len(w), -1).T
        return y

    return function


EXERCISE = Exercise(
    number=16,
    title="A convolution that you make fast",
    text="""Convolution again, with stride 1 and no padding or bias, and this time it should be at least 5 times
as fast as loops over n, i, j and f. Python is slow, and a matrix product is fast: find a form of the same sum with
few, large products. One way is a loop over the taps (u, v) alone; another copies every window into a row of a
matrix ("im2col").""",
    formula="""y[n,i,j,f] = Σ_{u,v} ( Σ_c x[n,i+u,j+v,c] · w[f,u,v,c] )                                 (1)
           = Σ_{(u,v,c)} cols[(n,i,j), (u,v,c)] · w[f, (u,v,c)]""",
    hint="""For one tap, all positions read one slice `x[:, u : u + oh, v : v + ow]`, (N, OH, OW, C). Its product
with `w[:, u, v, :].T`, (C, Cout), is one `@`. Add up KH·KW of these.""",
    code='''import numpy as np


def fast_conv2d(x, w):
    """x (N, H, W, Cin), w (Cout, KH, KW, Cin) → y (N, H − KH + 1, W − KW + 1, Cout)."""
    n_images, height, width, _ = x.shape
    n_filters, kh, kw, _ = w.shape
    y = ...
    return y
''',
    outputs={"y": "nijf"},
    cases=_cases,
    right=_right,
    mistakes=(
        Mistake("the columns were in the order (c,u,v), and the kernel in (u,v,c)", _columns("cuv")),
        Mistake("the kernel were turned by 180°", _columns("uvc", turn=True)),
        Mistake(
            "only the last tap were used: assigned, where it should be added",
            lambda x, w: x[:, w.shape[1] - 1 :, w.shape[2] - 1 :] @ w[:, -1, -1].T,
        ),
        Mistake(
            "only the first channel were used",
            lambda x, w: correlated(x[..., :1], w[..., :1], positions(x.shape[1:3], w.shape[1:3], (1, 1)), (1, 1)),
        ),
    ),
    line=Line("kernels.im2col", "_correlate", (1,), "fast_convolution"),
    afterwards=_afterwards,
    seconds=60.0,
)
