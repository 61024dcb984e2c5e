"""Copy a state, such as that of a file, into the arrays that networks and optimizers have: all of it, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .backend import array_namespace, dtype_name, to_numpy
from .errors import FormatError
from .typing import Array


def copy_into(own: Mapping[str, Array], given: Mapping[str, Any], who: str, *, apart: bool = False) -> None:
    """Copy arrays of any backend into these, name by name.

    Parameters
        apart : the given arrays share no memory with these, like those of a file, so that no copies are needed first
    Raises
        FormatError : shapes do not match, they hold no real numbers, or such as are too large for the type here; in
            this case nothing is changed
    """
    ready = {}
    for name, array in own.items():
        host = np.array(to_numpy(given[name]), copy=None if apart else True)
        if host.shape != tuple(array.shape):
            raise FormatError(who, f"{name} {tuple(array.shape)}", str(host.shape), "build the same network")
        if host.dtype.kind not in "fiub":
            raise FormatError(who, f"real numbers in {name}", str(host.dtype))
        if host.dtype == np.float64 and dtype_name(array) == "float32":
            with np.errstate(over="ignore"):
                narrow = host.astype(np.float32)
            if large := host[np.isinf(narrow) & ~np.isinf(host)].ravel()[:1].tolist():
                raise FormatError(who, f"numbers of float32 in {name}", f"{large[0]:.3g}", "use float64 here, too")
            host = narrow
        ready[name] = array_namespace(array).asarray(host, dtype=array.dtype, device=array.device)
    for name, array in own.items():
        array[...] = ready[name]
