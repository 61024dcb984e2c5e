"""The sweep as plain-text tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from xpcnn.table import columns

from . import figures
from .figures import number

OURS = ("xpcnn", "xpcnn numba")
WORST = 5  # points that are named


def table(axes: list[dict[str, Any]]) -> str:
    """Each point's times, and how many times as long as PyTorch xpcnn takes; then the jumps and the worst points."""
    rows: list[tuple[str, ...]] = []
    cliffs: list[tuple[str, ...]] = []
    slower: dict[str, list[tuple[float, str]]] = {peer: [] for peer in OURS}
    for axis in axes:
        costs: dict[str, list[tuple[int, float]]] = {who: [] for who in (*OURS, "torch")}
        for point in axis["points"]:
            measured, batch, cells = point["peers"], point["geometry"]["batch"], []
            best = figures.bar(measured)
            for who, peer in (*zip(OURS, OURS, strict=True), ("torch", best)):
                if peer is None or (time := figures.seconds(measured, peer)) is None:
                    cells.append("—")
                    continue
                cells.append(number(time / batch * 1e6))
                costs[who].append((point["value"], time / point["multiply_adds"]))
            for who in OURS:
                ratio = figures.ratio(measured, who, best) if best else None
                cells.append(f"{ratio.median:.2f}" if ratio else "—")
                if ratio:
                    slower[who].append((ratio.median, f"{axis['axis']} {point['value']}"))
            rows.append((axis["axis"], str(point["value"]), str(batch), *cells))
        cliffs.append((axis["axis"], *(text for who in costs for text in _cliff(costs[who]))))
    head = ("axis", "", "batch", "xpcnn µs/image", "numba", "torch", "xpcnn/torch", "numba/torch")
    lines = [columns(head, rows), "", "Largest jump of the time of a multiply-add between neighbours"]
    lines.append(columns(("axis", "xpcnn", "at", "numba", "at", "torch", "at"), cliffs))
    for who, found in slower.items():
        worst = ", ".join(f"{factor:.2f} at {where}" for factor, where in sorted(found, reverse=True)[:WORST])
        lines.append(f"Largest {who}/torch: {worst or 'not measured'}")
    return "\n".join(lines)


def _cliff(costs: list[tuple[int, float]]) -> tuple[str, str]:
    jumps: Iterator[tuple[float, str]] = (
        (max(a, b) / min(a, b), f"{at} → {to}") for (at, a), (to, b) in pairwise(costs)
    )
    factor, where = max(jumps, default=(1.0, "—"))
    return f"{factor:.2f}", where
