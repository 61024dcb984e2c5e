"""Whether two arrays differ, at the speed of memory."""

from __future__ import annotations

from .loop import In1, Sums1, loop

PIECE = 4096


@loop
def differ(a: In1, b: In1, found: Sums1) -> None:
    """found[0] ← 1 if a number differs, else 0; NaN differs from NaN."""
    found[0] = 0.0
    for start in range(0, len(a), PIECE):
        count = 0
        for k in range(start, min(start + PIECE, len(a))):
            count += a[k] != b[k]
        if count > 0:
            found[0] = 1.0
            return
