"""The README's table of a run."""

from __future__ import annotations

from typing import Any

from . import figures
from .figures import Measured
from .peers import BAR
from .report import between, number


def markdown(result: dict[str, Any]) -> str:
    """Milliseconds of xpcnn and PyTorch; below it the memory, then the machine."""
    lines = _speed(result) + _memory(result)
    about = result["machine"]
    versions = ", ".join(
        f"{peer} {each['version']}" for peer, each in result["peers"].items() if "version" in each and peer != BAR[1]
    )
    lines += [
        "",
        f"{about['cpu']}, {about['threads']} threads, {about['blas']}, Python {about['python']}, NumPy "
        f"{about['numpy']}; {versions}; {about['date'][:10]}. Medians over rounds in turn, in brackets "
        "the quartiles of the ratio within a round; PyTorch eager in the faster of its two memory formats. Above 1, "
        "xpcnn is better.",
    ]
    return "\n".join(lines)


def _speed(result: dict[str, Any]) -> list[str]:
    rows = []
    for what, name in (("training", "training step"), ("inference", "inference")):
        for case in result.get(what, []):
            measured: Measured = case["peers"]
            best = figures.bar(measured)
            ratio = figures.ratio(measured, best) if best else None
            shown = f"**{ratio.median:.2f}** ({between(ratio.low, ratio.high)})" if ratio else "—"
            times = (_ms(measured, peer) for peer in ("xpcnn", best))
            rows.append([f"{case['net']}, {name}, batch {case['batch']}", *times, shown])
    return _table(["ms", "xpcnn", "PyTorch", "PyTorch / xpcnn"], rows)


def _memory(result: dict[str, Any]) -> list[str]:
    rows = []
    for case in result.get("memory", []):
        measured: Measured = case["peers"]
        best = figures.bar_memory(measured)
        growth = {peer: measured[peer]["growth"] for peer in measured if "growth" in measured[peer]}
        shown = f"**{growth[best] / growth['xpcnn']:.2f}**" if best and growth.get("xpcnn") else "—"
        sizes = (number(growth[peer]) if peer in growth else "—" for peer in ("xpcnn", best or ""))
        rows.append([f"{case['net']}, training step, batch {case['batch']}", *sizes, shown])
    return _table(["MiB that a step adds", "xpcnn", "PyTorch", "PyTorch / xpcnn"], rows)


def _ms(measured: Measured, peer: str | None) -> str:
    seconds = figures.seconds(measured, peer) if peer else None
    return number(1000 * seconds) if seconds is not None else "—"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return ["", *("| " + " | ".join(line) + " |" for line in lines)]
