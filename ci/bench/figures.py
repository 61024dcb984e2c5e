"""Computes figures from rounds: medians, ratios within a round, and their spread."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from .peers import BAR

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
    measured = [case["peers"]["xpcnn"] for what in ("training", "inference") for case in result.get(what, [])]
    measured += [point["peers"]["xpcnn"] for axis in result.get("sweep", []) for point in axis["points"]]
    rounds = sum(len(each["rounds"]) for each in measured)
    return sum(each.get("disturbed", 0) for each in measured) / rounds if rounds else None


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
