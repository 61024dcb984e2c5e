"""One step of a convolution, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import Window, conv2d_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Term
from ..plain import drawn


def _right(patch: NDArray, w: NDArray, b: float) -> Any:
    y, _ = conv2d_forward(patch[None], w[None], np.array([b]), window=Window(w.shape[:2]))
    return y[0, 0, 0, 0]


def _terms(name: str, index: tuple[int, ...], patch: NDArray, w: NDArray, b: float) -> list[Term]:
    taps = [
        Term(f"patch[{u},{v},{c}]·w[{u},{v},{c}]", float(patch[u, v, c] * w[u, v, c]), {"u": u, "v": v, "c": c})
        for u, v, c in np.ndindex(*w.shape)
    ]
    return [*taps, Term("b", b, {"u": -1, "v": -1, "c": -1})]


def _cases() -> list[Case]:
    image = np.array([[1.0, 0], [1, 1]])[:, :, None]
    kernel = np.array([[1.0, -1], [1, -1]])[:, :, None]
    return [
        Case("the 4×4 image's first window", {"patch": image, "w": kernel, "b": 0.0}),
        Case("a bias", {"patch": drawn(0, 2, 3, 1), "w": drawn(1, 2, 3, 1), "b": 0.5}),
        Case("several channels", {"patch": drawn(2, 3, 3, 4), "w": drawn(3, 3, 3, 4), "b": -0.25}),
    ]


EXERCISE = Exercise(
    number=1,
    title="One step of a convolution",
    text="""A kernel lies on a patch of the image of its own size. Multiply the numbers that lie on each other,
add up the products, and add the bias once.""",
    formula="y = b + Σ_{u,v,c} patch[u,v,c] · w[u,v,c]                                  (1)",
    hint="`patch * w` multiplies element by element, and `np.sum` adds all of it up. The bias is not in the sum.",
    code='''import numpy as np


def one_step(patch, w, b):
    """patch (KH, KW, C), w (KH, KW, C), b a number → y, a number."""
    y = ...
    return y
''',
    outputs={"y": ""},
    cases=_cases,
    right=_right,
    mistakes=(
        Mistake("the bias were added at every tap", lambda patch, w, b: np.sum(patch * w + b)),
        Mistake("the bias were forgotten", lambda patch, w, b: np.sum(patch * w)),
        Mistake("the kernel were turned by 180°", lambda patch, w, b: np.sum(patch * w[::-1, ::-1]) + b),
        Mistake("only the first channel were used", lambda patch, w, b: np.sum(patch[..., 0] * w[..., 0]) + b),
        Mistake("the products were averaged instead of added up", lambda patch, w, b: np.mean(patch * w) + b),
        Mistake("the sums of patch and kernel were multiplied", lambda patch, w, b: np.sum(patch) * np.sum(w) + b),
    ),
    line=Line("ops.conv", "correlate", (1,), "convolution"),
    terms=_terms,
    example="""patch = np.array([[1.0, 0], [1, 1]])[:, :, None]
w = np.array([[1.0, -1], [1, -1]])[:, :, None]
one_step(patch, w, 0.0)  # 1·1 + 0·(−1) + 1·1 + 1·(−1) = 1""",
)
