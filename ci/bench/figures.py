"""Computes figures from rounds: medians, ratios within a round, and their spread."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from .peers import BAR, MUST_WORK

Measured = dict[str, dict[str, Any]]  # peer → result of rounds.measure


@dataclass(frozen=True)
class Spread:
    """The spread of a figure over the rounds."""

    median: float
    low: float  # quartiles
    high: float
    least: float
    most: float
    rounds: int


def spread(values: list[float]) -> Spread:
    if len(values) == 1:
        low = high = values[0]
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(statistics.median(values), low, high, min(values), max(values), len(values))


def disturbed(result: dict[str, Any]) -> float | None:
    """The share of xpcnn's rounds in which other programs used the machine, or None if there are no rounds."""
    cases = [case for what in ("training", "inference", "convolution") for case in result.get(what, [])]
    cases += [point for axis in result.get("sweep", []) for point in axis["points"]]
    measured = [case["peers"]["xpcnn"] for case in cases if "rounds" in case["peers"]["xpcnn"]]
    rounds = sum(len(each["rounds"]) for each in measured)
    return sum(each.get("disturbed", 0) for each in measured) / rounds if rounds else None


def failures(result: dict[str, Any]) -> list[str]:
    """What failed of the peers that must work: "training of lenet5 b64, xpcnn: failed: …"."""
    found = []
    for part in ("training", "inference", "convolution", "memory", "profile", "layers"):
        for case in result.get(part, []):
            for peer, each in case["peers"].items():
                if peer in MUST_WORK and str(each.get("reason")).startswith("failed"):
                    found.append(f"{part}, {case_name(case)}, {peer}: {each['reason']}")
    for axis in result.get("sweep", []):
        for point in axis["points"]:
            for peer, each in point["peers"].items():
                if peer in MUST_WORK and str(each.get("reason")).startswith("failed"):
                    found.append(f"sweep, {axis['axis']} {point['value']}, {peer}: {each['reason']}")
    return found


def case_name(case: dict[str, Any]) -> str:
    return str(case["name"]) if "name" in case else f"{case['net']} b{case['batch']}"


def seconds(measured: Measured, peer: str) -> float | None:
    """The median over the rounds, or None if the peer was not measured."""
    rounds = measured.get(peer, {}).get("rounds")
    return statistics.median(rounds) if rounds else None


def ratio(measured: Measured, peer: str, to: str = "xpcnn") -> Spread | None:
    """The ratio of the peer's time to that of `to`, in each round."""
    theirs, ours = (measured.get(each, {}).get("rounds") for each in (peer, to))
    if not theirs or not ours:
        return None
    return spread([a / b for a, b in zip(theirs, ours, strict=False)])


def bar(measured: Measured) -> str | None:
    """The fastest variant of PyTorch in this run."""
    timed = [(time, peer) for peer in BAR if (time := seconds(measured, peer)) is not None]
    return min(timed)[1] if timed else None


def bar_memory(measured: Measured) -> str | None:
    """The variant of PyTorch with the least memory in this run."""
    taken = [(measured[peer]["growth"], peer) for peer in BAR if "growth" in measured.get(peer, {})]
    return min(taken)[1] if taken else None


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def between(low: float, high: float) -> str:
    return f"{low:.2f}–{high:.2f}"
