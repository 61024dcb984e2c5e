"""Check hand-written gradients with independent witnesses, in float64: see `xpcnn.gradient_witnesses`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import html
from .backend import asarray, to_numpy
from .errors import DTypeError, GradientError, OptionError
from .gradient_witnesses import (
    PROBES,
    Rounding,
    Row,
    astype_complex,
    dot,
    like,
    moved,
    random_like,
    witnesses,
)
from .nn.layer import Layer
from .options import as_count
from .random import Seed, generator, set_states, states
from .typing import Array, Cache

__all__ = ["Report", "check_pair", "gradcheck"]


@dataclass(frozen=True)
class Report:
    """The results of all witnesses for one layer or operation.

    >>> from xpcnn.nn import Linear
    >>> report = gradcheck(Linear(3, 2, rng=0), [[1.0, -2.0, 0.5]])
    >>> report.passed, sorted({row.argument for row in report.rows})
    (True, ['bias', 'weight', 'x'])
    """

    subject: str
    rows: tuple[Row, ...]
    unchecked: tuple[str, ...] = ()  # arguments for which backward gave None

    @property
    def passed(self) -> bool:
        return bool(self.rows) and all(row.passed for row in self.rows)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {'gradients agree' if self.passed else 'WRONG GRADIENTS'}"]
        lines += [
            f"  {row.argument:<16} {row.witness:<20} {row.error:8.1e}  {'ok' if row.passed else 'FAILED'}"
            for row in self.rows
        ]
        lines += [f"  {name:<16} not checked: backward gave None for it" for name in self.unchecked]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        body = [
            (row.argument, row.witness, f"{row.error:.1e}", f"{row.limit:.1e}",
             html.verdict(row.passed, "ok" if row.passed else "FAILED"))
            for row in self.rows
        ]  # fmt: skip
        body += [(name, "not checked: backward gave None for it", "", "", html.Html("")) for name in self.unchecked]
        header = ("gradient of", "witness", "relative error", "allowed", "verdict")
        return html.panel(str(self).partition("\n")[0], html.table(header, body, left=(0, 1, 4)))


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
            doubles[position] = doubles[position] + 0.1 * random_like(doubles[position], moves)
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
        backward : (dy, cache) → a tuple of the gradients in the order of forward's arrays; one that is None is not
            checked, and the report says so
        arguments : the arrays, float64, by the names that the report shows
        subject : the name of the operation, for the report and errors
        directions, rng : as in `gradcheck`
    Raises
        GradientError : as in `gradcheck`, and if backward returns another number of gradients, or none
        OptionError : `directions` is no integer ≥ 1

    >>> def square(x):
    ...     return x * x, x
    >>> def wrong(dy, x):
    ...     return (dy * x,)  # the 2 is missing
    >>> check_pair(square, wrong, {"x": np.array([1.0, 3.0])}).passed
    False
    >>> check_pair(square, lambda dy, x: (2 * dy * x,), {"x": np.array([1.0, 3.0])}).passed
    True
    """
    as_count("gradcheck", "directions", directions)
    rng = generator(rng)
    arrays = list(arguments.values())
    y, cache = forward(*arrays)
    dy: Any = tuple(random_like(each, rng) for each in y) if isinstance(y, tuple) else random_like(y, rng)
    gradients = backward(dy, cache)
    names = ", ".join(arguments)
    if not isinstance(gradients, tuple | list) or len(gradients) != len(arrays):
        many = isinstance(gradients, tuple | list)
        got = f"{len(gradients)}" if many else type(gradients).__name__
        remedy = "where there is none, return None in its place" if many else "return (dx,), a tuple also of one"
        raise GradientError(f"{subject} backward", f"a tuple of {len(arrays)} gradients, of {names}", got, remedy)
    rounded = [_rounded(forward, backward, arrays, dy, np.random.default_rng(i)) for i in range(PROBES)]
    least = Rounding.least(dy if isinstance(dy, tuple) else (dy,))
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
            those = [*arrays[:position], value, *arrays[position + 1 :]]
            if "complex" in str(value.dtype):
                those = [astype_complex(array) for array in those]
            y: Any = forward(*those)[0]
            return sum(map(dot, y, dy), 0j) if isinstance(y, tuple) else dot(y, dy)

        rounding = Rounding(*least, [each[position] for each in rounded])
        rows += witnesses(name, loss, arrays[position], gradient, rounding, directions, rng, subject)
    unchecked = tuple(name for name, gradient in zip(arguments, gradients, strict=True) if gradient is None)
    if len(unchecked) == len(arrays):
        raise GradientError(f"{subject} backward", f"a gradient of {names}", "None for each", "return one to check")
    return Report(subject, tuple(rows), unchecked)


def _rounded(
    forward: Callable[..., tuple[Array, Cache]],
    backward: Callable[[Array, Cache], Sequence[Array | None]],
    arrays: Sequence[Array],
    dy: Any,
    rng: np.random.Generator,
) -> Sequence[Any]:
    """The gradients at arguments, and for a dy, that are moved by a rounding."""
    _, cache = forward(*(moved(array, rng) for array in arrays))
    other: Any = tuple(moved(each, rng) for each in dy) if isinstance(dy, tuple) else moved(dy, rng)
    return backward(other, cache)


def _double(array: Array) -> Array:
    return like(to_numpy(array).astype(np.float64), array)
