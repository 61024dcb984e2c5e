"""Gradients kept from growing too large.

    by value    g ← g, each element clipped to ±limit                                        (1)
    by norm     ‖g‖ = √(Σ over all parameters and elements g²)                               (2)
                g ← g · c,   c = max_norm / max(‖g‖, max_norm)                               (3)

c is 1 where ‖g‖ ≤ max_norm, also where it is 0. Nothing is read back from a device.

Source: R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent networks, 2012, algorithm 1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import OptionError
from ..ops.check import check_floats
from ..ops.clip import clip
from ..options import as_number
from ..typing import Array


def clip_by_value(grads: Mapping[str, Array], limit: float) -> dict[str, Array]:
    """Each element clipped to ±limit, (1).

    Parameters
        grads : as a network's backward returned them; they are not written
        limit : > 0
    Returns
        new gradients, by the same names
    Raises
        OptionError

    >>> import numpy as np
    >>> clip_by_value({"weight": np.array([3.0, -0.5])}, 1.0)
    {'weight': array([ 1. , -0.5])}
    """
    limit = as_number("clip_by_value", "limit", limit, "(0, inf)")
    return {name: clip(g, -limit, limit) for name, g in grads.items()}  # (1)


def clip_by_norm(grads: Mapping[str, Array], max_norm: float) -> tuple[dict[str, Array], Array]:
    """All gradients scaled by one number, so that their common norm is at most max_norm, (2) and (3).

    Parameters
        grads : as a network's backward returned them, of one dtype; they are not written
        max_norm : > 0
    Returns
        new gradients, by the same names
        norm : ‖g‖ before, Array ()
    Raises
        OptionError, DTypeError

    >>> import numpy as np
    >>> clip_by_norm({"weight": np.array([3.0, 0.0]), "bias": np.array([4.0])}, 1.0)
    ({'weight': array([0.6, 0. ]), 'bias': array([0.8])}, np.float64(5.0))
    """
    max_norm = as_number("clip_by_norm", "max_norm", max_norm, "(0, inf)")
    if not grads:
        raise OptionError("clip_by_norm", "at least one gradient", "none")
    xp = check_floats("clip_by_norm", *grads.values())
    squares: Any = sum(xp.sum(g * g) for g in grads.values())
    norm = xp.sqrt(squares)  # ()                                                            (2)
    c = max_norm / clip(norm, max_norm)  # ()                                                (3)
    return {name: g * c for name, g in grads.items()}, norm
