"""An optimizer's step on CuPy: one kernel for many parameters.

A thread updates one number p of one parameter, with its gradient g and its slots, by the C text that the optimizer
gives beside its equations. The arrays are parameters of the kernel, so that nothing has to be copied to the device; as
many as fit into 4 KB, which is all that older devices take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cache
from hashlib import sha256
from typing import Any

from .cases import normal
from .kernel import Array, Kernel, refuses_kind
from .proof import AGREES, LIMITS, difference, remembered

MOST_BYTES = 3900  # of a kernel's parameters
_ARRAY_BYTES, _END_BYTES = 32, 8  # of a flat array, and of where it ends among the threads


def refuses(optimizer: Any, rows: Sequence[tuple[Array, ...]]) -> str | None:
    """The reason why these (p, g, *slots) cannot be updated together, or None."""
    for row in rows:
        reason = refuses_kind(*row)
        if reason is not None:
            return reason
        if any(array.dtype != rows[0][0].dtype for array in row):
            return "arrays of several dtypes"
        if not all(array.flags.c_contiguous for array in row):
            return "arrays that are not contiguous"
    said = verdict(optimizer)
    return None if said == AGREES else f"on this device, {said}"


def verdict(optimizer: Any) -> str:
    """Whether the kernel agrees with `update` on the current device, or what is wrong."""
    return remembered(f"{type(optimizer).__name__}: {optimizer.in_c()[0]}", lambda: _compare(optimizer))


def step(code: str, numbers: Mapping[str, float], slots: tuple[str, ...], rows: Sequence[tuple[Array, ...]]) -> None:
    """Run the C text for each number of all parameters; rows are (p, g, *slots)."""
    together = max(1, MOST_BYTES // (_ARRAY_BYTES * (2 + len(slots)) + _END_BYTES))
    for first in range(0, len(rows), together):
        part = [[array.reshape(-1) for array in row] for row in rows[first : first + together]]
        ends = [0]
        for p, *_ in part:
            ends.append(ends[-1] + p.size)
        kernel = _kernel(code, tuple(numbers), slots, len(part))
        gradients = [row[1] for row in part]
        written = [array for p, _, *more in part for array in (p, *more)]
        kernel(*gradients, *ends[1:], *numbers.values(), *written, size=ends[-1])


@cache
def _kernel(code: str, numbers: tuple[str, ...], slots: tuple[str, ...], count: int) -> Kernel:
    each = range(count)
    reads = [f"raw T g_{n}" for n in each] + [f"index end_{n}" for n in each] + [f"T {name}" for name in numbers]
    text = " else ".join(_branch(code, slots, n) for n in each)
    return Kernel(
        f"step_{sha256(repr((code, slots, count)).encode()).hexdigest()[:12]}",
        ", ".join(reads),
        ", ".join(f"raw T {letter}_{n}" for n in each for letter in ("p", *slots)),
        text,
    )


def _branch(code: str, slots: tuple[str, ...], n: int) -> str:
    own = ("p", *slots)
    start = f"end_{n - 1}" if n else "0"
    read = ", ".join(f"{letter} = {letter}_{n}[at]" for letter in (*own, "g"))
    written = " ".join(f"{letter}_{n}[at] = {letter};" for letter in own)
    return f"if (i < end_{n}) {{ index at = i - {start}; T {read}; {code} {written} }}"


def _compare(optimizer: Any) -> str:
    """Three steps of two small parameters, with `update` and with the kernel."""
    for dtype, limit in LIMITS.items():
        ends = []
        for at_once in (False, True):
            twin = copy(optimizer)
            p = [normal(dtype, 5, 4), normal(dtype, 3)]
            kept = [[0 * each for _ in twin.slots] for each in p]
            for seed in range(3):
                twin.steps = seed + 1
                gradients = [normal(dtype, *each.shape, seed=seed + 1) for each in p]
                rows = [(each, g, *slots) for each, g, slots in zip(p, gradients, kept, strict=True)]
                if at_once:
                    code, numbers = twin.in_c()
                    step(code, numbers, twin.slots, rows)
                else:
                    twin.update_each(rows)
            ends.append([*p, *(array for arrays in kept for array in arrays)])
        worst = max(difference(b.get(), a.get()) for a, b in zip(*ends, strict=True))
        if not worst <= limit:
            return f"differs from the reference by {worst:.1e} in {dtype}"
    return AGREES
