"""Check hand-written gradients with independent witnesses, in float64.

A layer computes y = f(x, θ), and its backward claims the gradients of L = ⟨y, dy⟩ for any dy. With a random
dy, and random directions d of one argument a (x or a parameter) at a time, ⟨∂L/∂a, d⟩ is compared with:

    central difference   (L(a + εd) − L(a − εd)) / 2ε                      any f, away from kinks       (1)
    complex step         Im L(a + iηd) / η                                 f analytic                   (2)
    adjoint identity     L(a + d) − L(a)                                   f linear in a                (3)

(1) is accurate to about 1e-9 and needs a step size. (2) subtracts nothing, and is exact up to rounding for η = 1e-30.
(3) needs no step at all. The check finds out by trying whether a witness applies (f is analytic, linear), and skips it
otherwise. At a kink, such as ReLU's at 0, the two halves of (1) differ for every ε. The check then reports the kink
instead of guessing.

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
from .errors import DTypeError, GradientError, OptionError
from .nn.layer import Layer
from .options import as_count
from .random import Seed, generator, set_states, states
from .typing import Array, Cache, NDArray

_STEPS = (1e-5, 1e-6, 1e-7)  # ε of (1)
TOLERANCE = {"central difference": 1e-6, "complex step": 1e-12, "adjoint identity": 1e-12}


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
class Report:
    """The results of all witnesses for one layer or operation."""

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

    The check shifts parameters a little at random: at their initial values (a scale of 1, a bias of 0) a gradient that
    omits one of them may look right.

    Parameters
        layer : any `Layer`; its parameters, buffers and generators are unchanged afterwards
        x : an input batch, away from kinks (a random one nearly always is), or a tuple of several inputs; integers and
            bool are refused
        directions : random directions for each argument
        rng : seed or generator of dy and the directions
    Returns
        Report : `report.passed`, `report.rows`; `print(report)` shows a table
    Raises
        GradientError : f is not differentiable at x (a kink), or forward and backward disagree in names or shapes
        OptionError : no layer;  DTypeError : x holds no floating numbers

    >>> from xpcnn.nn import Linear
    >>> print(gradcheck(Linear(3, 2, rng=0), [[1.0, -2.0, 0.5]]).passed)
    True
    """
    who = type(layer).__name__
    if not isinstance(layer, Layer):
        remedy = "xpcnn.gradient_check.check_pair takes a pair of functions, such as a loss's"
        raise OptionError("gradcheck", "a layer", type(layer).__name__, remedy)
    xs = [asarray(each) for each in (x if layer.arity != (1, 1) and isinstance(x, tuple | list) else (x,))]
    for each in xs:
        if "float" not in str(each.dtype):
            raise DTypeError("gradcheck", "a floating input", str(each.dtype), "asarray(x, dtype='float64')")
    places = [(name, each, key) for name, each, key in layer.named_arrays(buffers=True)]
    saved = [getattr(each, key) for _, each, key in places]
    names = list(layer.parameters())
    generators = layer.generators()
    began = states(generators)

    def restore(values: Sequence[Array]) -> None:
        for (_, each, key), value in zip(places, values, strict=True):
            setattr(each, key, value)

    doubles = [_double(value) for value in saved]
    moves = generator(rng)
    for position, (name, _, _) in enumerate(places):
        if name in names:
            doubles[position] = doubles[position] + 0.1 * _random_like(doubles[position], moves)
    trained = {name: (each, key) for name, each, key in places if name in names}

    def forward(*arrays: Array) -> tuple[Any, Cache]:
        inputs: Any = arrays[: len(xs)]
        parameters = arrays[len(xs) :]
        set_states(generators, began)
        restore(doubles)  # buffers, too: the previous call has changed running statistics
        for (each, key), value in zip(trained.values(), parameters, strict=True):
            setattr(each, key, value)
        return _two("forward", "(y, cache)", layer.forward(inputs if len(xs) > 1 else inputs[0]))

    def backward(dy: Any, cache: Cache) -> tuple[Array | None, ...]:
        dx, grads = _two("backward", "(dx, {name: gradient})", layer.backward(dy, cache))
        without_dx = _two("backward", "(None, {name: gradient})", layer.backward(dy, cache, input_grad=False))[1]
        for given in (grads, without_dx):
            if given.keys() != trained.keys():
                expected, got = f"gradients for {sorted(trained)}", str(sorted(given))
                raise GradientError(f"{who} backward", expected, got, "see parameter_names")
        if dx is None:
            raise GradientError(f"{who} backward", "dx, as input_grad is True", "None")
        for name, gradient in without_dx.items():
            if not np.allclose(to_numpy(gradient), to_numpy(grads[name]), rtol=1e-9, atol=0, equal_nan=True):
                raise GradientError(f"{who} backward", f"the same gradient of {name} without dx", "another")
        return (*(dx if len(xs) > 1 else (dx,)), *(grads[name] for name in trained))

    def _two(verb: str, expected: str, result: Any) -> tuple[Any, Any]:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise GradientError(f"{who} {verb}", f"to return {expected}", type(result).__name__)
        return result

    names_of_inputs = ["x"] if len(xs) == 1 else [f"x{i + 1}" for i in range(len(xs))]
    arguments = {name: _double(each) for name, each in zip(names_of_inputs, xs, strict=True)} | {
        name: value for (name, _, _), value in zip(places, doubles, strict=True) if name in trained
    }
    try:
        subject = repr(layer) if layer.config_names else who
        return check_pair(forward, backward, arguments, subject=subject, directions=directions, rng=rng)
    finally:
        set_states(generators, began)
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
        forward : (*arrays) → (y, cache); y is an array, or a tuple of arrays
        backward : (dy, cache) → the gradients in the order of forward's arrays; None skips one
        arguments : the arrays, float64, by the names that the report shows
        subject : the name of the operation, for the report and errors
        directions, rng : as in `gradcheck`
    Raises
        GradientError : as in `gradcheck`;  OptionError : `directions` is no integer ≥ 1
    """
    as_count("gradcheck", "directions", directions)
    rng = generator(rng)
    arrays = list(arguments.values())
    y, cache = forward(*arrays)
    dy: Any = tuple(_random_like(each, rng) for each in y) if isinstance(y, tuple) else _random_like(y, rng)
    gradients = backward(dy, cache)
    rows: list[Row] = []
    for position, (name, gradient) in enumerate(zip(arguments, gradients, strict=True)):
        if gradient is None:
            continue
        if tuple(gradient.shape) != tuple(arrays[position].shape):
            raise GradientError(
                subject,
                f"the gradient of {name} in its shape {tuple(arrays[position].shape)}",
                str(tuple(gradient.shape)),
            )

        def loss(value: Array, position: int = position) -> complex:
            moved = [*arrays[:position], value, *arrays[position + 1 :]]
            if "complex" in str(value.dtype):
                moved = [_astype_complex(array) for array in moved]
            y = forward(*moved)[0]
            return sum(map(_dot, y, dy), 0j) if isinstance(y, tuple) else _dot(y, dy)

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
    worst: dict[str, Row] = {}

    def record(witness: str, value: float, claimed: float, rounding: float) -> None:
        """Keep the difference, relative to the larger of the two, if it is the largest of this witness."""
        size = max(abs(value), abs(claimed)) or 1.0
        error = abs(value - claimed) / size
        row = Row(name, witness, error if math.isfinite(error) else math.inf, TOLERANCE[witness] + rounding / size)
        if witness not in worst or row.error / row.limit > worst[witness].error / worst[witness].limit:
            worst[witness] = row

    here = loss(a).real
    analytic = linear = True
    for _ in range(directions):
        d = _random_like(a, rng)
        claimed = _dot(gradient, d).real
        central, noise = _central_difference(loss, a, d, here)
        if central is None:
            raise GradientError(
                subject, f"a point where it is differentiable in {name}", "one at a kink", "move x away from it"
            )
        record("central difference", central, claimed, noise)
        scale = max(abs(central), abs(claimed) if math.isfinite(claimed) else 0.0)
        # (2) and (3) apply only if (1) does not contradict them: then f is analytic, or linear
        rounding = 1e-13 * float(np.sum(np.abs(to_numpy(gradient) * to_numpy(d))))  # of the claimed sum
        imaginary = _complex_step(loss, a, d) if analytic else None
        analytic = imaginary is not None and abs(imaginary - central) <= 1e-6 * scale + noise
        if analytic and imaginary is not None:
            record("complex step", imaginary, claimed, rounding)
        far, near = loss(a + d).real - here, here - loss(a - d).real  # (3)
        size = abs(here) + abs(far)
        linear = linear and abs(far - near) <= 1e-12 * size and abs(far - central) <= 1e-6 * scale + noise
        if linear:
            record("adjoint identity", far, claimed, rounding + 1e-14 * size)
    if not analytic:
        worst.pop("complex step", None)
    if not linear:
        worst.pop("adjoint identity", None)
    return list(worst.values())


def _central_difference(
    loss: Callable[[Array], complex], a: Array, d: Array, here: float
) -> tuple[float | None, float]:
    """(1), and its possible rounding error; None at a kink.

    Where f is smooth, (1) is the same for ε and ε/2, and the one-sided differences converge as ε halves. A kink at the
    point keeps them apart. A kink within ε of it makes the two values of (1) differ, and a smaller ε is tried.
    """
    for step in _STEPS:
        wide, narrow = ([(loss(a + d * h).real - here) / h for h in (e, -e)] for e in (step, step / 2))
        central, noise = sum(narrow) / 2, 1e-14 * abs(here) / step
        size = max(map(abs, narrow))
        gaps = [abs(right - left) for right, left in (wide, narrow)]
        kink = gaps[1] > 1e-5 * size + 10 * noise and gaps[1] > 0.75 * gaps[0]
        if not kink and abs(sum(wide) / 2 - central) <= TOLERANCE["central difference"] * size + noise:
            break
    return None if kink else central, noise


def _complex_step(loss: Callable[[Array], complex], a: Array, d: Array) -> float | None:
    try:
        return loss(_astype_complex(a) + _astype_complex(d) * 1e-30j).imag / 1e-30
    except (TypeError, RuntimeError, ValueError):  # f is undefined for complex numbers
        return None


def _double(array: Array) -> Array:
    return _like(to_numpy(array).astype(np.float64), array)


def _astype_complex(array: Array) -> Array:
    return astype(array, "complex128")


def _random_like(array: Array, rng: np.random.Generator) -> Array:
    return _like(rng.normal(size=array.shape), array)


def _like(host: NDArray, array: Array) -> Array:
    made: Array = array_namespace(array).asarray(host, device=array.device)
    return made


def _dot(a: Array, b: Array) -> complex:
    return complex(np.sum(to_numpy(a) * to_numpy(b)))
