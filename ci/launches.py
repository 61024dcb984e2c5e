"""Counts what a GPU would be asked to do: kernels launched, bytes moved, waits, copies between host and device.

    python -m ci.launches                        a table; of some nets: --nets lenet5
    python -m ci.launches --layers resnet20      by layer
    python -m ci.launches --check                the status is 1 if a number is above that of ci/results/launches.json
    python -m ci.launches --write                write that file

Nothing is run on a GPU: the stand-in for CuPy (`tests/stand_in`) counts. A training step is that of the benchmark:
forward, cross-entropy, backward and SGD with momentum. Inference is that of `nn.plan`, of the same batch. They are
counted without computing anything, as only shapes matter. An epoch is one of `Trainer.fit`, of STEPS batches on lenet5
without validation.

The time that a number stands for is an estimate: 11 µs of the host's time for a launch; 4.3 TB/s for bytes, where each
array is read or written once per launch; 60 TFLOP/s for the additions and multiplications of products. PyTorch's
operations are those that its dispatcher runs in eager mode (without views): one is one kernel or more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "stand_in"))  # before CuPy itself

import xpcnn  # noqa: E402
from xpcnn import data, nn, optim, training  # noqa: E402
from xpcnn.nn import container  # noqa: E402
from xpcnn.table import columns  # noqa: E402

from .bench import nets  # noqa: E402
from .committed import RESULTS, add_options, finish  # noqa: E402

COMMITTED = RESULTS / "launches.json"
LAUNCH, BYTES, OPERATIONS = 11e-6, 4.3e12, 60e12
NETS = ("lenet5", "mnist_cnn", "vgg_small", "resnet20")
STEPS = 12
AUGMENTED = "flip,crop:4"
KINDS = {"launches": "launch", "to device": "to_device", "to host": "to_host", "waits": "wait"}
Counts = dict[str, int]


@contextmanager
def counting(computes: bool = False) -> Iterator[list[Any]]:
    """The records of what the block asks the device to do, each with the dotted name of the layer."""
    from cupyx import _ledger

    original = container.with_layer_name

    def labelled(name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        _ledger.labels.append(name)
        try:
            return original(name, call, *args, **options)
        finally:
            _ledger.labels.pop()

    _ledger.records, _ledger.computes = (records := list[Any]()), computes
    container.with_layer_name = labelled
    try:
        with np.errstate(all="ignore"):  # of memory as it is
            yield records
    finally:
        container.with_layer_name = original
        _ledger.records, _ledger.computes = None, True


def totals(records: list[Any]) -> Counts:
    counts = {name: sum(each.kind == kind for each in records) for name, kind in KINDS.items()}
    launched = [each for each in records if each.kind == "launch"]
    for name in ("read", "written", "operations"):
        counts[name] = sum(getattr(each, name) for each in launched)
    return counts


def by_layer(records: list[Any]) -> dict[str, Counts]:
    """The totals by dotted name; what belongs to no layer is the loss, the optimizer and copies."""
    names = dict.fromkeys(".".join(each.labels) or "(no layer)" for each in records)
    return {
        name: totals([each for each in records if (".".join(each.labels) or "(no layer)") == name]) for name in names
    }


def count(name: str) -> dict[str, Any]:
    """A training step and inference of that net, when everything is prepared."""
    image, batch = nets.NETS[name].image, nets.NETS[name].on_device[0]
    rng = np.random.default_rng(1)
    found: dict[str, Any] = {"batch": batch}
    with xpcnn.use_backend("cupy"):
        x, y = xpcnn.asarray(rng.random((batch, *image), np.float32)), xpcnn.asarray(rng.integers(10, size=batch))
        model, criterion = nets.build(name, image), nn.CrossEntropyLoss()
        optimizer = optim.SGD(model.parameters(), lr=nets.LEARNING_RATE, momentum=nets.MOMENTUM)
        plan = nn.plan(model, image)

        def step(x: Any = x, y: Any = y) -> None:
            logits, cache = model.forward(x)
            _, loss_cache = criterion.forward(logits, y)
            _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
            optimizer.step(grads)

        step(x[:2], y[:2])  # computed: kernels are compared with the reference, and the optimizer makes its slots
        plan(x[:2])
        for what, run in (("training", step), ("inference", lambda: plan(x))):
            with counting() as records:
                run()
            found[what] = totals(records) | {"layers": by_layer(records)}
    return found


def count_epoch(words: str | None = None) -> Counts:
    """The second epoch of a training by `Trainer.fit`, with that augmentation."""
    rng = np.random.default_rng(1)
    images = rng.integers(256, size=(STEPS * 8, 28, 28, 1), dtype=np.uint8)
    split = data.Split(images, rng.integers(10, size=len(images)))
    with xpcnn.use_backend("cupy"):
        model = nets.build("lenet5", nets.NETS["lenet5"].image)
        optimizer = optim.SGD(model.parameters(), lr=nets.LEARNING_RATE, momentum=nets.MOMENTUM)
        trainer = training.Trainer(model, optimizer, verbose=False)
        changes = None if words is None else data.augment.parse(words)
        loader = data.Loader(split, 8, shuffle=True, augment=changes)
        trainer.fit(loader, epochs=1)
        with counting(computes=True) as records:
            trainer.fit(loader, epochs=2)
    return {"steps": STEPS, **totals(records)}


def pytorch(name: str) -> int | None:
    """PyTorch's operations of forward, loss and backward; the optimizer adds 4 with `foreach`. None without PyTorch."""
    if find_spec("torch") is None:
        return None
    from torch.nn import functional as F
    from torch.utils._python_dispatch import TorchDispatchMode

    from .bench.peers.torch import Torch

    ran = list[str]()

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), options: Any = None) -> Any:
            if not function.is_view:
                ran.append(str(function))
            return function(*args, **(options or {}))

    image, rng = nets.NETS[name].image, np.random.default_rng(1)
    with xpcnn.use_backend("numpy"):
        model = nets.build(name, image)
        x, y = rng.random((2, *image), np.float32), rng.integers(10, size=2)
        made = Torch(1, "cpu").training(nets.Net(name, nets.describe(model, image), model.state_dict(), x, y))
    made.step()  # so that there are gradients and momenta
    made.optimizer.zero_grad()
    with Count():
        F.cross_entropy(made.model(made.x), made.y).backward()
    return len(ran)


def measured(names: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"nets": {name: count(name) for name in names}, "epoch": count_epoch()}
    found["augmented epoch"] = count_epoch(AUGMENTED)
    for name in names:
        found["nets"][name]["pytorch"] = pytorch(name)
    return found


def table(found: dict[str, Any]) -> str:
    head = (
        "", "launches", "stand for ms", "MB", "stand for ms", "GFLOP", "stand for ms", "waits", "copies", "PyTorch",
    )  # fmt: skip
    rows = []
    for name, net in found["nets"].items():
        for what in ("training", "inference"):
            torch = net["pytorch"] if what == "training" else None
            rows.append((f"{name} {what}, {net['batch']}", *_cells(net[what]), "" if torch is None else str(torch)))
    for name in ("epoch", "augmented epoch"):
        rows.append((f"{name} of {found[name]['steps']} steps", *_cells(found[name]), ""))
    return columns(head, rows, left=(0,))


def layers_table(net: dict[str, Any]) -> str:
    head = (
        "training step",
        "launches",
        "stand for ms",
        "MB",
        "stand for ms",
        "GFLOP",
        "stand for ms",
        "waits",
        "copies",
    )
    return columns(head, [(name, *_cells(each)) for name, each in net["training"]["layers"].items()], left=(0,))


def _cells(counts: Counts) -> tuple[str, ...]:
    moved = counts["read"] + counts["written"]
    return (
        f"{counts['launches']:,}", f"{counts['launches'] * LAUNCH * 1e3:.2f}", f"{moved / 1e6:,.1f}",
        f"{moved / BYTES * 1e3:.3f}", f"{counts['operations'] / 1e9:,.2f}",
        f"{counts['operations'] / OPERATIONS * 1e3:.3f}", str(counts["waits"]),
        str(counts["to device"] + counts["to host"]),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ci.launches", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS, metavar="NET", help=", ".join(NETS))
    parser.add_argument("--layers", nargs="+", choices=NETS, default=(), metavar="NET")
    add_options(parser)
    options = parser.parse_args()
    found = measured(dict.fromkeys((*options.nets, *options.layers)))
    print(table(found))
    for name in options.layers:
        print(f"\n{name}\n{layers_table(found['nets'][name])}")
    return finish(found, COMMITTED, options)


if __name__ == "__main__":
    sys.exit(main())
