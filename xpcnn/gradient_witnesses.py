"""The witnesses of a gradient check: the derivative in a direction, found without backward, and what rounding allows.

A layer computes y = f(x, θ), and its backward claims the gradients of L = ⟨y, dy⟩ for any dy. With a random
dy, and random directions d of one argument a (x or a parameter) at a time, ⟨∂L/∂a, d⟩ is compared with:

    central difference   (L(a + εd) − L(a − εd)) / 2ε                      any f, away from kinks       (1)
    complex step         Im L(a + iηd) / η                                 f analytic                   (2)
    adjoint identity     L(a + d) − L(a)                                   f linear in a                (3)

(1) is accurate to about 1e-9 and needs a step size. (2) subtracts nothing, and is exact up to rounding for η = 1e-30.
(3) needs no step at all. The check finds out by trying whether a witness applies (f is analytic, linear), and skips it
otherwise. At a kink, such as ReLU's at 0, the two halves of (1) differ for every ε. The check then reports the kink
instead of guessing.

Rounding is measured: arguments are moved by the last bit of their numbers, and what L and the claimed gradient change
by then, which is much after a difference of large numbers, is allowed. So is the last bit of 1 in each number of y and,
times dy, of the gradient: a 1 may come and go on the way, as in log(1 + exp(x)) and in softmax(x) − 1.

Sources
    W. Squire and G. Trapp, Using complex variables to estimate derivatives of real functions, 1998    → (2)
    J. Claerbout, Earth soundings analysis, 1992, the dot-product test                                 → (3)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .backend import array_namespace, astype, to_numpy
from .errors import GradientError
from .typing import Array, NDArray

_ST_EPS = (1e-5, 1e-6, 1e-7)  # ε of (1)
TOLERANCE = {"central difference": 1e-6, "complex step": 1e-12, "adjoint identity": 1e-12}
_EPS = float(np.finfo(np.float64).eps)
PROBES = 3  # how often arguments are moved by a rounding
_ALLOWED = 4  # times the largest change that was seen


@dataclass(frozen=True)
class Row:
    """One witness's result for one gradient: the largest relative error, and the limit that rounding allows."""

    argument: str
    witness: str
    error: float
    limit: float  # the witness's tolerance plus an allowance for rounding

    @property
    def passed(self) -> bool:
        return self.error <= self.limit


@dataclass(frozen=True)
class Rounding:
    """What rounding may do at least, as far as dy tells, and what it did to the gradient.

    Parameters
        of_loss, of_gradient : the last bits of 1 in the numbers of y make so much of L; in backward, of a gradient
        moved : the gradient at arguments, and for a dy, that are moved by a rounding
    """

    of_loss: float
    of_gradient: float
    moved: Sequence[Array]

    @staticmethod
    def least(dy: Sequence[Array]) -> tuple[float, float]:
        sizes = [np.abs(to_numpy(each)) for each in dy]
        return _EPS * sum(float(each.sum()) for each in sizes), _EPS * max(float(each.max(initial=0)) for each in sizes)


def witnesses(
    name: str,
    loss: Callable[[Array], complex],
    a: Array,
    gradient: Array,
    rounding: Rounding,
    directions: int,
    rng: np.random.Generator,
    subject: str,
) -> list[Row]:
    """What each witness that applies finds of one gradient.

    Parameters
        name, subject : of the argument, and of what is checked
        loss : L as a function of the argument alone
        a, gradient : the argument, and ∂L/∂a as backward claims it
        rounding : of L and of the gradient
        directions : how many random ones
    Raises
        GradientError : L is not differentiable at a
    """
    worst: dict[str, Row] = {}

    def record(witness: str, value: float, claimed: float, rounding: float) -> bool:
        """Keep the difference, relative to the larger of the two, if it is the largest; return whether it passed."""
        size = max(abs(value), abs(claimed)) or 1.0
        error = abs(value - claimed) / size
        row = Row(name, witness, error if math.isfinite(error) else math.inf, TOLERANCE[witness] + rounding / size)
        if witness not in worst or row.error / row.limit > worst[witness].error / worst[witness].limit:
            worst[witness] = row
        return row.passed

    here = loss(a).real
    moves = np.random.default_rng(0)
    of_loss = _ALLOWED * max(rounding.of_loss, *(abs(loss(moved(a, moves)).real - here) for _ in range(PROBES)))
    analytic = linear = True
    for _ in range(directions):
        d = random_like(a, rng)
        claimed = dot(gradient, d).real
        least = rounding.of_gradient * float(np.sum(np.abs(to_numpy(d))))
        of_claim = _ALLOWED * max(least, *(abs(dot(each - gradient, d)) for each in rounding.moved))
        central, noise = _central_difference(loss, a, d, here, of_loss, claimed)
        if central is None:
            raise GradientError(
                subject, f"a point where it is differentiable in {name}", "one at a kink", "move x away from it"
            )
        record("central difference", central, claimed, noise + of_claim)
        scale = max(abs(central), abs(claimed) if math.isfinite(claimed) else 0.0)
        # (2) and (3) apply only if (1) does not contradict them: then f is analytic, or linear
        of_claim += 1e-13 * float(np.sum(np.abs(to_numpy(gradient) * to_numpy(d))))  # of the claimed sum
        imaginary = _complex_step(loss, a, d) if analytic else None
        analytic = imaginary is not None and abs(imaginary - central) <= 1e-6 * scale + noise
        if analytic and imaginary is not None:
            # f may be analytic nearly: |z| is |x| + O(y²), and Softsign's z / (1 + |z|) is wrong by |x| near 0
            analytic = record("complex step", imaginary, claimed, of_claim) or _is_analytic(loss, a + d, d, of_loss)
        far, near = loss(a + d).real - here, here - loss(a - d).real  # (3)
        size = abs(here) + abs(far)
        linear = linear and abs(far - near) <= 1e-12 * size and abs(far - central) <= 1e-6 * scale + noise
        if linear:
            record("adjoint identity", far, claimed, of_claim + of_loss + abs(far - near) + 1e-14 * size)
    if not analytic:
        worst.pop("complex step", None)
    if not linear:
        worst.pop("adjoint identity", None)
    return list(worst.values())


def _central_difference(
    loss: Callable[[Array], complex], a: Array, d: Array, here: float, of_loss: float, claimed: float
) -> tuple[float | None, float]:
    """(1), and its possible rounding error, where L has that of `of_loss`; None at a kink.

    Where f is smooth, (1) is the same for ε and ε/2, and the one-sided differences converge as ε halves. A kink at the
    point keeps them apart. A kink within ε of it makes the two values of (1) differ, and a smaller ε is tried; a kink
    within the smallest one is as one at the point. A kink of f′, such as ELU's at 0, leaves an error that is
    proportional to ε: where (1) contradicts `claimed`, a smaller ε is tried as far as rounding allows.
    """
    found, noise = None, 0.0
    for step in _ST_EPS:
        wide, narrow = ([(loss(a + d * h).real - here) / h for h in (e, -e)] for e in (step, step / 2))
        central, rounded = sum(narrow) / 2, (1e-14 * abs(here) + of_loss) / step
        size = max(map(abs, narrow))
        allowed = TOLERANCE["central difference"] * size
        gaps = [abs(right - left) for right, left in (wide, narrow)]
        kink = gaps[1] > 1e-5 * size + 10 * rounded and gaps[1] > 0.75 * gaps[0]
        steady = abs(sum(wide) / 2 - central) <= allowed + rounded
        if kink or not steady or (found is not None and rounded > allowed):
            continue
        found, noise = central, rounded
        if abs(central - claimed) <= allowed + rounded:
            break
    return found, noise


def _complex_step(loss: Callable[[Array], complex], a: Array, d: Array) -> float | None:
    try:
        return loss(astype_complex(a) + astype_complex(d) * 1e-30j).imag / 1e-30
    except (TypeError, RuntimeError, ValueError):  # f is undefined for complex numbers
        return None


def _is_analytic(loss: Callable[[Array], complex], a: Array, d: Array, of_loss: float) -> bool:
    """Whether (2) agrees with (1) at a, within some digits, or has no (1) there."""
    imaginary = _complex_step(loss, a, d)
    if imaginary is None:
        return False
    central, noise = _central_difference(loss, a, d, loss(a).real, of_loss, imaginary)
    return central is None or abs(imaginary - central) <= 1e-4 * max(abs(central), abs(imaginary)) + noise


def astype_complex(array: Array) -> Array:
    return astype(array, "complex128")


def random_like(array: Array, rng: np.random.Generator) -> Array:
    return like(rng.normal(size=array.shape), array)


def moved(array: Array, rng: np.random.Generator) -> Array:
    """The array, each of its numbers moved up or down by a rounding."""
    return array + array * like(rng.choice([-1.0, 1.0], size=array.shape) * _EPS, array)


def like(host: NDArray, array: Array) -> Array:
    made: Array = array_namespace(array).asarray(host, device=array.device)
    return made


def dot(a: Array, b: Array) -> complex:
    return complex(np.sum(to_numpy(a) * to_numpy(b)))
