"""Measures in turns: in each round, each peer runs a short burst, so that all see the same machine.

If the processor is warm, the whole round is slower, and the ratio within the round hardly changes. The order is
reversed from round to round. A burst's figure is its median step. Rounds in which other programs used the machine are
measured again, up to the same number of rounds; if there are still too few quiet ones, disturbed ones are added.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .disturbance import MOST, Others
from .errors import NotPossible
from .peers import BAR, MUST_WORK
from .processes import WorkerFailed, Workers

SETTLE = 0.05  # seconds: after work, OpenBLAS's and OpenMP's threads spin for a while before they sleep
VERY_LONG = 3.0  # seconds: if a step takes longer, its warm-up is its measurement (not for xpcnn and PyTorch)
LONG = 0.15  # seconds: if xpcnn's step takes longer, fewer rounds are enough
FEWEST = 5  # rounds
BEHIND = 1.25  # times the time of PyTorch's fastest mode: a mode that is slower than that cannot be the bar


@dataclass(frozen=True)
class Effort:
    """The amount of measurement."""

    rounds: int = 6
    burst: float = 0.25  # seconds; a step before it wakes threads, and does not count
    most_steps: int = 2000
    warm_up: int = 5  # steps


def measure(
    workers: Workers, doing: str, request: dict[str, Any], effort: Effort, peers: Collection[str]
) -> dict[str, dict[str, Any]]:
    """For each peer its answer to the request and "rounds": the median seconds of each burst.

    "disturbed" is the number of rounds in which other programs used the machine. A peer that cannot do it, fails, or
    computes something else has {"reason": …} instead, and the others are measured.
    """
    results: dict[str, dict[str, Any]] = {}
    for peer in peers:
        results[peer] = _prepared(workers, peer, doing, request, effort)
    for peer, wrong in _wrong_ones(results).items():
        results[peer] = workers.failed(peer, WorkerFailed(f"{peer}, {doing}: {wrong}"))
    fastest = {peer: min(result["first"]) for peer, result in results.items() if "first" in result}
    running = _worth_rounds(fastest)
    rounds = min(effort.rounds, FEWEST) if fastest.get("xpcnn", 0.0) > LONG else effort.rounds
    quiet: list[dict[str, float]] = []
    disturbed: list[dict[str, float]] = []
    while running and len(quiet) < rounds and len(quiet) + len(disturbed) < 2 * rounds:
        turn = len(quiet) + len(disturbed)
        try:
            medians, others = _round(workers, running if turn % 2 == 0 else running[::-1], fastest, effort)
        except _Failed as failure:
            running.remove(failure.peer)
            del fastest[failure.peer]
            results[failure.peer] = workers.failed(failure.peer, failure.error)
            continue
        (quiet if others <= MOST else disturbed).append(medians)
    kept = (quiet + disturbed)[:rounds]
    for peer in fastest:
        if peer in running:
            results[peer] |= {"rounds": [each[peer] for each in kept], "disturbed": max(0, len(kept) - len(quiet))}
        else:
            results[peer]["rounds"] = [fastest[peer]]
    for peer in fastest:
        with suppress(WorkerFailed):
            workers.alive[peer].ask("drop")
    return results


def _worth_rounds(fastest: dict[str, float]) -> list[str]:
    """The peers that are measured in rounds; the others' warm-up is their measurement."""
    best = min((fastest[peer] for peer in BAR if peer in fastest), default=0.0)
    slow = {peer for peer in BAR if fastest.get(peer, 0.0) > max(LONG / 2, BEHIND * best)}
    slow |= {peer for peer, seconds in fastest.items() if seconds > VERY_LONG and peer not in MUST_WORK}
    return [peer for peer in fastest if peer not in slow]


class _Failed(Exception):
    def __init__(self, peer: str, error: WorkerFailed) -> None:
        self.peer, self.error = peer, error


def _prepared(workers: Workers, peer: str, doing: str, request: dict[str, Any], effort: Effort) -> dict[str, Any]:
    """The peer's results and first times, or the reason why there are none."""
    if peer not in workers.alive:
        return {"reason": workers.missing[peer]}
    process = workers.alive[peer]
    process.doing = doing
    try:
        answer = process.ask("prepare", warm_up=effort.warm_up, **request)
    except NotPossible as reason:
        return {"reason": str(reason)}
    except WorkerFailed as error:
        return workers.failed(peer, error)
    answer["first"] = answer.pop("seconds")
    return answer


def _round(
    workers: Workers, peers: list[str], fastest: dict[str, float], effort: Effort
) -> tuple[dict[str, float], float]:
    """The median step of each peer's burst, and the largest share of the machine that others used meanwhile."""
    medians, most = {}, 0.0
    for peer in peers:
        time.sleep(SETTLE)
        steps = round(effort.burst / fastest[peer]) if fastest[peer] > 0 else effort.most_steps
        others = Others(workers.alive[peer].pid)
        try:
            answer = workers.alive[peer].ask("burst", steps=min(max(steps, 1), effort.most_steps))
        except WorkerFailed as error:
            raise _Failed(peer, error) from None
        seconds = answer["seconds"]
        most = max(most, others.share() or 0.0)
        medians[peer] = statistics.median(seconds)
        fastest[peer] = min(fastest[peer], *seconds)
    return medians, most


def _wrong_ones(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Correctness before speed: what is wrong with the results of peers, which are then not measured."""
    ours = results.get("xpcnn")
    ours = None if ours is None or "reason" in ours else ours
    found = {peer: _wrong(result, ours) for peer, result in results.items() if "reason" not in result}
    return {peer: f"computes something else: {wrong}" for peer, wrong in found.items() if wrong}


def _wrong(result: dict[str, Any], ours: dict[str, Any] | None) -> str | None:
    if "losses" in result:
        losses = result["losses"]
        if None in losses:
            return "a loss that is not finite"
        if min(losses[1:]) >= losses[0]:
            return f"the loss does not fall: {_numbers(losses)}"
        if ours and result["parameters"] != ours["parameters"]:
            return f"{result['parameters']} parameters, xpcnn's {ours['parameters']}"
        if ours and abs(losses[0] - ours["losses"][0]) > 1e-4 * max(1.0, losses[0]):
            return f"first loss {losses[0]:.6f}, xpcnn's {ours['losses'][0]:.6f}"
    if ours and "logits" in result:
        own = [value for row in result["logits"] for value in row]
        theirs = [value for row in ours["logits"] for value in row]
        if None in own or len(own) != len(theirs):
            return "logits that are not finite, or of another shape"
        apart = max(abs(a - b) for a, b in zip(own, theirs, strict=True)) / max(1.0, *map(abs, theirs))
        if apart > 1e-3:
            return f"logits that differ from xpcnn's by {apart:.1e}"
    if ours and "sums" in result:
        for name, value in ours["sums"].items():
            if result["sums"][name] is None or abs(result["sums"][name] - value) > 1e-3 * value:
                return f"Σ|{name}| = {result['sums'][name]}, xpcnn's {value}"
    return None


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
