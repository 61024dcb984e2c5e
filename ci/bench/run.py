"""Runs all parts of the benchmark in order, and writes one document."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpcnn import use_backend

from . import machine, nets, profile, sweep
from .errors import BenchError, NotPossible
from .peers import ON_DEVICE, USUAL
from .processes import Process, WorkerFailed, Workers
from .rounds import Effort, measure

PARTS = ("training", "inference", "convolution", "memory", "profile", "layers", "sweep")
EFFORT = Effort()
CONVOLUTION_EFFORT = Effort(rounds=5, burst=0.1, warm_up=2)
SWEEP_EFFORT = Effort(rounds=3, burst=0.05, warm_up=2)


@dataclass(frozen=True)
class Plan:
    """The parts to measure, and their settings."""

    parts: tuple[str, ...]
    net_names: tuple[str, ...]
    layer_nets: tuple[str, ...]
    threads: int
    peers: tuple[str, ...] = ()  # the usual ones of each part, if there are none
    backend: str = "numpy"
    most_images: int = sys.maxsize  # in a batch
    most_pixels: int = sys.maxsize  # of an image's height and width
    effort: Effort = EFFORT
    profile_seconds: float = 0.3
    layer_seconds: float = 5.0
    ceiling_seconds: float = 2.0
    memory_steps: int = 2
    memory_cases: int | None = None  # as many, from the first; None for all
    convolution_effort: Effort = CONVOLUTION_EFFORT
    convolution_points: tuple[str, ...] = tuple(sweep.POINTS)
    sweep_effort: Effort = SWEEP_EFFORT
    sweep_axes: tuple[str, ...] = tuple(sweep.AXES)
    sweep_points: int | None = None  # points of each axis; None for all
    compiled_nets: tuple[str, ...] = tuple(nets.NETS)  # that PyTorch compiles, which takes seconds for each

    def measures(self, part: str) -> list[str]:
        """The peers of a part; xpcnn is always one of them."""
        usual = USUAL["convolution" if part == "sweep" else "profile" if part == "layers" else part]
        if self.backend != "numpy":
            usual = ON_DEVICE
        ours = part in ("profile", "layers")
        chosen = [peer for peer in self.peers if not ours or peer in usual] or usual
        return list(dict.fromkeys(("xpcnn", *chosen)))

    def cases(self, what: str) -> list[nets.Case]:
        """All networks with their batches, in training or inference."""
        found = []
        for name in self.net_names:
            sizes = nets.NETS[name]
            batches = sizes.inferred if what == "inference" else sizes.trained
            if what == "training" and self.backend != "numpy":
                batches = sizes.on_device or batches
            found += [self.case(name, batch) for batch in batches]
        return list(dict.fromkeys(found))

    def case(self, net: str, batch: int) -> nets.Case:
        height, width, channels = nets.NETS[net].image
        image = (min(height, self.most_pixels), min(width, self.most_pixels), channels)
        return nets.Case(net, image, min(batch, self.most_images))


class Run:
    """A run that fills `result` case by case, and calls `save` after each, so that what is measured is not lost.

    Raises
        BenchError : there is nothing to compare with, or the machine cannot be described
    """

    def __init__(self, plan: Plan, result: dict[str, Any], save: Callable[[], None]) -> None:
        if plan.backend != "numpy" and (wrong := set(plan.parts) - {"training", "inference", "memory"}):
            raise BenchError(f"{' and '.join(sorted(wrong))}: measured on NumPy only")
        use_backend("numpy")  # in this process; the workers have the plan's
        self.plan, self.result, self.save = plan, result, save
        begun = time.perf_counter()
        peers = list(dict.fromkeys(peer for part in plan.parts for peer in plan.measures(part)))
        with tempfile.TemporaryDirectory() as folder, Workers(peers, plan.threads, plan.backend) as workers:
            self.workers, self.folder = workers, Path(folder)
            if "xpcnn" not in workers.alive:
                raise BenchError(f"xpcnn: {workers.missing['xpcnn']}")
            self._describe(peers)
            for part in plan.parts:
                _say(f"{part} ({time.perf_counter() - begun:.0f} s)")
                getattr(self, f"_{part}")()
        result["complete"] = True
        save()

    def _describe(self, peers: list[str]) -> None:
        workers, ours = self.workers, self.workers.hello["xpcnn"]
        self.result["machine"] = machine.describe(self.plan.threads, ours["pools"]) | {
            "backend": self.plan.backend,
            "numpy": ours["numpy"],
        }
        self.result["peers"] = {
            peer: {name: workers.hello[peer][name] for name in ("version", "about")}
            if peer in workers.alive
            else {"reason": workers.missing[peer]}
            for peer in peers
        }

    def _fill(self, part: str, measured: Iterable[dict[str, Any]]) -> None:
        rows = self.result.setdefault(part, [])
        for row in measured:
            rows.append(row)
            self.save()

    def _training(self) -> None:
        self._fill("training", (self._speed("training", case) for case in self.plan.cases("training")))

    def _inference(self) -> None:
        self._fill("inference", (self._speed("inference", case) for case in self.plan.cases("inference")))

    def _speed(self, what: str, case: nets.Case) -> dict[str, Any]:
        _say(f"  {case.net}, batch {case.batch}")
        request, about = self._request(case)
        doing = f"{what} of {case.net}, batch {case.batch}"
        peers = [peer for peer in self.plan.measures(what) if not self._left_out(peer, case)]
        measured = measure(self.workers, doing, {"what": what, **request}, self.plan.effort, peers)
        for each in measured.values():
            each.pop("logits", None)
        return {"net": case.net, "batch": case.batch, **about, "peers": measured}

    def _left_out(self, peer: str, case: nets.Case) -> bool:
        return peer == "torch compiled" and case.net not in self.plan.compiled_nets

    def _convolution(self) -> None:
        plan = self.plan
        peers, names = plan.measures("convolution"), list(plan.convolution_points)
        self._fill("convolution", sweep.points(self.workers, plan.convolution_effort, peers, names))

    def _sweep(self) -> None:
        plan = self.plan
        peers = plan.measures("sweep")
        axes = list(plan.sweep_axes)
        self._fill("sweep", sweep.run(self.workers, plan.sweep_effort, peers, axes, plan.sweep_points))

    def _memory(self) -> None:
        cases = self.plan.cases("training")[: self.plan.memory_cases]
        self._fill("memory", (self._memory_of(case) for case in cases))

    def _memory_of(self, case: nets.Case) -> dict[str, Any]:
        _say(f"  {case.net}, batch {case.batch}")
        request, _ = self._request(case)
        request["steps"] = self.plan.memory_steps
        measured = {}
        for peer in self.plan.measures("memory"):
            if peer in self.workers.missing:
                measured[peer] = {"reason": self.workers.missing[peer]}
                continue
            with Process(peer, self.plan.threads, self.plan.backend) as process:
                measured[peer] = self._ask(process, f"memory of {case.net}", "memory", fresh=True, **request)
        return {"net": case.net, "batch": case.batch, "peers": measured}

    def _ask(self, process: Process, doing: str, verb: str, *, fresh: bool = False, **request: Any) -> dict[str, Any]:
        """The answer, or the reason why there is none."""
        try:
            if fresh:
                process.hello()
            process.doing = doing
            return process.ask(verb, **request)
        except NotPossible as reason:
            return {"reason": str(reason)}
        except WorkerFailed as error:
            return self.workers.failed(process.peer, error)

    def _ceilings(self) -> None:
        if "ceilings" not in self.result:
            process, plan = self.workers.alive["xpcnn"], self.plan
            found = self._ask(process, "ceilings", "ceilings", threads=plan.threads, seconds=plan.ceiling_seconds)
            self.result["ceilings"] = found

    def _profile(self) -> None:
        self._ceilings()
        both = [(what, case) for what in ("training", "inference") for case in self.plan.cases(what)]
        found = (self._profiled("profile", what, case, self.plan.profile_seconds) for what, case in both)
        self._fill("profile", ({**row, "peers": _by_kind(row["peers"])} for row in found))

    def _layers(self) -> None:
        self._ceilings()
        cases = [self.plan.case(name, nets.NETS[name].trained[0]) for name in self.plan.layer_nets]
        self._fill("layers", (self._profiled("layers", "training", case, self.plan.layer_seconds) for case in cases))

    def _profiled(self, part: str, what: str, case: nets.Case, seconds: float) -> dict[str, Any]:
        _say(f"  {case.net}, {what}, batch {case.batch}")
        request, _ = self._request(case)
        request |= {"what": what, "seconds": seconds, "warm_up": 2}
        doing = f"{part} of {case.net}"
        measured = {
            peer: self._ask(self.workers.alive[peer], doing, "profile", **request)
            if peer in self.workers.alive
            else {"reason": self.workers.missing[peer]}
            for peer in self.plan.measures(part)
        }
        return {"what": what, "net": case.net, "batch": case.batch, "peers": measured}

    def _request(self, case: nets.Case) -> tuple[dict[str, Any], dict[str, int]]:
        """The request from which a worker builds the net, and the net's figures for the tables."""
        model = nets.build(case.net, case.image)
        path = self.folder / f"{case.net}-{case.batch}.npz"
        if not path.exists():
            nets.write(model, case.image, case.batch, path)
        about = {"parameters": nets.parameter_count(model), "multiply_adds": nets.multiply_adds(model, case.image)}
        return {"net": case.net, "document": nets.describe(model, case.image), "arrays": str(path)}, about


def _by_kind(measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {peer: each if "reason" in each else profile.by_kind(each) for peer, each in measured.items()}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
