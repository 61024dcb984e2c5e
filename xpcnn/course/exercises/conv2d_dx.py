"""The gradient of a convolution's input."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, conv2d_backward, conv2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair, Term
from ..plain import Two, correlated, cut, drawn, padded, positions, spread, with_padding


def _right(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> Any:
    x = np.zeros((len(dy), *size, w.shape[3]))
    _, cache = conv2d_forward(x, w, window=Window(w.shape[1:3], stride, padding))
    return conv2d_backward(dy, cache)[0]


def _pair(function: Any, dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> Pair:
    window = Window(w.shape[1:3], stride, padding)
    return (
        lambda x: conv2d_forward(x, w, window=window),
        lambda dy, cache: [function(dy, w, size, stride, padding)],
        {"x": drawn(7, len(dy), *size, w.shape[3])},
    )


def _terms(
    name: str, index: tuple[int, ...], dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two
) -> list[Term]:
    n, p, q, c = index[0], index[1] + padding[0], index[2] + padding[1], index[3]
    terms = []
    for i, j, f in np.ndindex(*dy.shape[1:]):
        u, v = p - i * stride[0], q - j * stride[1]
        if 0 <= u < w.shape[1] and 0 <= v < w.shape[2]:
            text = f"dy[{n},{i},{j},{f}]·w[{f},{u},{v},{c}]"
            terms.append(Term(text, dy[n, i, j, f] * w[f, u, v, c], {"i": i, "j": j, "f": f}))
    return terms


def _case(step: str, x: Two, channels: int, kernel: Two, filters: int, stride: Two, padding: Two, n: int = 1) -> Case:
    dy, w = drawn(1, n, *positions(x, kernel, stride, padding), filters), drawn(0, filters, *kernel, channels)
    return Case(step, {"dy": dy, "w": w, "size": x, "stride": stride, "padding": padding})


def _cases() -> list[Case]:
    return [
        _case("one channel", (3, 4), 1, (2, 2), 1, (1, 1), (0, 0)),
        _case("several channels, filters and images", (4, 5), 3, (3, 2), 2, (1, 1), (0, 0), n=2),
        _case("stride", (5, 7), 2, (3, 3), 2, (2, 2), (0, 0)),
        _case("padding", (4, 4), 2, (3, 3), 2, (1, 1), (1, 1)),
        _case("height and width differ", (6, 8), 2, (3, 2), 3, (2, 3), (2, 1), n=2),
    ]


def _make(dy: NDArray, w: NDArray, size: Two, step: Two, padding: Two, *, add: bool = True) -> NDArray:
    return cut(spread(dy, w, with_padding(size, padding), step, add=add), size, padding)


def _last_filter(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    return _make(dy[..., -1:], w[-1:], size, stride, padding)


def _assigned_in_loops(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    return _make(dy[..., -1:], w[-1:], size, stride, padding, add=False)


def _minus_pad(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    (ph, pw), dx = padding, spread(dy, w, with_padding(size, padding), stride)
    return dx[:, ph:-ph, pw:-pw]


def _minus_pad_assigned(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    dx = np.zeros((len(dy), *size, w.shape[3]))
    dx[...] = _minus_pad(dy, w, size, stride, padding)
    return dx


def _left_padded(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    return spread(dy, w, with_padding(size, padding), stride)


def _cut_at_the_end(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    return _left_padded(dy, w, size, stride, padding)[:, : size[0], : size[1]]


def _width_alone(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    return cut(spread(dy, w, with_padding(size, padding), stride), size, (padding[1],) * 2)


def _full_from_the_width(dy: NDArray, w: NDArray, size: Two, stride: Two, padding: Two) -> NDArray:
    """The textbooks' way: zeros between the elements of dy, as many around it as the width asks for, w turned."""
    n, oh, ow, filters = dy.shape
    wide = np.zeros((n, (oh - 1) * stride[0] + 1, (ow - 1) * stride[1] + 1, filters))
    wide[:, :: stride[0], :: stride[1]] = dy
    around = (size[1] + w.shape[2] - 1 - wide.shape[2]) // 2
    return correlated(padded(wide, (around, around)), w[:, ::-1, ::-1].transpose(3, 1, 2, 0), size, (1, 1))


EXERCISE = Exercise(
    number=6,
    title="The gradient of the input",
    text="""An element of x̂ is read by every window that covers it, each time with another tap. In forward, tap
(u, v) at position (i, j) *reads* row i·S₀ + u and column j·S₁ + v; in backward, it *adds* dy·w there. Add to an
array of x̂'s size, and cut off the padding at the end.""",
    formula="""dx̂[n,p,q,c] = Σ dy[n,i,j,f] · w[f,u,v,c]   over all f, i, j, u, v with
                                           i·S₀ + u = p and j·S₁ + v = q       (4)""",
    hint="""Loop over n, i, j and f as in forward. Where forward has `y[n, i, j, f] = np.sum(window * w[f])`,
backward has `window += dy[n, i, j, f] * w[f]`, on a window of dx̂. Then `dx̂[:, p0 : p0 + H, p1 : p1 + W]`, which
is right for a padding of 0, too. (The textbooks' way, for stride 1: pad dy by K − 1 zeros, and convolve it with the
kernel turned by 180°.)""",
    code='''import numpy as np


def conv2d_dx(dy, w, size, stride, padding):
    """dy (N, OH, OW, Cout), w (Cout, KH, KW, Cin), size (H, W) of x, stride, padding → dx (N, H, W, Cin)."""
    n_images, oh, ow, n_filters = dy.shape
    _, kh, kw, channels = w.shape
    height, width = size
    dx_padded = np.zeros((n_images, height + 2 * padding[0], width + 2 * padding[1], channels))
    ...
    dx = ...
    return dx
''',
    outputs={"dx": "npqc"},
    cases=_cases,
    right=_right,
    pair=_pair,
    terms=_terms,
    factors=lambda dy, w, *_: {"N, the number of images": len(dy), "KH·KW, the number of taps": w[0, ..., 0].size},
    mistakes=(
        Mistake("the stride were ignored", lambda dy, w, z, s, p: _make(dy, w, z, (1, 1), p)),
        Mistake(
            "the stride of the height were used for both axes", lambda dy, w, z, s, p: _make(dy, w, z, (s[0],) * 2, p)
        ),
        Mistake("the kernel were not turned", lambda dy, w, z, s, p: _make(dy, w[:, ::-1, ::-1], z, s, p)),
        Mistake(
            "overlapping windows were assigned, where they should be added",
            lambda dy, w, z, s, p: _make(dy, w, z, s, p, add=False),
        ),
        Mistake("overlapping windows were assigned, where they should be added", _assigned_in_loops),
        Mistake("only the last filter were used: assigned, where it should be added", _last_filter),
        Mistake("the padding were cut off by pad:-pad, which is empty for a padding of 0", _minus_pad),
        Mistake("the padding were cut off by pad:-pad, which is empty for a padding of 0", _minus_pad_assigned),
        Mistake("the zeros around dy were counted from the width alone", _full_from_the_width),
        Mistake("the padding were not cut off", _left_padded),
        Mistake("the padding were cut off at the end only", _cut_at_the_end),
        Mistake("the padding of the width were cut off on both axes", _width_alone),
    ),
    line=Line("ops.conv", "correlate_dx", (4,), "convolution"),
)
