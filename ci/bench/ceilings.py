"""The machine's limits: the rates of a large matrix product, and of copying."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def measure(threads: int, seconds: float) -> dict[str, float]:
    """The best rates of all tries, on all threads: GFLOP/s of a 1024³ sgemm, and GB/s (read and written) of copying."""
    return {"gflops": 2 * 1024**3 / _product(seconds) / 1e9, "gb_per_s": _copying(threads, seconds)}


def _product(seconds: float) -> float:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((1024, 1024), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    return _best(lambda: np.matmul(a, b, out=out), seconds)


def _copying(threads: int, seconds: float) -> float:
    """Each thread copies its part, because NumPy copies with one thread; 64 MiB per thread is more than caches hold."""
    size = 2**24  # float32
    parts = [(np.ones(size, np.float32), np.zeros(size, np.float32)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))

        return 2 * 4 * size * threads / _best(copy, seconds) / 1e9


def _best(run: Callable[[], object], seconds: float) -> float:
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begun)
    return best
