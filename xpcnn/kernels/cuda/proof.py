"""Whether the kernels of an operation agree with its reference, on this device.

Where an operation first meets an array of CuPy's, its implementation here runs the small cases of `cases.py`, and so
does the reference, with CuPy's own functions. The verdict is kept in the user's cache folder, for this device, driver,
version of CuPy and these kernels' text. An implementation that disagrees, or cannot be compiled, refuses every call, and a
warning says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from ...backend import to_numpy
from ...ops import dispatch
from ...ops.dispatch import Implementation

LIMITS = {"float32": 1e-4, "float64": 1e-10}  # largest difference, relative to the largest number
AGREES = "agrees"
_lock = RLock()


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
    """What the comparison of that operation's kernels with the reference has said on the current device."""
    import cupy

    return _verdict(op, cupy.cuda.Device().id)


def operations() -> tuple[str, ...]:
    """The operations that have such kernels."""
    return tuple(op for op in dispatch.operations() if any(each.name == "cuda" for each in dispatch.implementations(op)))


@cache
def _verdict(op: str, device: int) -> str:
    with _lock:
        path, key = _path(device)
        known = _read(path)
        said = known.get(key, {}).get(op)
        if said != AGREES:
            said = compare(op)
            known = _read(path)
            known.setdefault(key, {})[op] = said
            _write(path, known)
        if said != AGREES:
            warnings.warn(f"the CUDA kernels of {op} are left out on this device: {said}", RuntimeWarning, stacklevel=2)
        return str(said)


def compare(op: str) -> str:
    """Run both on the cases of that operation: `AGREES`, or what is wrong."""
    from cupyx import allow_synchronize

    from .cases import CASES

    (own,) = (each for each in dispatch.implementations(op) if each.name == "cuda")
    reference = dispatch.implementations(op)[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of allow_synchronize itself, and of overflows on the stand-in
        with allow_synchronize(True):
            return _compared(own, reference, CASES[op])


def _compared(own: Implementation, reference: Implementation, cases: Any) -> str:
    with np.errstate(all="ignore"):
        for dtype, limit in LIMITS.items():
            for number, make in enumerate(cases):
                try:
                    expected, found = (_results(each, *make(dtype)) for each in (reference, own))
                except Exception as error:  # whatever a compiler or driver raises
                    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                worst = max(map(_difference, found, expected), default=0.0) if len(found) == len(expected) else np.inf
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


def _difference(found: Any, expected: Any) -> float:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if not (np.isfinite(found) == np.isfinite(expected)).all():
        return float("inf")
    fits = np.isfinite(expected)
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
