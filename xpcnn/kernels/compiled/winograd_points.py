"""The transforms of Winograd's algorithm F(4, 3) along one axis, for runs of numbers: see `winograd`.

They are the matrices of `xpcnn.kernels.winograd`, with what their rows have in common computed once.
"""

from __future__ import annotations

from typing import Any

from .loop import part, run


@part
def part_of(x: Any, place: int, gap: int, k: int, count: int) -> Any:
    """The k-th of some runs of x, `gap` apart from `place` on."""
    return x[place + k * gap : place + k * gap + count]


@run
def input_points(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any, v0: Any, v1: Any, v2: Any, v3: Any, v4: Any,
                 v5: Any) -> None:  # fmt: skip
    """v = Bᵀd of (1)."""
    number = d0.dtype.type
    two, four, five = number(2), number(4), number(5)
    for k in range(len(v0)):
        even, odd = d4[k] - four * d2[k], d3[k] - four * d1[k]
        even2, odd2 = d4[k] - d2[k], two * (d3[k] - d1[k])
        v0[k] = four * d0[k] - five * d2[k] + d4[k]
        v1[k] = even + odd
        v2[k] = even - odd
        v3[k] = even2 + odd2
        v4[k] = even2 - odd2
        v5[k] = four * d1[k] - five * d3[k] + d5[k]


@run
def outputs(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any, bias: Any, relu: bool, y0: Any, y1: Any, y2: Any,
            y3: Any) -> None:  # fmt: skip
    """y = Aᵀm + b of (1), and with `relu` 0 for negative numbers."""
    number = m0.dtype.type
    zero, two, four, eight = number(0), number(2), number(4), number(8)
    for k in range(len(y0)):
        even, odd, even2, odd2 = m1[k] + m2[k], m1[k] - m2[k], m3[k] + m4[k], m3[k] - m4[k]
        a = m0[k] + even + even2 + bias
        b = odd + two * odd2 + bias
        c = even + four * even2 + bias
        d = odd + eight * odd2 + m5[k] + bias
        y0[k] = zero if relu and a <= 0 else a
        y1[k] = zero if relu and b <= 0 else b
        y2[k] = zero if relu and c <= 0 else c
        y3[k] = zero if relu and d <= 0 else d


@run
def gradient_points(g0: Any, g1: Any, g2: Any, g3: Any, m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> None:
    """m = A dy of (2)."""
    number = g0.dtype.type
    two, four, eight = number(2), number(4), number(8)
    for k in range(len(m0)):
        even, odd = g0[k] + g2[k], g1[k] + g3[k]
        even2, odd2 = g0[k] + four * g2[k], two * g1[k] + eight * g3[k]
        m0[k] = g0[k]
        m1[k] = even + odd
        m2[k] = even - odd
        m3[k] = even2 + odd2
        m4[k] = even2 - odd2
        m5[k] = g3[k]


@run
def kernel_points(w0: Any, w1: Any, w2: Any, u0: Any, u1: Any, u2: Any, u3: Any, u4: Any, u5: Any) -> None:
    """u = G g of (1)."""
    number = w0.dtype.type
    quarter, sixth, twelfth, part24 = number(1 / 4), number(1 / 6), number(1 / 12), number(1 / 24)
    for k in range(len(u0)):
        even, odd = -sixth * (w0[k] + w2[k]), sixth * w1[k]
        even2, odd2 = part24 * w0[k] + sixth * w2[k], twelfth * w1[k]
        u0[k] = quarter * w0[k]
        u1[k] = even - odd
        u2[k] = even + odd
        u3[k] = even2 + odd2
        u4[k] = even2 - odd2
        u5[k] = w2[k]


@run
def taps(t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any, w0: Any, w1: Any, w2: Any) -> None:
    """dg = Gᵀt of (2)."""
    number = t0.dtype.type
    quarter, sixth, twelfth, part24 = number(1 / 4), number(1 / 6), number(1 / 12), number(1 / 24)
    for k in range(len(w0)):
        even, odd, even2, odd2 = t1[k] + t2[k], t1[k] - t2[k], t3[k] + t4[k], t3[k] - t4[k]
        w0[k] = quarter * t0[k] - sixth * even + part24 * even2
        w1[k] = twelfth * odd2 - sixth * odd
        w2[k] = sixth * (even2 - even) + t5[k]
