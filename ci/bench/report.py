"""Formats a run's document as plain-text tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from xpcnn.table import columns

from . import figures
from .figures import Measured, Spread


def text(result: dict[str, Any]) -> str:
    """All tables for which there are figures."""
    parts = [header(result)]
    missing = {peer for peer, each in result["peers"].items() if "reason" in each}  # the header states them
    for what, title in (("training", "Training step"), ("inference", "Inference")):
        if result.get(what):
            parts.append(f"{title}: ms, and how many times as long as xpcnn\n" + _speed(result[what], missing))
    if result.get("memory"):
        kind = "of the GPU's memory" if result["machine"].get("backend") == "cupy" else "of resident size"
        parts.append(f"Memory of a training step, MiB {kind}\n" + _memory(result["memory"], missing))
    parts += [_layers(table, result["ceilings"]) for table in result.get("layers", [])]
    if result.get("sweep"):
        parts.append("One convolution, forward and backward\n" + _sweep(result["sweep"]))
    if (disturbed := figures.disturbed(result)) is not None and disturbed > 0:
        parts.append(
            f"Other programs used the machine in {disturbed:.0%} of the rounds: figures of an idle machine differ."
        )
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


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def between(low: float, high: float) -> str:
    return f"{low:.2f}–{high:.2f}"


def _speed(cases: list[dict[str, Any]], missing: set[str]) -> str:
    rows: list[tuple[str, ...]] = []
    reasons: list[tuple[str, str, str]] = []
    for case in cases:
        measured: Measured = case["peers"]
        name, best = f"{case['net']} b{case['batch']}", figures.bar(measured)
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


def _layers(measured: dict[str, Any], ceilings: dict[str, float]) -> str:
    step = measured["step"]
    top, copy = ceilings["gflops"], ceilings["gb_per_s"]
    rows: list[tuple[str, ...]] = []
    for row in measured["rows"]:
        total = row["forward"] + row["backward"]
        cells: list[str] = [f"{row['name']} {row['type']}", "×".join(map(str, row["output"][1:]))]
        if not total:
            rows.append((*cells, *["—"] * 7))
            continue
        cells += [f"{1000 * row['forward']:.3f}", f"{1000 * row['backward']:.3f}", f"{total / step:.1%}"]
        for key, ceiling in (("gflops", top), ("gb_per_s", copy)):
            for way in ("forward", "backward"):
                rate = row[f"{key}_{way}"]
                cells.append(f"{rate:.1f} ({rate / ceiling:.0%})" if rate else "—")
        rows.append(tuple(cells))
    inside = sum(row["forward"] + row["backward"] for row in measured["rows"])
    rest = step - inside
    rows.append(("loss, optimizer, containers", "", "", f"{1000 * rest:.3f}", f"{rest / step:.1%}", *[""] * 4))
    head = ("layer", "output", "forward ms", "backward ms", "of step", "GFLOP/s f", "b", "GB/s f", "b")
    title = (
        f"Layers of {measured['net']}, batch {measured['batch']}: step {1000 * step:.2f} ms; in brackets the share of "
        f"sgemm's {top:.0f} GFLOP/s and of copying's {copy:.1f} GB/s"
    )
    return title + "\n" + columns(head, rows, left=(0, 1))


def _sweep(axes: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = []
    cliffs: list[tuple[str, ...]] = []
    worst: tuple[float, str] | None = None
    for axis in axes:
        label = axis["axis"]
        costs: dict[str, list[tuple[int, float]]] = {"xpcnn": [], "torch": []}
        for point in axis["points"]:
            measured, batch = point["peers"], point["geometry"]["batch"]
            best = figures.bar(measured)
            cells = []
            for who, peer in (("xpcnn", "xpcnn"), ("torch", best)):
                time = figures.seconds(measured, peer) if peer else None
                if time is None:
                    cells += ["—", "—"]
                    continue
                cost = time / point["multiply_adds"] * 1e9
                costs[who].append((point["value"], cost))
                cells += [number(time / batch * 1e6), f"{cost:.4f}"]
            ratio = figures.ratio(measured, "xpcnn", best) if best else None
            slower = f"{ratio.median:.2f}" if ratio else "—"
            if ratio and (worst is None or ratio.median > worst[0]):
                worst = (ratio.median, f"{label} {point['value']}")
            rows.append((label, str(point["value"]), str(batch), *cells, slower))
        cliffs.append((axis["axis"], *_cliff(costs["xpcnn"]), *_cliff(costs["torch"])))
    head = ("axis", "", "batch", "xpcnn µs/image", "ns/madd", "torch µs/image", "ns/madd", "xpcnn/torch")
    lines = [columns(head, rows), "", "Largest jump of ns/madd between neighbours"]
    lines.append(columns(("axis", "xpcnn", "at", "torch", "at"), cliffs))
    if worst:
        lines.append(f"Worst xpcnn/torch: {worst[0]:.2f}, at {worst[1]}")
    return "\n".join(lines)


def _cliff(costs: list[tuple[int, float]]) -> tuple[str, str]:
    jumps: Iterator[tuple[float, str]] = (
        (max(a, b) / min(a, b), f"{at} → {to}") for (at, a), (to, b) in pairwise(costs)
    )
    factor, where = max(jumps, default=(1.0, "—"))
    return f"{factor:.2f}", where
