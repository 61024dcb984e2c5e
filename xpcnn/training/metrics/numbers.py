"""What all metrics take: real numbers of any array library, which are computed on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import refuse_mask, to_numpy
from ...errors import DTypeError, NonFiniteError, OptionError, ShapeError
from ...typing import NDArray


def real(name: str, given: Any) -> NDArray:
    """The numbers on the host, in their own dtype.

    Raises
        DTypeError : they are not real numbers, or some are masked;  ShapeError : rows of different lengths
    """
    refuse_mask(f"metrics: {name}", given)
    try:
        host = to_numpy(given)
    except (TypeError, ValueError):
        if isinstance(given, list | tuple):  # rows of different lengths
            got = f"a {type(given).__name__} of others"
            raise ShapeError("metrics", f"{name} in rows of one length", got) from None
        # such as PyTorch's bfloat16
        raise DTypeError("metrics", f"{name} of a dtype that NumPy has", str(getattr(given, "dtype", given))) from None
    if host.dtype.kind not in "biuf":
        raise DTypeError("metrics", f"{name} that are real numbers", f"{type(given).__name__} of dtype {host.dtype}")
    return host


def alike(outputs: Any, targets: Any) -> tuple[NDArray, NDArray]:
    """Outputs and targets of one shape, finite, as float64.

    Raises
        ShapeError, DTypeError; NonFiniteError : NaN or infinity
    """
    outputs, targets = real("outputs", outputs), real("targets", targets)
    if outputs.shape != targets.shape or not outputs.size:
        raise ShapeError("metrics", "outputs and targets of one shape", f"{outputs.shape} and {targets.shape}")
    for name, array in (("outputs", outputs), ("targets", targets)):
        if not np.isfinite(array).all():
            raise NonFiniteError("metrics", f"finite {name}", "NaN or infinity")
    return outputs.astype(np.float64), targets.astype(np.float64)


def yes_or_no(targets: NDArray) -> NDArray:
    """Targets of 0 and 1 as booleans.

    Raises
        OptionError : there are other numbers
    """
    if not np.isin(targets, (0, 1)).all():
        other = targets[~np.isin(targets, (0, 1))].flat[0]
        raise OptionError("metrics", "targets of 0 and 1", str(other))
    return targets.astype(bool)
