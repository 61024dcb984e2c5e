"""The gradient of a convolution's kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, conv2d_backward, conv2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair, Term
from ..plain import Two, drawn, kernel_gradient, padded, positions


def _right(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> Any:
    w = np.zeros((dy.shape[3], *kernel, x.shape[3]))
    _, cache = conv2d_forward(x, w, window=Window(kernel, stride, padding))
    return conv2d_backward(dy, cache)[1]


def _pair(function: Any, dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> Pair:
    w = drawn(7, dy.shape[3], *kernel, x.shape[3])
    window = Window(kernel, stride, padding)
    return (
        lambda w: conv2d_forward(x, w, window=window),
        lambda dy, cache: [function(dy, x, kernel, stride, padding)],
        {"w": w},
    )


def _terms(
    name: str, index: tuple[int, ...], dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two
) -> list[Term]:
    (f, u, v, c), whole = index, padded(x, padding)
    terms = []
    for n, i, j in np.ndindex(*dy.shape[:3]):
        p, q = i * stride[0] + u, j * stride[1] + v
        text = f"dy[{n},{i},{j},{f}]·x̂[{n},{p},{q},{c}]"
        terms.append(Term(text, dy[n, i, j, f] * whole[n, p, q, c], {"n": n, "i": i, "j": j}))
    return terms


def _case(step: str, x: Two, channels: int, kernel: Two, filters: int, stride: Two, padding: Two, n: int = 1) -> Case:
    dy = drawn(1, n, *positions(x, kernel, stride, padding), filters)
    arguments = {"dy": dy, "x": drawn(0, n, *x, channels), "kernel": kernel, "stride": stride, "padding": padding}
    return Case(step, arguments)


def _cases() -> list[Case]:
    return [
        _case("one channel", (3, 4), 1, (2, 2), 1, (1, 1), (0, 0)),
        _case("several channels, filters and images", (4, 5), 3, (3, 2), 2, (1, 1), (0, 0), n=2),
        _case("stride", (5, 7), 2, (3, 3), 2, (2, 2), (0, 0)),
        _case("padding", (4, 4), 2, (3, 3), 2, (1, 1), (1, 1)),
        _case("height and width differ", (6, 8), 2, (3, 2), 3, (2, 3), (2, 1), n=2),
    ]


def _make(dy: NDArray, x: NDArray, kernel: Two, step: Two, padding: Two) -> NDArray:
    return kernel_gradient(dy, padded(x, padding), kernel, step)


def _last_image(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> NDArray:
    return _make(dy[-1:], x[-1:], kernel, stride, padding)


def _last_position(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> NDArray:
    only = np.zeros_like(dy)
    only[-1, -1, -1] = dy[-1, -1, -1]
    return _make(only, x, kernel, stride, padding)


def _turned(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> NDArray:
    return _make(dy[:, ::-1, ::-1], x, kernel, stride, padding)


def _first_channel(dy: NDArray, x: NDArray, kernel: Two, stride: Two, padding: Two) -> NDArray:
    return _make(dy, 0 * x + x[..., :1], kernel, stride, padding)


EXERCISE = Exercise(
    number=5,
    title="The gradient of the kernel",
    text="""One weight is used at every position of every image. There it is multiplied by the element of x̂
under it, so there it gets dy times this element. Add it all up. (x̂ is x with its padding, as in forward.)""",
    formula="dw[f,u,v,c] = Σ_{n,i,j} dy[n,i,j,f] · x̂[n, i·S₀ + u, j·S₁ + v, c]          (2)",
    hint="""Loop over n, i, j and f as in forward, and take the same window of x̂. Where forward has `y[n, i, j,
f] = np.sum(window * w[f])`, backward has `dw[f] += dy[n, i, j, f] * window`.""",
    code='''import numpy as np


def conv2d_dw(dy, x, kernel, stride, padding):
    """dy (N, OH, OW, Cout), x (N, H, W, Cin), kernel (KH, KW), stride, padding → dw (Cout, KH, KW, Cin)."""
    n_images, oh, ow, n_filters = dy.shape
    kh, kw = kernel
    dw = np.zeros((n_filters, kh, kw, x.shape[3]))
    ...
    return dw
''',
    outputs={"dw": "fuvc"},
    cases=_cases,
    right=_right,
    pair=_pair,
    terms=_terms,
    factors=lambda dy, *_: {"N, the number of images": len(dy), "OH·OW, the number of positions": dy[0, ..., 0].size},
    mistakes=(
        Mistake("the stride were ignored", lambda dy, x, k, s, p: _make(dy, x, k, (1, 1), p)),
        Mistake(
            "the stride of the height were used for both axes", lambda dy, x, k, s, p: _make(dy, x, k, (s[0],) * 2, p)
        ),
        Mistake("the input were left unpadded", lambda dy, x, k, s, p: _make(dy, x, k, s, (0, 0))),
        Mistake(
            "the padding were that of the width on both axes", lambda dy, x, k, s, p: _make(dy, x, k, s, (p[1],) * 2)
        ),
        Mistake("dw were divided by N, the number of images", lambda dy, x, k, s, p: _make(dy, x, k, s, p) / len(dy)),
        Mistake("only the last image were used: assigned, where it should be added", _last_image),
        Mistake("only the last position were used: assigned, where it should be added", _last_position),
        Mistake("dw were turned by 180°", lambda dy, x, k, s, p: _make(dy, x, k, s, p)[:, ::-1, ::-1]),
        Mistake("dy were turned by 180°", _turned),
        Mistake("only the first channel were used", _first_channel),
        Mistake(
            "its axes were (KH, KW, Cin, Cout)",
            lambda dy, x, k, s, p: _make(dy, x, k, s, p).transpose(1, 2, 3, 0),
        ),
    ),
    line=Line("ops.conv", "correlate_dw", (2,), "convolution"),
)
