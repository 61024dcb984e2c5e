"""Initial weights.

Every initialiser is a function (shape, fan_in, fan_out, rng) → a new NumPy array. It draws on the host in float64, so
that initial weights are the same on every backend. fan_in is the number of inputs that one output sums over,
fan_out the number of outputs that one input reaches.

    He         variance 2 / fan_in                  for ReLU and similar               (1)
    Glorot     variance 2 / (fan_in + fan_out)      for tanh, sigmoid, softmax         (2)
    LeCun      variance 1 / fan_in                  for SELU, linear                   (3)

A uniform distribution on ±a has the variance a²/3, so a = √(3 · variance).

Sources
    K. He et al., Delving deep into rectifiers, 2015, equation 10                      → (1)
    X. Glorot and Y. Bengio, Understanding the difficulty …, 2010, equations 12, 16    → (2)
    Y. LeCun et al., Efficient backprop, 1998, equation 16                             → (3)
    A. Saxe et al., Exact solutions to the nonlinear dynamics …, 2014                  → orthogonal
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

from ..backend import asarray
from ..errors import OptionError
from ..random import Seed, generator
from ..typing import Array, Shape

__all__ = [
    "constant",
    "draw",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "uniform",
]

_standing_in: ContextVar[bool] = ContextVar("xpcnn_standing_in", default=False)
_MOST_NUMBERS = 2**60 - 1  # of float64 in a 64-bit address space; beyond, NumPy raises errors of several kinds

Host: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Initializer: TypeAlias = Callable[[Shape, int, int, np.random.Generator], Host]


def he_normal(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
    """Normal with variance 2 / fan_in, (1).

    >>> values = he_normal((100, 100), 100, 100, np.random.default_rng(0))
    >>> round(float(values.var()), 4)
    0.0199
    """
    return rng.normal(0.0, math.sqrt(2 / fan_in), shape)


def he_uniform(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
    """Uniform with variance 2 / fan_in, (1).

    >>> values = he_uniform((100, 100), 100, 100, np.random.default_rng(0))
    >>> round(float(values.var()), 4)
    0.0201
    """
    return _uniform(2 / fan_in, shape, rng)


def glorot_normal(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
    """Normal with variance 2 / (fan_in + fan_out), (2).

    >>> values = glorot_normal((100, 100), 100, 100, np.random.default_rng(0))
    >>> round(float(values.var()), 4)
    0.01
    """
    return rng.normal(0.0, math.sqrt(2 / (fan_in + fan_out)), shape)


def glorot_uniform(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
    """Uniform with variance 2 / (fan_in + fan_out), (2).

    >>> values = glorot_uniform((100, 100), 100, 100, np.random.default_rng(0))
    >>> round(float(values.var()), 4)
    0.01
    """
    return _uniform(2 / (fan_in + fan_out), shape, rng)


def lecun_normal(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
    """Normal with variance 1 / fan_in, (3).

    >>> values = lecun_normal((100, 100), 100, 100, np.random.default_rng(0))
    >>> round(float(values.var()), 4)
    0.01
    """
    return rng.normal(0.0, math.sqrt(1 / fan_in), shape)


def lecun_uniform(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
    """Uniform with variance 1 / fan_in, (3).

    >>> values = lecun_uniform((100, 100), 100, 100, np.random.default_rng(0))
    >>> round(float(values.var()), 4)
    0.01
    """
    return _uniform(1 / fan_in, shape, rng)


def orthogonal(gain: float = 1.0) -> Initializer:
    """Orthogonal rows (or columns, whichever are fewer) of length `gain`; all axes but the first form a row.

    >>> values = orthogonal()((3, 3), 3, 3, np.random.default_rng(0))
    >>> bool(np.allclose(values @ values.T, np.eye(3)))
    True
    """

    def draw(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Host:
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # uniform over all such matrices
        return gain * (q if rows >= columns else q.T).reshape(shape)

    return draw


def uniform(limit: float) -> Initializer:
    """Uniform on ±limit.

    >>> values = uniform(0.1)((2, 3), 3, 2, np.random.default_rng(0))
    >>> bool(abs(values).max() <= 0.1)
    True
    """
    return lambda shape, fan_in, fan_out, rng: rng.uniform(-limit, limit, shape)


def constant(value: float) -> Initializer:
    """The same number everywhere.

    >>> constant(1.5)((3,), 1, 1, np.random.default_rng(0))
    array([1.5, 1.5, 1.5])
    """
    return lambda shape, fan_in, fan_out, rng: np.full(shape, float(value))


_BY_NAME: dict[str, Initializer] = {
    each.__name__: each for each in (he_normal, he_uniform, glorot_normal, glorot_uniform, lecun_normal, lecun_uniform)
} | {"orthogonal": orthogonal(), "zeros": constant(0.0)}


@contextmanager
def stand_ins() -> Iterator[None]:
    """Make `draw` allocate nothing in this block: it returns one repeated zero, which a file's array will replace."""
    token = _standing_in.set(True)
    try:
        yield
    finally:
        _standing_in.reset(token)


def draw(initializer: str | Initializer, shape: Shape, *, fan_in: int = 1, fan_out: int = 1, rng: Seed = None) -> Array:
    """A new float32 parameter of the current backend.

    Parameters
        initializer : a function of this module, or its name
        rng : a seed or generator; None draws from the default generator (`xpcnn.seed`)
    Raises
        OptionError : no initialiser has that name, or the parameter is too large for any memory

    >>> draw("zeros", (2,))
    array([0., 0.], dtype=float32)
    """
    if isinstance(initializer, str):
        if initializer not in _BY_NAME:
            raise OptionError("init", "one of " + ", ".join(_BY_NAME), repr(initializer))
        initializer = _BY_NAME[initializer]
    if math.prod(shape) > _MOST_NUMBERS:
        raise OptionError("init", f"a parameter of at most {_MOST_NUMBERS} numbers", f"the shape {shape}")
    if _standing_in.get():
        return asarray(np.broadcast_to(np.float32(0), shape))
    try:
        drawn = initializer(shape, fan_in, fan_out, generator(rng))
    except TypeError as error:  # a function with other arguments, such as the shape alone
        expected = "an initialiser f(shape, fan_in, fan_out, rng): one of nn.init, or its name"
        raise OptionError("init", expected, f"{initializer!r}: {error}") from error
    if np.shape(drawn) != shape:
        raise OptionError("init", f"an initialiser that returns shape {shape}", str(np.shape(drawn)))
    return asarray(drawn, dtype="float32")


def _uniform(variance: float, shape: Shape, rng: np.random.Generator) -> Host:
    limit = math.sqrt(3 * variance)
    return rng.uniform(-limit, limit, shape)
