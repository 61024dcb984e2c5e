"""Runs all parts of the benchmark in order, and writes one document."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xpcnn import use_backend

from . import machine, nets, sweep
from .errors import BenchError, NotPossible
from .processes import Process, WorkerFailed, Workers
from .rounds import Effort, measure, must_work

PARTS = ("training", "inference", "memory", "layers", "sweep")
INFERENCE_BATCHES = (1, 256)
EFFORT = Effort()
SWEEP_EFFORT = Effort(rounds=5, burst=0.05, warm_up=2)


@dataclass(frozen=True)
class Plan:
    """The parts to measure, and their settings."""

    parts: tuple[str, ...]
    net_names: tuple[str, ...]
    layer_nets: tuple[str, ...]
    peers: tuple[str, ...]
    threads: int
    backend: str = "numpy"
    most_images: int | None = None  # in a batch
    effort: Effort = EFFORT
    layer_seconds: float = 5.0
    ceiling_seconds: float = 2.0
    memory_steps: int = 5
    sweep_effort: Effort = SWEEP_EFFORT
    sweep_points: int | None = None  # points of each axis; None for all

    def cases(self, net: str) -> list[nets.Case]:
        """The net with its usual batches."""
        batches = (None,) if self.backend == "numpy" else nets.ON_DEVICE[net]
        return list(dict.fromkeys(self.case(net, batch) for batch in batches))

    def case(self, net: str, batch: int | None = None) -> nets.Case:
        """The net with that batch, or its usual one on a CPU."""
        case = nets.CASES[net]
        batch = batch or case.batch
        return replace(case, batch=min(batch, self.most_images or batch))


def run(plan: Plan, result: dict[str, Any]) -> None:
    """Fill `result`, part by part, so that it has all finished measurements if something stops the run."""
    if plan.backend != "numpy" and (wrong := {"layers", "sweep"}.intersection(plan.parts)):
        raise BenchError(f"{' and '.join(sorted(wrong))}: measured on NumPy only")
    use_backend("numpy")  # in this process; the workers have the plan's
    with (
        tempfile.TemporaryDirectory() as folder,
        Workers(list(plan.peers), plan.threads, plan.backend) as workers,
    ):
        if "xpcnn" not in workers.alive:
            raise BenchError(f"xpcnn: {workers.missing.get('xpcnn', 'not among the peers')}")
        result["machine"] = machine.describe(plan.threads, workers.hello["xpcnn"]["pools"])
        result["peers"] = {
            peer: {name: workers.hello[peer][name] for name in ("version", "about")}
            if peer in workers.hello and peer not in workers.missing
            else {"reason": workers.missing[peer]}
            for peer in plan.peers
        }
        result["machine"]["backend"] = plan.backend
        result["machine"]["numpy"] = workers.hello["xpcnn"]["numpy"]
        parts: dict[str, Callable[[], None]] = {
            "training": lambda: _speed(plan, workers, Path(folder), result, "training"),
            "inference": lambda: _speed(plan, workers, Path(folder), result, "inference"),
            "memory": lambda: _memory(plan, workers, Path(folder), result),
            "layers": lambda: _layers(plan, workers, Path(folder), result),
            "sweep": lambda: result.update(sweep=sweep.run(workers, plan.sweep_effort, plan.sweep_points)),
        }
        for part in plan.parts:
            _say(part)
            parts[part]()
        result["complete"] = True


def _speed(plan: Plan, workers: Workers, folder: Path, result: dict[str, Any], what: str) -> None:
    cases = result.setdefault(what, [])
    for name in plan.net_names:
        for case in plan.cases(name) if what == "training" else [plan.case(name, n) for n in INFERENCE_BATCHES]:
            batch = case.batch
            _say(f"  {name}, batch {batch}")
            request, about = _request(case, folder)
            measured = measure(workers, f"{what} of {name}, batch {batch}", {"what": what, **request}, plan.effort)
            ours = measured["xpcnn"]
            if ours.get("parameters", about["parameters"]) != about["parameters"]:
                raise BenchError(f"xpcnn, {name}: {ours['parameters']} parameters, the model has {about['parameters']}")
            for each in measured.values():
                each.pop("logits", None)
            cases.append({"net": name, "batch": batch, **about, "peers": measured})


def _memory(plan: Plan, workers: Workers, folder: Path, result: dict[str, Any]) -> None:
    cases = result.setdefault("memory", [])
    for name in plan.net_names:
        _say(f"  {name}")
        for case in plan.cases(name):
            request, _ = _request(case, folder)
            measured: dict[str, dict[str, Any]] = {peer: {"reason": why} for peer, why in workers.missing.items()}
            for peer in workers.alive:
                measured[peer] = _memory_of(peer, plan, request, name)
            cases.append({"net": name, "batch": case.batch, "peers": measured})


def _memory_of(peer: str, plan: Plan, request: dict[str, Any], name: str) -> dict[str, Any]:
    with Process(peer, plan.threads, plan.backend) as process:
        process.hello()
        process.doing = f"memory of {name}"
        try:
            return process.ask("memory", steps=plan.memory_steps, **request)
        except NotPossible as reason:
            return {"reason": str(reason)}
        except WorkerFailed as error:
            if peer in must_work():
                raise
            return {"reason": f"failed: {str(error).split(': ', 1)[1]}"}


def _layers(plan: Plan, workers: Workers, folder: Path, result: dict[str, Any]) -> None:
    process = workers.alive["xpcnn"]
    process.doing = "ceilings"
    result["ceilings"] = process.ask("ceilings", threads=plan.threads, seconds=plan.ceiling_seconds)
    tables = result.setdefault("layers", [])
    for name in plan.layer_nets:
        case = plan.case(name)
        request, _ = _request(case, folder)
        process.doing = f"layers of {name}"
        effort = {"seconds": plan.layer_seconds, "warm_up": plan.effort.warm_up}
        tables.append({"net": name, "batch": case.batch, **process.ask("layers", **effort, **request)})


def _request(case: nets.Case, folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The request from which a worker builds the net, and the net's figures for the tables."""
    model = nets.build(case)
    path = folder / f"{case.net}-{case.batch}.npz"
    if not path.exists():
        nets.write(model, case.image, case.batch, path)
    about = {"parameters": nets.parameter_count(model), "multiply_adds": nets.multiply_adds(model, case.image)}
    return {"net": case.net, "document": nets.describe(model, case.image), "arrays": str(path)}, about


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
