"""Whether two arrays differ, at the speed of memory."""

from __future__ import annotations

from .loop import In1, Sums1, exact, loop

PIECE = 4096


@exact
def unlike(a: float, b: float) -> float:
    return 0.0 if a == b else 1.0


@loop
def differ(a: In1, b: In1, found: Sums1) -> None:
    """found[0] ← 1 if a number differs, else 0; NaN differs from NaN."""
    found[0] = 0.0
    for start in range(0, len(a), PIECE):
        part_a, part_b = a[start : start + PIECE], b[start : start + PIECE]
        count = 0.0
        for k in range(len(part_a)):
            count += unlike(part_a[k], part_b[k])
        if count > 0:
            found[0] = 1.0
            return
