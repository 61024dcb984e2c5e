"""Whether the kernels of an operation agree with its reference, on this device.

Where an operation first meets an array of CuPy's, its implementation here runs the small cases of `cases.py`, and so
does the reference, with CuPy's own functions. The verdict is kept in the user's cache folder, for this device, driver,
version of CuPy and these kernels' text. An implementation that disagrees, or cannot be compiled, refuses every call,
and a warning says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from ...backend import to_numpy
from ...ops import dispatch
from ...ops.implementations import Implementation

LIMITS = {"float32": 1e-4, "float64": 1e-10}  # largest difference, relative to the largest number
AGREES = "agrees"
_lock = RLock()
_said: dict[tuple[str, int], str] = {}  # by name and device


def proven(
    op: str, refuses: Callable[..., str | None], forward: Callable[..., Any], backward: Any = None
) -> Implementation:
    """The implementation, which refuses everything on a device where it disagrees with the reference."""

    def refuses_also(*args: Any, **options: Any) -> str | None:
        reason = refuses(*args, **options)
        if reason is not None:
            return reason
        said = verdict(op)
        return None if said == AGREES else f"on this device, {said}"

    return Implementation("cuda", refuses_also, forward, backward)


def verdict(op: str) -> str:
    """What the comparison of that operation's kernels with the reference says on the current device."""
    return remembered(op, lambda: _compare(op))


def operations() -> tuple[str, ...]:
    """The operations that have such kernels."""
    return tuple(
        op for op in dispatch.operations() if any(each.name == "cuda" for each in dispatch.implementations(op))
    )


def remembered(name: str, compare: Callable[[], str]) -> str:
    """The verdict of that name on the current device: `AGREES`, or what is wrong; found out once."""
    import cupy

    device = cupy.cuda.Device().id
    said = _said.get((name, device))
    if said is not None:
        return said
    with _lock:
        path, key = _path(device)
        said = _read(path).get(key, {}).get(name)
        if said != AGREES:
            said = _find_out(compare)
            known = _read(path)  # again: another process may have written
            known.setdefault(key, {})[name] = said
            _write(path, known)
        if said != AGREES:
            left_out = f"the CUDA kernels of {name} are left out on this device: {said}"
            warnings.warn(left_out, RuntimeWarning, stacklevel=2)
        _said[name, device] = said
        return said


def _find_out(compare: Callable[[], str]) -> str:
    from cupyx import allow_synchronize

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of allow_synchronize itself, and of overflows on the stand-in
        with allow_synchronize(True):
            try:
                return compare()
            except Exception as error:  # whatever a compiler or driver raises
                return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _compare(op: str) -> str:
    """Run both on the cases of that operation."""
    from .cases import CASES

    (own,) = (each for each in dispatch.implementations(op) if each.name == "cuda")
    reference = dispatch.implementations(op)[-1]
    for dtype, limit in LIMITS.items():
        for number, make in enumerate(CASES[op]):
            expected, found = (_results(each, *make(dtype)) for each in (reference, own))
            worst = max(map(difference, found, expected), default=0.0) if len(found) == len(expected) else np.inf
            if not worst <= limit:
                return f"differs from the reference by {worst:.1e} in {dtype}, case {number}"
    return AGREES


def _results(implementation: Implementation, args: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
    """All arrays that it computes, on the host; of an operation with a cache, the gradients, too."""
    made = implementation.forward(*args, **options)
    if implementation.backward is None:
        return _arrays(made)
    from .cases import normal

    y, cache, *more = made
    given = (normal(str(y.dtype), *y.shape, seed=9), cache) if y.ndim else (cache,)  # a loss has no dy
    return _arrays([y, *more, implementation.backward(*given)])


def _arrays(made: Any) -> list[Any]:
    if isinstance(made, tuple | list):
        return [array for each in made for array in _arrays(each)]
    return [] if made is None else [to_numpy(made)]


def difference(found: Any, expected: Any) -> float:
    """The largest difference of two arrays of numbers, relative to the largest expected one."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    fits = np.isfinite(expected)
    if not np.array_equal(found[~fits], expected[~fits], equal_nan=True):
        return float("inf")
    differences = np.abs(found[fits].astype("f8") - expected[fits].astype("f8"))
    return float(differences.max(initial=0.0) / (np.abs(expected[fits]).max(initial=0.0) or 1.0))


def _path(device: int) -> tuple[Path, str]:
    """The file of verdicts, and the key of this device's."""
    import cupy
    from platformdirs import user_cache_path

    runtime = cupy.cuda.runtime
    name = runtime.getDeviceProperties(device)["name"].decode()
    texts = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    key = f"{name}, driver {runtime.driverGetVersion()}, CUDA {runtime.runtimeGetVersion()}, CuPy {cupy.__version__}"
    return user_cache_path("xpcnn") / "cuda.json", f"{key}, kernels {hashlib.sha256(texts).hexdigest()[:16]}"


def _read(path: Path) -> dict[str, Any]:
    """The file's verdicts; none where there is no such file, or another one."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return known if all(isinstance(each, dict) for each in known.values()) else {}
    except (OSError, ValueError, AttributeError):
        return {}


def _write(path: Path, known: dict[str, Any]) -> None:
    """Keep them; where the folder cannot be written, the next process compares again."""
    made = path.with_name(f".cuda-{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(known, indent=1), encoding="utf-8")
        made.replace(path)
