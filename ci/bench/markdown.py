"""The README's tables of a run."""

from __future__ import annotations

from typing import Any

from . import figures
from .figures import Measured, between, number
from .peers import OTHERS

COLUMNS = (("xpcnn", "xpcnn"), ("xpcnn numba", "numba"))  # a peer, and its name in the head
SHORT = {"torch": "", "torch channels_last": "", "torch frozen": " f", "torch compiled": " c"}
TITLES = (
    ("training", "training step, ms"),
    ("inference", "inference, ms"),
    ("convolution", "a convolution of 64 images of 28×28, 16 → 32 channels, 3×3, but …, ms"),
)


def markdown(result: dict[str, Any]) -> str:
    """Milliseconds of xpcnn, PyTorch and ONNX Runtime; below them the memory, other libraries, and the machine."""
    lines: list[str] = []
    for what, title in TITLES:
        lines += _speed(title, result.get(what, []))
    lines += _memory(result) + _others(result)
    about = result["machine"]
    versions = {peer.split()[0]: each["version"] for peer, each in result["peers"].items() if "version" in each}
    named = ", ".join(f"{library} {version}" for library, version in versions.items())
    lines += [
        "",
        f"{about['cpu']}, {about['threads']} threads, {about['blas']}, Python {about['python']}, NumPy "
        f"{about['numpy']}; {named}; {about['date'][:10]}, xpcnn at {about['commit']}. Medians over {_rounds(result)} "
        "rounds in turn; bold is how many times as fast xpcnn is, in brackets the quartiles within a round. PyTorch is "
        "eager in the faster of its memory formats, or, in inference, traced and frozen (f) or compiled (c) where that "
        "is faster.",
    ]
    return "\n".join(lines)


def _speed(title: str, cases: list[dict[str, Any]]) -> list[str]:
    """A row for each case: PyTorch and ONNX Runtime, then each form of xpcnn and its ratio to them."""
    onnx = any("rounds" in case["peers"].get("onnxruntime", {}) for case in cases)
    rows = []
    for case in cases:
        measured: Measured = case["peers"]
        best = figures.bar(measured)
        row = [_name(case), _ms(measured, best) + SHORT.get(best or "", "")]
        row += [_ms(measured, "onnxruntime")] if onnx else []
        for peer, _ in COLUMNS:
            row += [_ms(measured, peer), _ratio(measured, best, peer)]
            row += [_ratio(measured, "onnxruntime", peer)] if onnx else []
        rows.append(row)
    head = [title, "PyTorch", *(["ONNX Runtime"] if onnx else [])]
    for _, name in COLUMNS:
        head += [name, "PyTorch / it", *(["ONNX R. / it"] if onnx else [])]
    return _table(head, rows)


def _memory(result: dict[str, Any]) -> list[str]:
    rows = []
    for case in result.get("memory", []):
        measured: Measured = case["peers"]
        best = figures.bar_memory(measured)
        growth = {peer: measured[peer]["growth"] for peer in measured if "growth" in measured[peer]}
        row = [_name(case), number(growth[best]) if best else "—"]
        for peer, _ in COLUMNS:
            row += [number(growth[peer]) if peer in growth else "—"]
            row += [f"**{growth[best] / growth[peer]:.2f}**" if best and growth.get(peer) else "—"]
        rows.append(row)
    head = ["MiB that a training step adds", "PyTorch"]
    return _table([*head, *(each for _, name in COLUMNS for each in (name, "PyTorch / it"))], rows)


def _others(result: dict[str, Any]) -> list[str]:
    """The other libraries' times as multiples of xpcnn's."""
    there = [peer for peer in OTHERS if "version" in result["peers"].get(peer, {})]
    cases = [(what, case) for what in ("training", "inference") for case in result.get(what, [])]
    rows = [
        [
            f"{_name(case)}, {what}",
            _ms(case["peers"], "xpcnn"),
            *(f"{_ms(case['peers'], peer)} ({_times(case['peers'], peer)})" for peer in there),
        ]
        for what, case in cases
    ]
    return _table(["ms (times xpcnn's)", "xpcnn", *there], rows) if there else []


def _name(case: dict[str, Any]) -> str:
    return str(case["name"]) if "name" in case else f"{case['net']}, {case['batch']}"


def _rounds(result: dict[str, Any]) -> str:
    """As many as there were: 7, or 5 to 7."""
    cases = [case for what, _ in TITLES for case in result.get(what, [])]
    each = {len(case["peers"]["xpcnn"]["rounds"]) for case in cases if "rounds" in case["peers"]["xpcnn"]}
    return str(min(each)) if len(each) == 1 else f"{min(each)} to {max(each)}" if each else "no"


def _ms(measured: Measured, peer: str | None) -> str:
    seconds = figures.seconds(measured, peer) if peer else None
    return number(1000 * seconds) if seconds is not None else "—"


def _ratio(measured: Measured, peer: str | None, to: str) -> str:
    ratio = figures.ratio(measured, peer, to) if peer else None
    return f"**{ratio.median:.2f}** ({between(ratio.low, ratio.high)})" if ratio else "—"


def _times(measured: Measured, peer: str) -> str:
    ratio = figures.ratio(measured, peer)
    return number(ratio.median) if ratio else "—"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return ["", *("| " + " | ".join(line) + " |" for line in lines)]
