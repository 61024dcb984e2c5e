"""eˣ and its relatives for compiled loops, as polynomials, of which the processor computes several numbers at once.

With n = round(x / log 2) and r = x − n log 2, which is at most ½ log 2,

    eˣ = 2ⁿ (1 + q),   eˣ − 1 = 2ⁿ q + (2ⁿ − 1),   q = eʳ − 1 = r + r²/2! + … + r¹³/13!           (1)
    tanh |x| = −m / (m + 2),   m = e^(−2|x|) − 1                                                  (2)
    log v = 2 (s + s³/3 + … + s²¹/21),   s = (v − 1) / (v + 1)               1/√2 ≤ v ≤ √2        (3)
    log(1 + u) = log 2 + log((1 + u) / 2)                                    √2 − 1 < u ≤ 1       (4)

The sums end where a further term is below the last digit of float64. In (1), log 2 is taken in two parts, of which the
first has so few digits that n times it is exact: so r has all its digits. Errors are at most 3 units in the last place
(the tests compare with NumPy). Without numba these are functions of NumPy's numbers.

Source: W. Cody and W. Waite, Software manual for the elementary functions, 1980, chapters 5, 6 and 13   → (1) to (4)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .loop import exact, external

LOG2_FIRST, LOG2_REST = 0.693359375, -2.1219444005469057e-4
LOG2, PER_LOG2 = math.log(2), 1 / math.log(2)
NEAR_1 = math.sqrt(2) - 1
EXPONENTIAL = tuple(1 / math.factorial(k) for k in range(13, 1, -1))
LOGARITHM = tuple(1 / k for k in range(21, 1, -2))
FAR = 746.0  # beyond ±746, eˣ is 0 or infinite in float64, too


def _by_bits(numba: Any, number: str) -> Any:
    """2ⁿ has n and a bias at the place of the exponent; in two factors, as 2ⁿ alone may overflow."""
    kinds: Any = {"f": (np.int32, 127, 23, 252), "d": (np.int64, 1023, 52, 2044)}
    integer, bias, place, most = kinds[number]
    bias, place, most, one, of = integer(bias), integer(place), integer(most), integer(1), np.dtype(number).type

    def scaled(y: Any, n: Any) -> Any:
        n = integer(np.int32(n))
        n = n if n > -most else -most
        n = n if n < most else most
        half = n >> one
        return y * integer((half + bias) << place).view(of) * integer((n - half + bias) << place).view(of)

    return scaled


@external(_by_bits)
def scaled(y: Any, n: Any) -> Any:
    """y · 2ⁿ."""
    return np.ldexp(y, int(n))


@exact
def polynomial(coefficients: Any, x: Any) -> Any:
    """Coefficients from that of the highest power on."""
    y = 0.0 * x
    for each in coefficients:
        y = y * x + each
    return y


@exact
def reduced(x: Any) -> Any:
    """n and q of (1); x is held within ±FAR."""
    w = x if x > -FAR else -FAR
    w = w if w < FAR else FAR
    n = np.rint(w * PER_LOG2)
    r = (w - n * LOG2_FIRST) - n * LOG2_REST
    return n, polynomial(EXPONENTIAL, r) * (r * r) + r


@exact
def exp(x: Any) -> Any:
    """eˣ, (1)."""
    n, q = reduced(x)
    return x if x != x else scaled(1.0 + q, n)  # (1)


@exact
def expm1(x: Any) -> Any:
    """eˣ − 1 for x ≤ 0, (1)."""
    n, q = reduced(x)
    power = scaled(1.0 + 0.0 * q, n)
    return x if x != x else power * q + (power - 1.0)  # (1)


@exact
def tanh(x: Any) -> Any:
    """The hyperbolic tangent, (2)."""
    m = expm1(-2.0 * abs(x))
    t = m / (m + 2.0)
    return t if x < 0.0 else -t  # (2)


@exact
def log1p(u: Any) -> Any:
    """log(1 + u) for 0 ≤ u ≤ 1, (3) and (4)."""
    near = u <= NEAR_1
    s = u / (u + 2.0) if near else (u - 1.0) / (u + 3.0)
    y = 2.0 * (polynomial(LOGARITHM, s * s) * (s * s) * s + s)  # (3)
    return y if near else y + LOG2  # (4)
