"""Shared by the tests of the fast implementations for NumPy: inputs in many memory orders, threads that really run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from xpcnn.kernels import pool_pieces, threads
from xpcnn.kernels.batch_last import MINIMUM_BATCH
from xpcnn.ops.window import Window

DTYPES = ("float32", "float64")
BATCHES = (
    MINIMUM_BATCH,
    9,
    17,
    33,
    129,
    300,
)  # odd ones; more than a product takes at once
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


# Two by two without overlap, with and without a remainder; overlapping; padded; gaps; one tap; beyond the padding.
WINDOWS = [
    (Window(2, 2), (6, 8)),
    (Window(2, 2), (7, 5)),
    (Window((3, 2), (3, 2)), (7, 5)),
    (Window(2, 2, ceil=True), (7, 5)),
    (Window(3, 2, padding=1), (7, 6)),
    (Window(3, 1, "same"), (4, 5)),
    (Window(2, 3), (8, 9)),
    (Window((2, 1), (1, 2), dilation=(2, 1)), (5, 6)),
    (Window(2, 2, dilation=2), (6, 7)),
    (Window(1, 1), (3, 4)),
    (Window(3, 2, (2, 0, 0, 1), (1, 2), ceil=True), (6, 7)),
    (Window((4, 5), (2, 3), (3, 3, 4, 4)), (5, 4)),
]


# The number of elements in a piece: all at once, a run cut in two, a column or so.
PIECES = st.sampled_from([pool_pieces.PIECE, 40, 100])


def orders(x: np.ndarray) -> dict[str, np.ndarray]:
    """The same array (N, …) in several memory orders; nobody may write into any of them."""
    batch_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    wider = np.zeros(tuple(2 * size for size in x.shape), x.dtype)
    strided = wider[tuple(slice(None, None, 2) for _ in x.shape)]
    strided[...] = x
    turned = np.ascontiguousarray(x[::-1])[::-1]
    result = {
        "C": np.ascontiguousarray(x),
        "F": np.asfortranarray(x),
        "batch last": batch_last,
        "strided": strided,
        "turned": turned,
    }
    for each in result.values():
        assert (each == x).all() or np.isnan(x).any()
        each.flags.writeable = False
    return result


def is_batch_last(x: np.ndarray) -> bool:
    """True if (N, …) lies in memory as a C-contiguous (…, N)."""
    return bool(np.moveaxis(x, 0, -1).flags.c_contiguous)


def assert_same(actual: Any, expected: Any, factor: float = 1.0) -> None:
    """The same dtype, shape and, to rounding, values; None where there is none."""
    if expected is None:
        assert actual is None
        return
    assert type(actual) is np.ndarray
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    scale = max(1.0, np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0))
    atol = factor * TOLERANCE[str(expected.dtype)] * scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def assert_independent_of_threads(run: Callable[[], list[np.ndarray]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits with one thread and with several, and when run again."""
    monkeypatch.setattr(threads, "_ALONE", 0.0)
    results = []
    for number in ("1", "2", "4", "8", "8"):
        monkeypatch.setenv("XPCNN_NUM_THREADS", number)
        results.append([np.ascontiguousarray(each).tobytes() for each in run()])
    assert all(each == results[0] for each in results)


def steps(x: np.ndarray) -> list[int]:
    """The strides of the axes along which there is something to step to."""
    return [stride for stride, size in zip(x.strides, x.shape, strict=True) if size > 1]
