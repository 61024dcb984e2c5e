"""Random numbers: always drawn on the host, from a seeded NumPy generator, and then moved to the backend.

So a run has the same initial weights, shuffles and dropout masks on every backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from .errors import FormatError, OptionError
from .options import MOST_SEED, as_count

Seed: TypeAlias = int | np.random.Generator | None
Generators: TypeAlias = Mapping[str, np.random.Generator]

_default = np.random.default_rng()
_ODD = ("PCG64", "PCG64DXSM")  # generators with an odd increment, which NumPy does not check


def seed(value: int) -> None:
    """Restart the default generator, from which everything without an `rng` draws.

    >>> seed(0); generator().integers(100)
    np.int64(85)
    """
    global _default
    _default = generator(as_count("seed", "value", value, least=0, most=MOST_SEED))


def generator(rng: Seed = None) -> np.random.Generator:
    """The generator that `rng` stands for: itself, a new one from that seed, or the default one for None.

    Raises
        OptionError : the seed is no integer ≥ 0
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
    """The state of each generator, by its name, as JSON values."""
    return {name: rng.bit_generator.state for name, rng in generators.items()}


def set_states(generators: Generators, states: Mapping[str, Any]) -> None:
    """Restore the state of each generator."""
    for name, rng in generators.items():
        rng.bit_generator.state = states[name]


def check_states(who: str, generators: Generators, states: Any) -> None:
    """Raise an error unless `states` holds a valid state for each of the generators.

    Raises
        FormatError
    """
    if not isinstance(states, Mapping) or states.keys() != generators.keys():
        expected = f"the states of {len(generators)} generators ({', '.join(generators) or 'none'})"
        raise FormatError(who, expected, ", ".join(map(str, states)) if isinstance(states, Mapping) else repr(states))
    for name, rng in generators.items():
        if not _is_state(rng.bit_generator, states[name]):
            kind = type(rng.bit_generator).__name__
            raise FormatError(who, f"the whole state of the {kind} generator of {name or 'the layer'}", "another value")


def _is_state(generator: np.random.BitGenerator, state: Any) -> bool:
    """True if NumPy accepts all of the state; NumPy itself ignores wrong names and types."""
    import json

    trial = type(generator)()
    try:
        trial.state = state
        taken: dict[str, Any] = dict(trial.state)
        same = json.dumps(taken, sort_keys=True) == json.dumps(state, sort_keys=True)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError):
        return False
    possible = taken["bit_generator"] not in _ODD or taken["state"]["inc"] % 2 == 1
    return same and possible and taken.get("has_uint32", 0) in (0, 1)
