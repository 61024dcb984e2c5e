"""Convolution of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window
from ...ops import conv2d_forward as library
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Term
from ..plain import Two, correlated, drawn, padded, positions


def _right(x: NDArray, w: NDArray, b: NDArray, stride: Two, padding: Two) -> Any:
    return library(x, w, b, window=Window(w.shape[1:3], stride, padding))[0]


def _terms(
    name: str, index: tuple[int, ...], x: NDArray, w: NDArray, b: NDArray, stride: Two, padding: Two
) -> list[Term]:
    (n, i, j, f), whole = index, padded(x, padding)
    terms = [Term(f"b[{f}]", b[f], {"u": -1, "v": -1, "c": -1})]
    for u, v, c in np.ndindex(*w.shape[1:]):
        p, q = i * stride[0] + u, j * stride[1] + v
        text = f"x̂[{n},{p},{q},{c}]·w[{f},{u},{v},{c}]"
        terms.append(Term(text, whole[n, p, q, c] * w[f, u, v, c], {"u": u, "v": v, "c": c}))
    return terms


def _case(step: str, x: Two, channels: int, kernel: Two, filters: int, stride: Two, padding: Two, n: int = 1) -> Case:
    arrays = {"x": drawn(0, n, *x, channels), "w": drawn(1, filters, *kernel, channels), "b": drawn(2, filters)}
    return Case(step, {**arrays, "stride": stride, "padding": padding})


def _cases() -> list[Case]:
    return [
        _case("one channel", (4, 4), 1, (2, 2), 1, (1, 1), (0, 0)),
        _case("several channels, filters and images", (4, 5), 3, (3, 2), 2, (1, 1), (0, 0), n=2),
        _case("stride", (5, 7), 2, (3, 3), 2, (2, 2), (0, 0)),
        _case("padding", (4, 4), 2, (3, 3), 2, (1, 1), (1, 1)),
        _case("height and width differ", (6, 8), 2, (3, 2), 3, (2, 3), (2, 1), n=2),
    ]


def _make(x: NDArray, w: NDArray, b: NDArray, stride: Two, padding: Two, step: Two | None = None) -> NDArray:
    out = positions(x.shape[1:3], w.shape[1:3], stride, padding)
    return correlated(padded(x, padding), w, out, step or stride) + b


def _first_channel(x: NDArray, w: NDArray, b: NDArray, stride: Two, padding: Two) -> NDArray:
    return _make(x[..., :1], w[..., :1], b, stride, padding)


def _width_alone(x: NDArray, w: NDArray, b: NDArray, stride: Two, padding: Two) -> NDArray:
    return _make(x, w, b, stride, (padding[1],) * 2)


EXERCISE = Exercise(
    number=3,
    title="Convolution, forward",
    text="""The step of the first exercise, at every position of every image, with every filter. x̂ is the image
with its padding: `padding[0]` rows of zeros above and below, `padding[1]` columns left and right. `stride[0]` is
the step along the height, `stride[1]` the one along the width. Begin with loops over n, i, j and f.""",
    formula="y[n,i,j,f] = b[f] + Σ_{u,v,c} x̂[n, i·S₀ + u, j·S₁ + v, c] · w[f,u,v,c]      (1)",
    hint="""`np.pad(x, ((0, 0), (p0, p0), (p1, p1), (0, 0)))` makes x̂. The window at (i, j) begins at row i·S₀
and column j·S₁ of it, and has the kernel's size. Only then take it times `w[f]`, as in the first exercise.""",
    code='''import numpy as np


def conv2d_forward(x, w, b, stride, padding):
    """x (N, H, W, Cin), w (Cout, KH, KW, Cin), b (Cout,), stride and padding (height, width) → y (N, OH, OW, Cout)."""
    n_images, height, width, _ = x.shape
    n_filters, kh, kw, _ = w.shape
    oh = (height + 2 * padding[0] - kh) // stride[0] + 1
    ow = (width + 2 * padding[1] - kw) // stride[1] + 1
    y = np.zeros((n_images, oh, ow, n_filters))
    ...
    return y
''',
    outputs={"y": "nijf"},
    cases=_cases,
    right=_right,
    mistakes=(
        Mistake("the stride were ignored", lambda x, w, b, s, p: _make(x, w, b, s, p, step=(1, 1))),
        Mistake("the stride were ignored", lambda x, w, b, s, p: _make(x, w, b, (1, 1), p)),
        Mistake(
            "the stride of the height were used for both axes", lambda x, w, b, s, p: _make(x, w, b, (s[0],) * 2, p)
        ),
        Mistake(
            "the stride of the width were used for both axes", lambda x, w, b, s, p: _make(x, w, b, (s[1],) * 2, p)
        ),
        Mistake("the padding were ignored", lambda x, w, b, s, p: _make(x, w, b, s, (0, 0))),
        Mistake("the padding were that of the width on both axes", _width_alone),
        Mistake("the bias were added at every tap", lambda x, w, b, s, p: _make(x, w, b * w[0].size, s, p)),
        Mistake("the bias were forgotten", lambda x, w, b, s, p: _make(x, w, 0 * b, s, p)),
        Mistake("the kernel were turned by 180°", lambda x, w, b, s, p: _make(x, w[:, ::-1, ::-1], b, s, p)),
        Mistake("only the first channel were used", _first_channel),
        Mistake(
            "every image were the first", lambda x, w, b, s, p: 0 * _make(x, w, b, s, p) + _make(x[:1], w, b, s, p)
        ),
    ),
    line=Line("ops.conv", "correlate", (1,), "convolution"),
    terms=_terms,
    example="""image = np.array([[1.0, 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]])[None, :, :, None]
kernel = np.array([[1.0, -1], [1, -1]])[None, :, :, None]
conv2d_forward(image, kernel, np.zeros(1), (1, 1), (0, 0))[0, :, :, 0]  # [[1, -1, 2], [1, -1, 2], [1, -2, 2]]""",
)
