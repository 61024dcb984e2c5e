"""Random numbers: always drawn on the host, from a seeded NumPy generator, and then moved.

A run therefore starts from the same weights, shuffles and dropout masks on every backend.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from .errors import OptionError
from .options import as_count

Seed: TypeAlias = int | np.random.Generator | None

_default = np.random.default_rng()


def seed(value: int) -> None:
    """Restart the default generator, from which everything that is given no `rng` draws.

    >>> seed(0); generator().integers(100)
    np.int64(85)
    """
    global _default
    _default = generator(as_count("seed", "value", value, least=0))


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
