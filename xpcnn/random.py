"""Random numbers: always drawn on the host, from a seeded NumPy generator, and then moved.

A run therefore starts from the same weights, shuffles and dropout masks on every backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from .errors import OptionError
from .options import MOST_SEED, as_count

Seed: TypeAlias = int | np.random.Generator | None
Generators: TypeAlias = Mapping[str, np.random.Generator]

_default = np.random.default_rng()


def seed(value: int) -> None:
    """Restart the default generator, from which everything that is given no `rng` draws.

    >>> seed(0); generator().integers(100)
    np.int64(85)
    """
    global _default
    _default = generator(as_count("seed", "value", value, least=0, most=MOST_SEED))


def generator(rng: Seed = None) -> np.random.Generator:
    """The generator that `rng` stands for: itself, a new one from that seed, or (None) the default one.

    Raises
        OptionError : a seed that is no integer ≥ 0
    """
    if rng is None:
        return _default
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise OptionError("rng", "a seed ≥ 0 or a NumPy Generator", repr(rng)) from None


def states(generators: Generators) -> dict[str, Any]:
    """Where each generator is, by its name, in numbers that JSON has."""
    return {name: rng.bit_generator.state for name, rng in generators.items()}


def set_states(generators: Generators, states: Mapping[str, Any]) -> None:
    """Each generator to where it was."""
    for name, rng in generators.items():
        rng.bit_generator.state = states[name]


def check_states(generators: Generators, states: Mapping[str, Any]) -> None:
    """Whether `set_states` would take them.

    Raises
        KeyError, TypeError, ValueError : what NumPy has against them
    """
    for name, rng in generators.items():
        type(rng.bit_generator)().state = states[name]
