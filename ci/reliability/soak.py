"""A long training: memory, open files and threads stay constant, the loss stays finite, files do not accumulate."""

from __future__ import annotations

import gc
import math
import os
import threading
from pathlib import Path
from typing import Any

from xpcnn.data import Loader
from xpcnn.optim import Adam
from xpcnn.training import CSVLog, Trainer
from xpcnn.training.callback import Step

from . import child
from .row import Effort, Row, not_tried, shown
from .small import CHECKPOINT, network, split, workplace

FINE = "steps with a finite loss"
MOST_GROWTH = 8 * 2**20  # growth in bytes of resident memory, after the first tenth of the steps


def rows(effort: Effort) -> list[Row]:
    """One row."""
    steps = 100 * effort.times(100, 10)  # 100 per epoch
    what = f"{steps:,} steps with checkpoints, validation and a log: memory, files, threads and loss"
    name = "a long training"
    if not child.LINUX:
        return [not_tried(name, what, "it reads /proc, which only Linux has")]
    row = Row(name, what, (FINE,), (FINE,))
    with workplace() as place:
        ended = child.run(lambda: measure(place / "run", steps), limit=3600)
    if ended.how != "exit 0":
        row.add(f"ended with {ended.how}", shown(ended.err))
        return [row]
    begun, last, losses = ended.value
    row.add(FINE, times=sum(map(math.isfinite, losses)))
    if any(not math.isfinite(loss) for loss in losses):
        row.add("steps with another loss", times=sum(not math.isfinite(loss) for loss in losses))
    if len(losses) != steps:
        row.add("steps missing or too many", f"{len(losses)} of {steps}")
    row.what += f" (memory grew by {(last['memory'] - begun['memory']) / 2**20:.1f} MiB)"
    most = {"memory": MOST_GROWTH, "open files": 0, "threads": 0, "files": 0, "bytes in the checkpoint": 3 * steps}
    for quantity, growth in most.items():
        if last[quantity] - begun[quantity] > growth:
            row.add(f"more {quantity} than before", f"{begun[quantity]} after a tenth, {last[quantity]} in the end")
    return [row]


def measure(folder: Path, steps: int) -> tuple[dict[str, int], dict[str, int], list[float]]:
    """The resources of this process after a tenth of the steps and after all, and all losses."""
    begun: dict[str, int] = {}
    losses: list[float] = []

    def look(trainer: Trainer, step: Step) -> None:
        losses.append(step.loss)
        if step.step == steps // 10 + 1:  # the first epoch has written its files by then
            begun.update(_now(folder))

    model, loader = network(), Loader(split(600), 6, shuffle=True, seed=0)
    log = CSVLog(folder / "steps.csv")
    trainer = Trainer(
        model, Adam(model.parameters(), lr=0.003), folder=folder, on_step=[log, look], verbose=False,
        checkpoint_seconds=0.05,
    )  # fmt: skip
    trainer.fit(loader, split(20, 1), epochs=max(1, steps // len(loader)))
    return begun, _now(folder), losses


def _now(folder: Path) -> dict[str, Any]:
    gc.collect()
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    checkpoint = folder / CHECKPOINT
    return {
        "memory": resident,
        "open files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "files": len(os.listdir(folder)),
        "bytes in the checkpoint": checkpoint.stat().st_size if checkpoint.exists() else 0,
    }
