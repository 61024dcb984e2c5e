"""Measures in turns: in each round, each peer runs a short burst, so that all see the same machine.

If the processor is warm, the whole round is slower, and the ratio within the round hardly changes. The order is
reversed from round to round. A burst's figure is its median step. Rounds in which other programs used the machine are
measured again, up to the same number of rounds; if there are still too few quiet ones, disturbed ones are added.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from .disturbance import MOST, Others
from .errors import BenchError, NotPossible
from .peers import EAGER
from .processes import WorkerFailed, Workers

SETTLE = 0.05  # seconds: after work, OpenBLAS's and OpenMP's threads spin for a while before they sleep
LONG = 3.0  # seconds: if a step takes longer, its warm-up is its measurement (not for xpcnn and PyTorch)


@dataclass(frozen=True)
class Effort:
    """The amount of measurement."""

    rounds: int = 15
    burst: float = 1.0  # seconds: the first tenth after a pause, before threads have a core each, must not count
    warm_up: int = 5  # steps
    most_steps: int = 2000


def measure(
    workers: Workers, doing: str, request: dict[str, Any], effort: Effort, peers: list[str] | None = None
) -> dict[str, dict[str, Any]]:
    """For each peer its answer to the request and "rounds": the median seconds of each burst.

    "disturbed" is the number of rounds in which other programs used the machine.

    A peer that cannot do it has {"reason": …} instead. A failure of xpcnn or PyTorch ends the run.
    """
    chosen = workers.missing.keys() | workers.alive.keys() if peers is None else peers
    results: dict[str, dict[str, Any]] = {
        peer: {"reason": reason} for peer, reason in workers.missing.items() if peer in chosen
    }
    for peer, process in workers.alive.items():
        if peer not in chosen:
            continue
        process.doing = doing
        try:
            answer = process.ask("prepare", warm_up=effort.warm_up, **request)
        except NotPossible as reason:
            results[peer] = {"reason": str(reason)}
            continue
        except WorkerFailed as error:
            if peer in must_work():
                raise
            results[peer] = {"reason": f"failed: {str(error).split(': ', 1)[1]}"}
            continue
        results[peer] = {**answer, "first": answer["seconds"]}
        del results[peer]["seconds"]
    _check(doing, results)
    fastest = {peer: min(result["first"]) for peer, result in results.items() if "first" in result}
    slow = {peer for peer, seconds in fastest.items() if seconds > LONG and peer not in must_work()}
    running = [peer for peer in workers.alive if peer in fastest.keys() - slow]
    quiet: list[dict[str, float]] = []
    disturbed: list[dict[str, float]] = []
    while len(quiet) < effort.rounds and len(quiet) + len(disturbed) < 2 * effort.rounds:
        turn = len(quiet) + len(disturbed)
        medians, others = _round(workers, running if turn % 2 == 0 else running[::-1], fastest, effort)
        (quiet if others <= MOST else disturbed).append(medians)
    kept = (quiet + disturbed)[: effort.rounds]
    for peer in fastest:
        if peer in slow:
            results[peer]["rounds"] = [fastest[peer]]
        else:
            results[peer] |= {"rounds": [each[peer] for each in kept], "disturbed": max(0, len(kept) - len(quiet))}
    for peer, process in workers.alive.items():
        if peer in chosen:
            process.ask("drop")
    return results


def _round(
    workers: Workers, peers: list[str], fastest: dict[str, float], effort: Effort
) -> tuple[dict[str, float], float]:
    """The median step of each peer's burst, and the largest share of the machine that others used meanwhile."""
    medians, most = {}, 0.0
    for peer in peers:
        time.sleep(SETTLE)
        steps = round(effort.burst / fastest[peer]) if fastest[peer] > 0 else effort.most_steps
        others = Others(workers.alive[peer].pid)
        seconds = workers.alive[peer].ask("burst", steps=min(max(steps, 1), effort.most_steps))["seconds"]
        most = max(most, others.share() or 0.0)
        medians[peer] = statistics.median(seconds)
        fastest[peer] = min(fastest[peer], *seconds)
    return medians, most


def must_work() -> tuple[str, ...]:
    return ("xpcnn", *EAGER)


def _check(doing: str, results: dict[str, dict[str, Any]]) -> None:
    """Correctness before speed: a peer with different results is not measured."""
    ours = results.get("xpcnn")
    for peer, result in results.items():
        if "reason" in result:
            continue
        wrong = _wrong(result, ours)
        if wrong and peer in must_work():
            raise BenchError(f"{peer}, {doing}: {wrong}")
        if wrong:
            result.clear()
            result["reason"] = f"computes something else: {wrong}"


def _wrong(result: dict[str, Any], ours: dict[str, Any] | None) -> str | None:
    if "losses" in result:
        losses = result["losses"]
        if None in losses:
            return "a loss that is not finite"
        if min(losses[1:]) >= losses[0]:
            return f"the loss does not fall: {_numbers(losses)}"
        if ours and result["parameters"] != ours["parameters"]:
            return f"{result['parameters']} parameters, xpcnn's {ours['parameters']}"
        if ours and abs(losses[0] - ours["losses"][0]) > 1e-4:
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
