"""Is a hand-written gradient right? Independent witnesses, in float64.

A layer computes y = f(x, θ), and its backward claims the gradients of L = ⟨y, dy⟩ for any dy. With a random
dy, and random directions d of one argument a (x or a parameter) at a time, ⟨∂L/∂a, d⟩ is compared with:

    central difference   (L(a + εd) − L(a − εd)) / 2ε                      any f, away from kinks       (1)
    complex step         Im L(a + iηd) / η                                 f analytic                   (2)
    adjoint identity     L(a + d) − L(a)                                   f linear in a                (3)

(1) is good to about 1e-9 and needs a step size; (2) subtracts nothing and is exact to rounding for η = 1e-30;
(3) needs no step at all. A witness that cannot speak (f is not analytic, not linear) is left out, which is
found out by trying. At a kink, such as ReLU's at 0, the two halves of (1) differ for every ε: the
check says so instead of guessing.

Sources
    W. Squire and G. Trapp, Using complex variables to estimate derivatives of real functions, 1998    → (2)
    J. Claerbout, Earth soundings analysis, 1992, the dot-product test                                 → (3)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backend import array_namespace, asarray, astype, to_numpy
from .errors import DTypeError, OptionError
from .nn.layer import Layer
from .random import Seed, generator
from .typing import Array, Cache

_STEP = 1e-5  # ε of (1)
TOLERANCE = {"central difference": 1e-6, "complex step": 1e-11, "adjoint identity": 1e-11}


@dataclass(frozen=True)
class Row:
    """What one witness says of one gradient: the worst error, relative to the size of what is compared."""

    argument: str
    witness: str
    error: float

    @property
    def passed(self) -> bool:
        return self.error <= TOLERANCE[self.witness]


@dataclass(frozen=True)
class Report:
    """All witnesses' words on one layer or operation."""

    subject: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        return bool(self.rows) and all(row.passed for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {'gradients agree' if self.passed else 'WRONG GRADIENTS'}"]
        lines += [
            f"  {row.argument:<16} {row.witness:<20} {row.error:8.1e}  {'ok' if row.passed else 'FAILED'}"
            for row in self.rows
        ]
        return "\n".join(lines)


def gradcheck(layer: Layer, x: Any, *, directions: int = 4, rng: Seed = 0) -> Report:
    """Check a layer's backward against its own forward, for its input and every parameter.

    Parameters
        layer : any `Layer`; its parameters, buffers and generators are as before afterwards
        x : an input batch, away from kinks (a random one nearly always is); integers and bool are refused
        directions : random directions for each argument
        rng : seed or generator of dy and the directions
    Returns
        Report : `report.passed`, `report.rows`; `print(report)` shows a table
    Raises
        OptionError : f is not differentiable at x (a kink), or forward and backward disagree in names or shapes

    >>> from xpcnn.nn import Linear
    >>> print(gradcheck(Linear(3, 2, rng=0), [[1.0, -2.0, 0.5]]).passed)
    True
    """
    x = asarray(x)
    if "float" not in str(x.dtype):
        raise DTypeError("gradcheck", "a floating input", str(x.dtype), "asarray(x, dtype='float64')")
    places = [(name, each, key) for name, each, key in layer._arrays(buffers=True)]
    saved = [getattr(each, key) for _, each, key in places]
    names = list(layer.parameters())
    generators = [(each, each.rng, each.rng.bit_generator.state) for each in _random_layers(layer)]

    def restart() -> None:
        for _, rng_, state in generators:
            rng_.bit_generator.state = state

    def restore(values: Sequence[Array]) -> None:
        for (_, each, key), value in zip(places, values, strict=True):
            setattr(each, key, value)

    doubles = [_double(value) for value in saved]
    trained = {name: (each, key) for name, each, key in places if name in names}

    def forward(x: Array, *parameters: Array) -> tuple[Array, Cache]:
        restart()
        restore(doubles)  # buffers too: running statistics have moved in the call before
        for (each, key), value in zip(trained.values(), parameters, strict=True):
            setattr(each, key, value)
        return layer.forward(x)

    def backward(dy: Array, cache: Cache) -> tuple[Array | None, ...]:
        dx, grads = layer.backward(dy, cache)
        if grads.keys() != trained.keys():
            raise OptionError(
                type(layer).__name__, f"gradients for {sorted(trained)}", str(sorted(grads)), "see parameter_names"
            )
        return (dx, *(grads[name] for name in trained))

    arguments = {"x": _double(x)} | {
        name: value for (name, _, _), value in zip(places, doubles, strict=True) if name in trained
    }
    try:
        return check_pair(
            forward, backward, arguments, subject=repr(layer).partition("\n")[0], directions=directions, rng=rng
        )
    finally:
        restart()
        restore(saved)


def check_pair(
    forward: Callable[..., tuple[Array, Cache]],
    backward: Callable[[Array, Cache], Sequence[Array | None]],
    arguments: Mapping[str, Array],
    *,
    subject: str = "operation",
    directions: int = 4,
    rng: Seed = 0,
) -> Report:
    """Check one forward/backward pair, `xpcnn.gradcheck` for functions.

    Parameters
        forward : (*arrays) → (y, cache)
        backward : (dy, cache) → the gradients in the order of forward's arrays; None skips one
        arguments : the arrays, float64, by the names that the report shows
    """
    rng = generator(rng)
    arrays = list(arguments.values())
    y, cache = forward(*arrays)
    dy = _random_like(y, rng)
    gradients = backward(dy, cache)
    rows: list[Row] = []
    for position, (name, gradient) in enumerate(zip(arguments, gradients, strict=True)):
        if gradient is None:
            continue
        if tuple(gradient.shape) != tuple(arrays[position].shape):
            raise OptionError(
                subject,
                f"the gradient of {name} in its shape {tuple(arrays[position].shape)}",
                str(tuple(gradient.shape)),
            )

        def loss(value: Array, position: int = position) -> complex:
            moved = [*arrays[:position], value, *arrays[position + 1 :]]
            if "complex" in str(value.dtype):
                moved = [_astype_complex(array) for array in moved]
            return _dot(forward(*moved)[0], dy)

        rows += _witnesses(name, loss, arrays[position], gradient, directions, rng, subject)
    return Report(subject, tuple(rows))


def _witnesses(
    name: str,
    loss: Callable[[Array], complex],
    a: Array,
    gradient: Array,
    directions: int,
    rng: np.random.Generator,
    subject: str,
) -> list[Row]:
    worst: dict[str, float] = {}

    def hear(witness: str, value: float, claimed: float, scale: float) -> None:
        error = abs(value - claimed) / scale if math.isfinite(value) and math.isfinite(claimed) else math.inf
        worst[witness] = max(worst.get(witness, 0.0), error)

    here = loss(a).real
    analytic = linear = True
    for _ in range(directions):
        d = _random_like(a, rng)
        claimed = _dot(gradient, d).real
        wide, narrow = ([(loss(a + d * h).real - here) / h for h in (e, -e)] for e in (_STEP, _STEP / 2))
        central = sum(narrow) / 2  # (1), with the smaller step
        scale = max(abs(here), abs(claimed), abs(central), 1e-3)
        gaps = [abs(right - left) for right, left in (wide, narrow)]  # halves with ε where f is smooth
        if gaps[1] > 1e-5 * scale and gaps[1] > 0.75 * gaps[0]:
            raise OptionError(
                subject, f"a point where it is differentiable in {name}", "one at a kink", "move x away from it"
            )
        hear("central difference", central, claimed, scale)
        # (2) and (3) are heard only where (1) does not contradict them: f is analytic, linear there
        imaginary = _complex_step(loss, a, d) if analytic else None
        analytic = imaginary is not None and abs(imaginary - central) <= 1e-6 * scale
        if analytic and imaginary is not None:
            hear("complex step", imaginary, claimed, scale)
        far, near = loss(a + d).real - here, here - loss(a - d).real  # (3)
        linear = linear and abs(far - near) <= 1e-11 * max(scale, abs(far)) and abs(far - central) <= 1e-6 * scale
        if linear:
            hear("adjoint identity", far, claimed, max(scale, abs(far)))
    if not analytic:
        worst.pop("complex step", None)
    if not linear:
        worst.pop("adjoint identity", None)
    return [Row(name, witness, error) for witness, error in worst.items()]


def _complex_step(loss: Callable[[Array], complex], a: Array, d: Array) -> float | None:
    try:
        return loss(_astype_complex(a) + _astype_complex(d) * 1e-30j).imag / 1e-30
    except (TypeError, RuntimeError, ValueError):  # f has no meaning for complex numbers
        return None


def _random_layers(layer: Layer) -> list[Any]:
    return [each for _, each in layer.named_layers() if isinstance(getattr(each, "rng", None), np.random.Generator)]


def _double(array: Array) -> Array:
    return _like(to_numpy(array).astype(np.float64), array)


def _astype_complex(array: Array) -> Array:
    return astype(array, "complex128")


def _random_like(array: Array, rng: np.random.Generator) -> Array:
    return _like(rng.normal(size=array.shape), array)


def _like(host: np.ndarray[Any, Any], array: Array) -> Array:
    made: Array = array_namespace(array).asarray(host, device=array.device)
    return made


def _dot(a: Array, b: Array) -> complex:
    return complex(np.sum(to_numpy(a) * to_numpy(b)))
