"""The normal distribution function Φ and its density φ, right to rounding in float32 and float64.

    φ(x) = e^(−x²/2) / √(2π)                                                                         (1)
    Φ(x) = 1 − Q(x) where x > 0, else Q(|x|),  with z = |x|/√2 and Q = ½ erfc(z)                     (2)
    erf(z) = z · A(z²) / B(z²)                                 z ≤ 0.46875, where Q = ½ − ½ erf(z)   (3)
    erfc(z) = e^(−z²) · C(z) / D(z)                            z ≤ 4                                 (4)
    erfc(z) = e^(−z²) / z · (1/√π − E(z⁻²) / F(z⁻²) / z²)      beyond                                (5)

A, …, F are Cody's polynomials; their quotients are off by 6·10⁻¹⁹ of erf and erfc at most. All of them are computed
everywhere, each with z held within its own range, and then the right one is taken: the array API standard has no other
way that does not read values back. The exponent of (1) is made of two parts, x² = t² + (|x| − t)(|x| + t) with t = |x|
rounded down to sixteenths, whose square is exact: so the rounding error of x² is not multiplied by x².

Source
    W. Cody, Rational Chebyshev approximations for the error function, 1969, tables I to III; the coefficients as in
    his program CALERF, 1990
"""

from __future__ import annotations

import math
from typing import Any

from ..typing import Array
from .clip import clip

_A = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
      3.20937758913846947e3)  # fmt: skip
_B = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_C = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
      2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
      1.23033935479799725e3)  # fmt: skip
_D = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
      3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
_E = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
      1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
_F = (1.0, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
      2.33520497626869185e-3)  # fmt: skip
_NEAR, _MIDDLE = 0.46875, 4.0
_FAR = 40.0  # beyond it φ and Q are 0, in float64 too


def normal_distribution(x: Array, xp: Any) -> tuple[Array, Array]:
    """Φ and φ of real numbers, (1) to (5); the namespace is the array's.

    >>> import numpy as np
    >>> [each.round(6).tolist() for each in normal_distribution(np.array([-1.0, 0.0, 2.0]), np)]
    [[0.158655, 0.5, 0.97725], [0.241971, 0.398942, 0.053991]]
    """
    size = clip(xp.abs(x), 0.0, _FAR)
    t = xp.floor(16 * size) / 16
    falling = xp.exp(-0.5 * (t * t)) * xp.exp(-0.5 * ((size - t) * (size + t)))  # e^(−x²/2) = e^(−z²)
    z = size * math.sqrt(0.5)
    near, middle, far = clip(z, 0.0, _NEAR), clip(z, _NEAR, _MIDDLE), clip(z, _MIDDLE)
    half_erf = 0.5 * near * _quotient(_A, _B, near * near)  # (3)
    in_middle = 0.5 * _quotient(_C, _D, middle)  # (4)
    inverse = 1 / (far * far)
    beyond = 0.5 * ((1 / math.sqrt(math.pi) - inverse * _quotient(_E, _F, inverse)) / far)  # (5)
    q = xp.where(z > _NEAR, falling * xp.where(z > _MIDDLE, beyond, in_middle), 0.5 - half_erf)
    return xp.where(x > 0, 1 - q, q), falling * (1 / math.sqrt(2 * math.pi))  # (1), (2)


def _quotient(top: tuple[float, ...], bottom: tuple[float, ...], x: Array) -> Array:
    """One polynomial over another; coefficients from that of the highest power on."""
    return _polynomial(top, x) / _polynomial(bottom, x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    first, *others = coefficients
    y = 0 * x + first
    for coefficient in others:
        y = y * x + coefficient
    return y
