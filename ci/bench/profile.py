"""Where xpcnn's time goes: every layer of a training step, every step of an inference, within whole runs.

    flop      2 · multiply-adds forward, and the same again for each of dw and dx that backward computes
    bytes     of x and y forward; of dy, dx and (if there are weights) x backward

In training, a layer that runs as part of the one before it (a ReLU after batch norm) has no separate time. In
inference, a row is what runs as one: a step of a plan, or a convolution with the batch norm and the ReLU after it. A
network that `nn.plan_training` or `nn.plan` runs in parts is shown as its layers run without them. The rest of the time
is that of the loss, the optimizer, the containers, and what stands between the rows.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from .errors import NotPossible
from .nets import Net, work
from .peers.base import Peer
from .peers.xpcnn import XpcnnTraining, model_of


class Row:
    """A part of the work, and its seconds in each run."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.output: list[int] = []
        self.seconds: dict[str, list[float]] = {"forward": [], "backward": []}
        self.flop = {"forward": 0, "backward": 0}
        self.bytes = {"forward": 0, "backward": 0}

    def timed(self, way: str, run: Callable[..., Any], *args: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        result = run(*args, **options)
        self.seconds[way].append(time.perf_counter() - begun)
        return result

    def result(self, skip: int) -> dict[str, Any]:
        seconds = {way: statistics.median(all_[skip:]) if all_[skip:] else 0.0 for way, all_ in self.seconds.items()}
        about = {"name": self.name, "kind": self.kind, "output": self.output}
        return about | {"seconds": seconds, "flop": self.flop, "bytes": self.bytes}


def measure(
    peer: Peer | None, what: str, net: str, document: dict[str, Any], arrays: str, seconds: float, warm_up: int
) -> dict[str, Any]:
    """Median seconds of a whole run, and of each of its rows, in the order of the net."""
    batch = Net.read(net, document, arrays)
    rows: list[Row] = []
    if what == "training":
        training = XpcnnTraining(batch, planned=True)
        rows += [_watched(name, layer) for name, layer in training.model.named_layers() if not layer.children()]
        run, restart = training.step, training.restart
    else:
        assert peer is not None
        with _Steps() as steps:
            run = peer.inference(batch)
            run()
        rows = steps.rows
        if not rows:  # no plan: the network itself
            run = _fused(batch, rows)
            run()
        restart = _nothing
    runs: list[float] = []
    end = 0.0
    while len(runs) <= warm_up or time.perf_counter() < end:
        begun = time.perf_counter()
        run()
        runs.append(time.perf_counter() - begun)
        if len(runs) == warm_up:
            end = time.perf_counter() + seconds
        if len(runs) % 100 == 0:
            restart()
    return {"run": statistics.median(runs[warm_up:]), "rows": [row.result(warm_up) for row in rows]}


def by_kind(measured: dict[str, Any]) -> dict[str, Any]:
    """The same, with all rows of a kind as one; those that take most of the time come first."""
    kinds: dict[str, dict[str, Any]] = {}
    for row in measured["rows"]:
        kind = kinds.setdefault(row["kind"], {"kind": row["kind"], "rows": 0, "seconds": 0.0, "flop": 0, "bytes": 0})
        kind["rows"] += 1
        for key in ("seconds", "flop", "bytes"):
            kind[key] += sum(row[key].values())
    shown = [kind for kind in kinds.values() if kind["seconds"] > 0]
    return {"run": measured["run"], "kinds": sorted(shown, key=lambda kind: -kind["seconds"])}


def _watched(name: str, layer: Any) -> Row:
    """A row of that layer, whose forward and backward it times from now on."""
    row, run_forward, run_backward = Row(name, _kind(layer)), layer.forward, layer.backward
    read = 0

    def forward(x: Any, **options: Any) -> Any:
        nonlocal read
        y, cache = row.timed("forward", run_forward, x, **options)
        read = _bytes(x)
        row.bytes["forward"], row.output = read + y.nbytes, list(y.shape)
        row.flop["forward"] = 2 * y.shape[0] * work(layer, x, y)
        return y, cache

    def backward(dy: Any, cache: Any, *, input_grad: bool = True) -> Any:
        dx, grads = row.timed("backward", run_backward, dy, cache, input_grad=input_grad)
        row.flop["backward"] = row.flop["forward"] * (bool(grads) + (dx is not None))
        row.bytes["backward"] = dy.nbytes + (0 if dx is None else _bytes(dx)) + (read if grads else 0)
        return dx, grads

    layer.forward, layer.backward = forward, backward
    return row


class _Steps:
    """While it is entered, plans that are made time their steps, which are its `rows`."""

    def __enter__(self) -> _Steps:
        try:
            from xpcnn.kernels.planned.step import PlanStep
        except ImportError:
            raise NotPossible("the steps of plans are no longer where this profile looks for them") from None
        self.rows: list[Row] = []
        self._kinds = [(kind, kind.__dict__["bind"]) for kind in _below(PlanStep) if "bind" in kind.__dict__]
        for kind, bind in self._kinds:
            setattr(kind, "bind", self._timing(bind))  # noqa: B010
        return self

    def __exit__(self, *error: object) -> None:
        for kind, bind in self._kinds:
            setattr(kind, "bind", bind)  # noqa: B010

    def _timing(self, bind: Callable[..., Any]) -> Callable[..., Any]:
        def timed(step: Any, reads: Any, y: Any, *rest: Any) -> Any:
            call = bind(step, reads, y, *rest)
            row = Row(str(len(self.rows)), type(step).__name__)
            row.output = list(y.shape)
            row.bytes["forward"] = 4 * sum(math.prod(each.shape) for each in (*reads, y))
            weight = getattr(step, "weight", None)
            if callable(weight) and (w := weight()) is not None:
                row.flop["forward"] = 2 * math.prod(y.shape) * w.size // len(w)
                row.kind += f" {w.shape[1]}×{w.shape[2]}" if w.ndim == 4 else ""
                row.kind += " depthwise" if w.ndim == 4 and w.shape[3] == 1 and reads[0].shape[3] > 1 else ""
            self.rows.append(row)
            return lambda: row.timed("forward", call)

        return timed


def _below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _fused(batch: Net, rows: list[Row]) -> Callable[[], Any]:
    """The network's inference, in which each layer, or fused step, is a row."""
    from xpcnn.nn import Container

    model, known = model_of(batch), dict[int, Row]()

    def run(name: str, layer: Any, x: Any) -> Any:
        if isinstance(layer, Container) and (layer.children() or not isinstance(x, tuple)):
            return layer.run_inference(x, run)
        if id(layer) not in known:
            known[id(layer)] = Row(name, _kind(getattr(layer, "conv", layer)))
            rows.append(known[id(layer)])
        row = known[id(layer)]
        y = row.timed("forward", layer, x)
        row.output, row.bytes["forward"] = list(y.shape), _bytes(x) + y.nbytes
        row.flop["forward"] = 2 * y.shape[0] * work(getattr(layer, "conv", layer), x, y)
        return y

    return lambda: run("", model, batch.x)


def _kind(layer: Any) -> str:
    """The layer's class, and of a convolution its kernel."""
    name = type(layer).__name__
    if name != "Conv2d":
        return name
    rows, columns = layer.window.kernel
    return f"{name} {rows}×{columns}" + (" depthwise" if layer.groups == layer.in_channels > 1 else "")


def _bytes(x: Any) -> int:
    return sum(int(part.nbytes) for part in x) if isinstance(x, tuple) else int(x.nbytes)


def _nothing() -> None:
    pass
