"""Formats a run's document as plain-text tables."""

from __future__ import annotations

from typing import Any

from xpcnn.table import columns

from . import figures, profile_tables, sweep_table
from .figures import Measured, Spread, between, number

TIMED = (("training", "Training step"), ("inference", "Inference"), ("convolution", "Convolution, forward, backward"))


def text(result: dict[str, Any]) -> str:
    """All tables for which there are figures."""
    parts = [header(result)]
    missing = {peer for peer, each in result["peers"].items() if "reason" in each}  # the header states them
    for what, title in TIMED:
        if result.get(what):
            parts.append(f"{title}: ms, and how many times as long as xpcnn\n" + _speed(result[what], missing))
    if result.get("memory"):
        kind = "of the GPU's memory" if result["machine"].get("backend") == "cupy" else "of resident size"
        parts.append(f"Memory of a training step, MiB {kind}\n" + _memory(result["memory"], missing))
    parts += profile_tables.layers(result)
    if result.get("profile"):
        parts.append(profile_tables.kinds(result))
    if result.get("sweep"):
        parts.append("One convolution, forward and backward\n" + sweep_table.table(result["sweep"]))
    if (disturbed := figures.disturbed(result)) is not None and disturbed > 0:
        parts.append(
            f"Other programs used the machine in {disturbed:.0%} of the rounds: figures of an idle machine differ."
        )
    if failed := figures.failures(result):
        parts.append("\n".join(["Failed:", *failed]))
    if not result.get("complete"):
        parts.append("This run was stopped; what stands above is what had been measured.")
    return "\n\n".join(parts)


def header(result: dict[str, Any]) -> str:
    about = result["machine"]
    there = {peer: each["version"] for peer, each in result["peers"].items() if "version" in each}
    peers = ", ".join(f"{peer} {version}" for peer, version in there.items())
    devices = [f"{peer}: {each['about']}" for peer, each in result["peers"].items() if each.get("about")]
    missing = [f"{peer}: {each['reason']}" for peer, each in result["peers"].items() if "reason" in each]
    return "\n".join(
        [
            f"{about['cpu']}, {about['cores']} cores, {about['ram_gib']} GiB, {about['system']}",
            f"Python {about['python']}, NumPy {about['numpy']}, {about['blas']}, {about['threads']} threads each",
            f"xpcnn at {about['commit']}, backend {about.get('backend', 'numpy')}, "
            f"implementation {about['implementation']}, {about['date']}",
            peers,
            *devices,
            *missing,
        ]
    )


def _speed(cases: list[dict[str, Any]], missing: set[str]) -> str:
    rows: list[tuple[str, ...]] = []
    reasons: list[tuple[str, str, str]] = []
    for case in cases:
        measured: Measured = case["peers"]
        name, best = figures.case_name(case), figures.bar(measured)
        shown = name
        for peer, each in measured.items():
            if "reason" in each:
                reasons.append((name, peer, each["reason"]))
                continue
            ratio = figures.ratio(measured, peer) if peer != "xpcnn" else None
            rows.append((shown, peer + (" *" if peer == best else ""), *_time(figures.seconds(measured, peer), ratio)))
            shown = ""
    head = ("net", "peer", "ms", "ratio", "quartiles", "min–max", "rounds")
    return "\n".join(
        [columns(head, rows, left=(0, 1)), "* the bar: PyTorch where it is fastest", *_merged(reasons, missing)]
    )


def _time(seconds: float | None, ratio: Spread | None) -> tuple[str, ...]:
    ms = number(1000 * seconds) if seconds is not None else "—"
    if ratio is None:
        return ms, "1" if ms != "—" else "—", "", "", ""
    quartiles, extremes = between(ratio.low, ratio.high), between(ratio.least, ratio.most)
    return ms, f"{ratio.median:.2f}", quartiles, extremes, str(ratio.rounds)


def _merged(reasons: list[tuple[str, str, str]], missing: set[str]) -> list[str]:
    """(net, peer, reason); a reason that holds for several nets is stated once."""
    nets: dict[str, list[str]] = {}
    for net, peer, reason in reasons:
        if peer not in missing:
            nets.setdefault(f"{peer}: {reason}", []).append(net)
    return [f"{about} ({', '.join(each)})" for about, each in nets.items()]


def _memory(cases: list[dict[str, Any]], missing: set[str]) -> str:
    rows: list[tuple[str, ...]] = []
    reasons: list[tuple[str, str, str]] = []
    for case in cases:
        measured: Measured = case["peers"]
        name, best = f"{case['net']} b{case['batch']}", figures.bar_memory(measured)
        ours, shown = measured.get("xpcnn", {}), name
        for peer, each in measured.items():
            if "reason" in each:
                reasons.append((name, peer, each["reason"]))
                continue
            ratios = [f"{each[key] / ours[key]:.2f}" if ours.get(key) else "—" for key in ("growth", "peak")]
            cells = (number(each["before"]), number(each["growth"]), ratios[0], number(each["peak"]), ratios[1])
            rows.append((shown, peer + (" *" if peer == best else ""), *cells))
            shown = ""
    head = ("net", "peer", "before the model", "growth", "ratio", "peak", "ratio")
    return "\n".join(
        [columns(head, rows, left=(0, 1)), "* the bar: PyTorch where it grows less", *_merged(reasons, missing)]
    )
