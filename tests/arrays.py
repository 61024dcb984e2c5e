"""Arrays of the library under test, and their comparison: namespace, dtype and shape before values."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import xpcnn
from xpcnn.backend import current_backend, dtype_name

# For tests that compare with PyTorch's autograd; each of them imports PyTorch itself.
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is the witness")

# The largest error allowed, relative to the largest expected value (at least 1).
TOLERANCE = {"float32": 2e-5, "float64": 1e-11, "complex128": 1e-11}


class Library:
    """An array library under test; `numpy_readonly` makes read-only arrays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.backend = name.removesuffix("_readonly")

    def array(self, host: Any, dtype: str | None = None) -> Any:
        """An array of this library; NumPy arrays and lists of numbers, float64 by default."""
        host = np.array(host)
        if dtype is None and host.dtype.kind == "f":
            dtype = "float64"
        array = xpcnn.asarray(host, dtype)
        if self.name == "numpy_readonly":
            array.flags.writeable = False
        return array

    def normal(self, rng: np.random.Generator, *shape: int, dtype: str = "float64") -> tuple[np.ndarray, Any]:
        """Normally distributed numbers, on the host (in the dtype's precision) and as an array of this library."""
        host = rng.normal(size=shape).astype(dtype)
        return host, self.array(host, dtype)


def assert_close(actual: Any, expected: Any, *, dtype: str | None = None, factor: float = 1.0) -> None:
    """Check that the array belongs to the library under test, then its shape and dtype, then its values.

    Parameters
        dtype : the expected dtype's name; by default that of `expected`
        factor : multiplies the tolerance, for sums of very many terms
    """
    backend = current_backend().name
    assert type(actual).__module__.split(".")[0] == backend, f"{type(actual)} does not belong to {backend}"
    expected = np.asarray(expected)
    dtype = dtype or str(expected.dtype)
    assert dtype_name(actual) == dtype
    assert tuple(actual.shape) == expected.shape
    host = xpcnn.to_numpy(actual)
    np.testing.assert_array_equal(np.isfinite(host), np.isfinite(expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(host[~finite], expected[~finite])
    if not finite.any():
        return
    errors = np.where(finite, np.abs(np.where(finite, host, 0) - np.where(finite, expected, 0)), 0.0)
    scale = max(1.0, np.max(np.abs(expected[finite])))
    worst = np.unravel_index(np.argmax(errors), errors.shape)
    assert errors[worst] <= factor * TOLERANCE[dtype] * scale, (
        f"error {errors[worst]:.2e} at {[int(i) for i in worst]} of {expected.shape}: "
        f"{host[worst]} where {expected[worst]} is expected; values reach {scale:.2e}"
    )
