"""Counts what a training step and an inference cost on a CPU without a clock: calls and memory.

    python -m ci.operations              a table; of some nets: --nets lenet5
    python -m ci.operations --check      the status is 1 if a number is above that of ci/results/operations.json
    python -m ci.operations --write      write that file

functions     calls of functions of xpcnn, without comprehensions, whose number depends on the version of Python
array calls   calls of NumPy by xpcnn's modules, as np.…; those of operators and of the reference are not counted
made          bytes of the new arrays that these calls return
peak          most bytes held at a time during the step, with the images, the network and plans; 64 KiB more is no error

A training step is that of `nn.plan_training`, cross-entropy and SGD with momentum; inference is that of `nn.plan`. All
run on one thread, and keep no memory of freed arrays.
"""

from __future__ import annotations

import argparse
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import xpcnn
from xpcnn import nn, optim
from xpcnn.table import columns

from .bench import nets
from .committed import RESULTS, add_options, finish

COMMITTED = RESULTS / "operations.json"
NETS = {"lenet5": 64, "mnist_cnn": 32, "resnet20": 16}  # and the images of a batch
PACKAGE = str(Path(xpcnn.__file__).parent)
SLACK = {"peak": 1 << 16}  # bytes of Python's own objects, which differ from run to run
Counts = dict[str, int]


class Counting:
    """Stands for a function of NumPy, or for NumPy itself, and counts the calls and the bytes of new arrays."""

    def __init__(self, original: Any, counts: Counts) -> None:
        self._original, self._counts, self._known = original, counts, dict[str, Any]()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._original, name)
        if isinstance(value, type) or not callable(value):
            return value
        if name not in self._known:  # the same one each time, as some are compared by identity
            self._known[name] = Counting(value, self._counts)
        return self._known[name]

    def __call__(self, *args: Any, **options: Any) -> Any:
        made = self._original(*args, **options)
        self._counts["array calls"] += 1
        if isinstance(made, np.ndarray) and made.base is None and options.get("out") is None:
            self._counts["made"] += made.nbytes
        return made


@contextmanager
def counting() -> Iterator[Counts]:
    """What the block asks of NumPy; what it uses must be made in it."""
    counts = {"array calls": 0, "made": 0}
    stand_in = Counting(np, counts)
    modules = [each for name, each in sys.modules.items() if name.startswith("xpcnn") and vars(each).get("np") is np]
    for module in modules:
        module.np = stand_in  # type: ignore[attr-defined]
    try:
        yield counts
    finally:
        for module in modules:
            module.np = np  # type: ignore[attr-defined]


def functions(run: Callable[[], object]) -> int:
    """The calls of xpcnn's functions."""
    found = 0

    def note(frame: Any, event: str, _: Any) -> None:
        nonlocal found
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and code.co_name[-5:] not in ("comp>", "expr>"):
            found += 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def peak(name: str, what: str) -> int:
    """The most bytes that are held at a time, with all that the run has made before."""
    tracemalloc.start()
    try:
        run = calls(name)[what]
        for _ in range(2):
            run()
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def calls(name: str) -> dict[str, Callable[[], object]]:
    """A training step, and inference of a batch and of one image, of that net."""
    image, batch, rng = nets.NETS[name].image, NETS[name], np.random.default_rng(1)
    x, y = rng.random((batch, *image), np.float32), rng.integers(10, size=batch)
    model, criterion = nets.build(name, image), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=nets.LEARNING_RATE, momentum=nets.MOMENTUM)
    step_plan, plan = nn.plan_training(model), nn.plan(model, image)

    def step() -> None:
        logits, cache = step_plan.forward(x)
        _, loss_cache = criterion.forward(logits, y)
        _, grads = step_plan.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)

    return {"training": step, "batch": lambda: model(x), "one image": lambda: plan(x[:1])}


def count(name: str) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for what, run in calls(name).items():
        for _ in range(2):
            run()
        found[what] = {"functions": functions(run), "peak": peak(name, what)}
    with counting() as counts:
        for what, run in calls(name).items():
            for _ in range(2):
                run()
            counts.update({"array calls": 0, "made": 0})
            run()
            found[what] |= counts
    return found


def table(found: dict[str, Any]) -> str:
    head = ("", "functions", "array calls", "made, KiB", "peak, KiB")
    rows = [
        (
            f"{name} {what}",
            f"{c['functions']:,}",
            f"{c['array calls']:,}",
            f"{c['made'] >> 10:,}",
            f"{c['peak'] >> 10:,}",
        )
        for name, net in found.items()
        for what, c in net.items()
    ]
    return columns(head, rows, left=(0,))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ci.operations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=NETS, default=tuple(NETS), metavar="NET", help=", ".join(NETS))
    add_options(parser)
    options = parser.parse_args()
    os.environ.update(XPCNN_NUM_THREADS="1", XPCNN_CACHE_MIB="0")
    found = {name: count(name) for name in options.nets}
    print(table(found))
    return finish(found, COMMITTED, options, SLACK)


if __name__ == "__main__":
    sys.exit(main())
