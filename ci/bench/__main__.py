"""The benchmark: xpcnn against PyTorch and ONNX Runtime, on this machine.

    python -m ci.bench                             all that the README shows, and where the time goes
    python -m ci.bench --nets lenet5 --rounds 30   fewer nets, more rounds
    python -m ci.bench --layers resnet20           the time of each layer, and the machine's limits
    python -m ci.bench --sweep                     one convolution along every axis of its geometry
    python -m ci.bench --parts training sweep      any parts together
    python -m ci.bench --peers jax tinygrad dezero --parts training    other libraries
    python -m ci.bench --quick                     every code path in seconds; the figures mean little
    python -m ci.bench --backend cupy              on a GPU, PyTorch on the same one; see ci/gpu.sh
    python -m ci.bench --from build/bench.json --markdown --picture docs/benchmark.png

Run it from the repository's root, with xpcnn, torch, numba, onnx and onnxruntime installed; what is missing has its
reason in the tables. All peers use the same number of threads, batches, float32, and initial weights. Before the
timing, parameter counts and first losses (or logits, or sums of gradients) are compared, and the loss must fall. A peer
that fails is listed with the reason; the status is then 1 if it is xpcnn, or PyTorch as it is. The figures are written
after each case.

Method. Each peer runs in a separate process; all exist at once, but only one runs at a time. In each round, each peer
in turn makes a step that does not count, and then steps for a quarter of a second; the figure is the median step, and a
round's ratio is peer / xpcnn. Tables show the median over the rounds, the quartiles, the minimum and the maximum. Above
1, xpcnn is faster. Where steps are long, the modes of PyTorch that were a quarter slower than another in the warm-up
have that figure only.

A training step is forward, cross-entropy, backward and SGD with momentum 0.9, on one batch that is in memory; nothing
is dropped out. The bar is the fastest of PyTorch's modes: eager in either memory format, and for inference also traced
and frozen, or compiled by `torch.compile` with frozen weights, which takes a C++ compiler. ONNX Runtime runs the file
that xpcnn exports. xpcnn is measured as `Trainer` and `predict` use it, with plans; with numba's compiled loops; and
with its layers alone. On a GPU, the benchmark synchronizes after every ten steps, all peers compute in true float32,
and the bar may also be PyTorch compiled into CUDA graphs.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from xpcnn.backend import NAMES
from xpcnn.cli.info import cores

from . import figures, report
from .errors import BenchError
from .nets import NETS, ON_CPU, ON_DEVICE
from .peers import PEERS
from .processes import ROOT
from .rounds import Effort
from .run import EFFORT, PARTS, SWEEP_EFFORT, Plan, Run

DEFAULT_PARTS = ("training", "inference", "convolution", "memory", "profile")
DEVICE_PARTS = ("training", "inference", "memory")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ci.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, help="what to measure (" + ", ".join(DEFAULT_PARTS) + ")")
    add("--layers", nargs="+", choices=NETS, metavar="NET", help="the part layers, of these nets")
    add("--sweep", action="store_true", help="the part sweep")
    add("--backend", default="numpy", choices=NAMES, help="xpcnn's (%(default)s); with cupy, PyTorch on the GPU too")
    add("--nets", nargs="+", choices=NETS, metavar="NET", help=", ".join(NETS))
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=", ".join(PEERS))
    add("--threads", type=_count, default=cores(), help="of each peer (all cores: %(default)s)")
    add("--rounds", type=_count, help=f"bursts of each peer ({EFFORT.rounds}; in the sweep {SWEEP_EFFORT.rounds})")
    add("--quick", action="store_true", help="tiny settings, all parts")
    add("--out", type=Path, help="where the figures go as JSON (build/bench.json)")
    add("--from", dest="source", type=Path, help="measure nothing, read figures from this JSON")
    add("--markdown", action="store_true", help="print the README's tables too")
    add("--picture", type=Path, help="draw the ratios into this file")
    return parser


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan from the arguments."""
    asked = tuple(options.parts or ()) + ("layers",) * bool(options.layers) + ("sweep",) * options.sweep
    on_cpu = options.backend == "numpy"
    usual = DEFAULT_PARTS if on_cpu else DEVICE_PARTS
    parts = asked or (PARTS if options.quick and on_cpu else usual)
    chosen = tuple(options.nets or (ON_CPU if on_cpu else ON_DEVICE))
    if options.quick and not options.nets:
        chosen = ("lenet5", "resnet20", "mobilenet_v2") if on_cpu else ("lenet5", "resnet20")  # all kinds of layers
    plan = Plan(
        parts=tuple(part for part in PARTS if part in parts),
        net_names=chosen,
        layer_nets=tuple(options.layers or chosen),
        threads=options.threads,
        peers=tuple(options.peers or ()),
        backend=options.backend,
    )
    if options.quick:
        shortest = Effort(rounds=1, burst=0.01, warm_up=1, most_steps=3)
        plan = replace(
            plan,
            most_images=8,
            most_pixels=32,
            effort=Effort(rounds=2, burst=0.02, warm_up=3, most_steps=20),
            layer_seconds=0.1,
            profile_seconds=0.05,
            ceiling_seconds=0.1,
            memory_steps=2,
            convolution_effort=shortest,
            convolution_points=("8 images", "depthwise 32"),
            sweep_effort=shortest,
            sweep_axes=("batch", "groups of 32 → 32"),
            sweep_points=1,
            compiled_nets=("lenet5",),
            memory_cases=1,
        )
    if options.rounds:
        efforts = ("effort", "convolution_effort", "sweep_effort")
        plan = replace(plan, **{name: replace(getattr(plan, name), rounds=options.rounds) for name in efforts})
    return plan


def main() -> int:
    options = arguments().parse_args()
    signal.signal(signal.SIGTERM, _stop)
    result: dict[str, Any] = {"complete": False}
    status = 0
    if options.source:
        try:
            result = json.loads(options.source.read_text())
        except (OSError, ValueError) as error:
            return _fail(f"no figures in {options.source}: {error}")
    else:
        out = options.out or ROOT / "build" / "bench.json"
        try:
            Run(plan_of(options), result, lambda: _write(result, out))
        except BenchError as error:
            status = _fail(str(error))
        except KeyboardInterrupt as error:
            status = _fail(f"interrupted: {error}" if str(error) else "interrupted", 130)
        if "machine" not in result:
            return status
        _write(result, out)
        print(f"figures in {out}", file=sys.stderr)
        if failures := figures.failures(result):
            status = _fail(f"{len(failures)} failed, the first: {failures[0]}")
    print(report.text(result))
    if options.markdown:
        from .markdown import markdown

        print("\n" + markdown(result))
    if options.picture:
        from .picture import draw

        try:
            draw(result, options.picture)
        except BenchError as error:
            return _fail(str(error))
    return status


def _write(result: dict[str, Any], out: Path) -> None:
    """The file is there whole, or as it was before."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".part")
    unfinished.write_text(json.dumps(result, indent=1) + "\n")
    unfinished.replace(out)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _fail(message: str, status: int = 1) -> int:
    print(f"ci.bench: {message}", file=sys.stderr)
    return status


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
