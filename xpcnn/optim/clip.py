"""Gradient clipping.

    by value    g ← g, each element clipped to ±limit                                        (1)
    by norm     ‖g‖ = m · q,   q = √(Σ over all parameters and elements (|g|/m)²)            (2)
                               m = max |g|
                g ← g · c · c,   c = √max_norm / max(√m · √q, √max_norm)                     (3)

c is 1 if ‖g‖ ≤ max_norm, also if ‖g‖ is 0. After division by the largest element m, no square overflows, and no
significant one underflows. c is the root of the factor max_norm / ‖g‖, and is in range even if ‖g‖ is not. Nothing is
read back from a device.

Source: R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent networks, 2012, algorithm 1
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import OptionError
from ..ops.check import check_floats
from ..ops.clip import clip
from ..options import as_number
from ..typing import Array
from .gradients import check_gradients


def clip_by_value(grads: Mapping[str, Array], limit: float) -> dict[str, Array]:
    """Clip each element to ±limit, (1).

    Parameters
        grads : from a network's backward; they are not modified
        limit : > 0
    Returns
        new gradients with the same names
    Raises
        OptionError, DTypeError

    >>> import numpy as np
    >>> clip_by_value({"weight": np.array([3.0, -0.5])}, 1.0)
    {'weight': array([ 1. , -0.5])}
    """
    limit = as_number("clip_by_value", "limit", limit, "(0, inf)")
    check_gradients("clip_by_value", grads)
    for g in grads.values():
        check_floats("clip_by_value", g)
    return {name: clip(g, -limit, limit) for name, g in grads.items()}  # (1)


def clip_by_norm(grads: Mapping[str, Array], max_norm: float) -> tuple[dict[str, Array], Array]:
    """Scale all gradients by one number, so that their global norm is at most max_norm, (2) and (3).

    Parameters
        grads : from a network's backward, of the same dtype; they are not modified
        max_norm : > 0
    Returns
        new gradients with the same names
        norm : ‖g‖ before clipping, Array (); infinite only if it exceeds the range of the dtype
    Raises
        OptionError, DTypeError

    >>> import numpy as np
    >>> clip_by_norm({"weight": np.array([3.0, 0.0]), "bias": np.array([4.0])}, 1.25)
    ({'weight': array([0.75, 0.  ]), 'bias': array([1.])}, np.float64(5.0))
    """
    max_norm = as_number("clip_by_norm", "max_norm", max_norm, "(0, inf)")
    check_gradients("clip_by_norm", grads)
    if not any(0 not in g.shape for g in grads.values()):
        got = "none" if not grads else f"{len(grads)} without a number"
        raise OptionError("clip_by_norm", "at least one gradient", got)
    xp = check_floats("clip_by_norm", *grads.values())
    sizes = [xp.abs(g) for g in grads.values() if 0 not in g.shape]
    m: Any = xp.max(xp.stack([xp.max(size) for size in sizes]))  # ()
    m = xp.where((m > 0) & (m < math.inf), m, xp.ones_like(m))  # no division by 0, infinity or NaN
    squares: Any = sum(xp.sum((size / m) ** 2) for size in sizes)
    q = xp.sqrt(squares)  # ()                                                               (2)
    root = min(math.sqrt(max_norm), float(xp.finfo(q.dtype).max))
    c = root / clip(xp.sqrt(m) * xp.sqrt(q), root)  # ()                                     (3)
    return {name: g * c * c for name, g in grads.items()}, m * q
