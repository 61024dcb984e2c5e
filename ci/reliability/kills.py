"""SIGKILL at random moments of runs that write many checkpoints; each is resumed until it ends."""

from __future__ import annotations

import mmap
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xpcnn.io.tensors import read_tensors
from xpcnn.training.config import RunConfig
from xpcnn.training.run import resume, start

from . import child
from .row import Effort, Row, not_tried, shown
from .small import CHECKPOINT, CONFIG, broken_files, data_file, left_by, workplace

NAME = "kills"
DURING, BETWEEN = "killed while a file was written", "killed between writes"
LOST, BACK, FAILED = "a file lost or broken", "went back by more than the epoch at hand", "did not go on"
EQUAL, OTHER = "ended as without a kill, bit for bit", "ended otherwise"
EPOCHS = 4
SLOW = 0.006  # seconds added to each sync of a file, so that kills hit it


def rows(effort: Effort) -> list[Row]:
    """One row."""
    kills = effort.times(1000, 60)
    what = (
        f"SIGKILL at a random moment of a run that writes model, history and checkpoint all the time; {kills:,} kills"
    )
    if not child.FORKS:
        return [not_tried(NAME, what, child.NO_FORK)]
    row = Row(NAME, what, (DURING, BETWEEN, EQUAL), (DURING, EQUAL))
    rng, number = effort.rng("kills"), 0
    with workplace() as place:
        data = data_file(place)
        config = RunConfig(dataset=str(data), model="mlp", epochs=EPOCHS, batch_size=20, log="csv", ema=0.9)
        start(config, place / "warm up", verbose=False)
        begun = time.monotonic()
        child.run(partial(_go_on, config, place / "alone", mmap.mmap(-1, 1)))
        expected, seconds = left_by(place / "alone"), time.monotonic() - begun
        while row.counts[DURING] + row.counts[BETWEEN] < kills and not row.examples:
            number += 1
            _run(row, rng, config, place / f"run{number}", expected, kills, seconds / 2)
    return [row]


def _run(
    row: Row,
    rng: np.random.Generator,
    config: RunConfig,
    folder: Path,
    expected: dict[str, str],
    kills: int,
    longest: float,
) -> None:
    """One run to its end, killed repeatedly.

    Parameters
        longest : most seconds from its first write to a kill
    """
    epoch, left, writes = 0, set[Path](), mmap.mmap(-1, 1)
    while True:
        enough = row.counts[DURING] + row.counts[BETWEEN] >= kills
        writes[0] = 0
        going = child.start(partial(_go_on, config, folder, writes))
        if not enough:
            early = rng.random() < 0.1  # perhaps before anything is written
            while not (early or writes[0] or going.ended()):
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, longest))
            going.kill()
        ended = going.wait(300)
        if ended.how == "exit 0":
            wrong = [name for name, found in left_by(folder).items() if found != expected[name]]
            row.add(OTHER if wrong else EQUAL, f"{folder.name}: {', '.join(wrong)}")
            return
        if ended.how != "signal 9":
            row.add(FAILED, f"{folder.name}: {ended.how}: {shown(ended.err)}")
            return
        older, left = left, set(folder.glob(".*.tmp"))
        row.add(DURING if left - older else BETWEEN)
        if broken := broken_files(folder):
            row.add(LOST, broken[0])
            return
        epoch, before = _epoch(folder), epoch
        if epoch < before:
            row.add(BACK, f"{folder.name}: from epoch {before} to {epoch}")
            return


def _go_on(config: RunConfig, folder: Path, writes: mmap.mmap) -> None:
    fsync = os.fsync

    def slow(fd: Any) -> None:
        writes[0] = 1
        time.sleep(SLOW)
        fsync(fd)

    os.fsync = slow
    if (folder / CONFIG).exists():
        resume(folder, verbose=False)
    else:
        start(config, folder, verbose=False)


def _epoch(folder: Path) -> int:
    """The epoch that the checkpoint has reached; 0 if there is none."""
    if not (folder / CHECKPOINT).exists():
        return 0
    return int(read_tensors(folder / CHECKPOINT)[1]["position"]["epoch"])
