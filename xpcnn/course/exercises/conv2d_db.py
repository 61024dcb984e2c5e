"""The gradient of a convolution's bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, conv2d_backward, conv2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair, Term
from ..plain import drawn


def _right(dy: NDArray) -> Any:
    _, cache = conv2d_forward(np.zeros((*dy.shape[:3], 1)), *_ones(dy), window=Window(1))
    return conv2d_backward(dy, cache)[2]


def _ones(dy: NDArray) -> tuple[NDArray, NDArray]:
    return np.ones((dy.shape[3], 1, 1, 1)), np.ones(dy.shape[3])


def _pair(function: Any, dy: NDArray) -> Pair:
    x, (w, b) = drawn(5, *dy.shape[:3], 1), _ones(dy)
    return lambda b: conv2d_forward(x, w, b, window=Window(1)), lambda dy, cache: [function(dy)], {"b": b}


def _terms(name: str, index: tuple[int, ...], dy: NDArray) -> list[Term]:
    (f,) = index
    return [
        Term(f"dy[{n},{i},{j},{f}]", dy[n, i, j, f], {"n": n, "i": i, "j": j}) for n, i, j in np.ndindex(*dy.shape[:3])
    ]


EXERCISE = Exercise(
    number=4,
    title="The gradient of the bias",
    text="""dy is ∂L/∂y: how much the loss changes with each output. The bias of filter f is added once to every
output of this filter, so all of them pass it their dy.""",
    formula="db[f] = Σ_{n,i,j} dy[n,i,j,f]                                               (3)",
    hint="""A sum over the first three axes: `axis=(0, 1, 2)`. A loss that is a mean has divided by N already, in
its dy.""",
    code='''import numpy as np


def conv2d_db(dy):
    """dy (N, OH, OW, Cout) → db (Cout,)."""
    db = ...
    return db
''',
    outputs={"db": "f"},
    cases=lambda: [
        Case("one filter", {"dy": drawn(0, 1, 2, 3, 1)}),
        Case("several filters", {"dy": drawn(1, 1, 3, 2, 4)}),
        Case("several images", {"dy": drawn(2, 3, 2, 4, 2)}),
    ],
    right=_right,
    pair=_pair,
    terms=_terms,
    factors=lambda dy: {"N, the number of images": len(dy), "OH·OW, the number of positions": dy[0, ..., 0].size},
    mistakes=(
        Mistake("db were divided by N, the number of images", lambda dy: dy.sum((0, 1, 2)) / len(dy)),
        Mistake("dy were averaged instead of added up", lambda dy: dy.mean((0, 1, 2))),
        Mistake("only the first image were used", lambda dy: dy[0].sum((0, 1))),
        Mistake("only the last image were used: assigned, where it should be added", lambda dy: dy[-1].sum((0, 1))),
        Mistake("the sum did not go over the images", lambda dy: dy.sum((1, 2))),
        Mistake("the sum went over the filters, too", lambda dy: dy.sum()),
        Mistake("the shape were (1, 1, 1, Cout)", lambda dy: dy.sum((0, 1, 2), keepdims=True)),
    ),
    line=Line("ops.conv", "conv2d_backward", (3,), "convolution"),
)
