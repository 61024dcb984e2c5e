"""Runs that have little memory: so many bytes of address space beyond what the process has after a first small run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from . import child
from .row import Effort, Row, not_tried
from .small import CHECKPOINT, CONFIG, arguments, broken_files, data_file, finished, left_by, workplace

ENOUGH, ONE_LINE = "enough", "one line, and what was kept is whole and goes on"
BLAS = "OpenBLAS ended the process by itself, and what was kept is whole and goes on"
ABORT, HANG, NOISY, BROKEN, OTHER = (
    "aborted",
    "hung",
    "not one line",
    "a file lost or broken",
    "did not go on as it would",
)
STEP = 2**20  # bytes
MOST = 16  # steps; with so much the run ends well
IMAGES, SIZE = 200, 96  # 96 × 96 pixels into 128 units: a checkpoint of 14 MB


def rows(effort: Effort) -> list[Row]:
    """One row."""
    times = effort.times(120, 10)
    what = f"{times} runs with 0 to {MOST} MiB beyond what a small run took; their checkpoint has 14 MB"
    if not child.LINUX:
        return [not_tried("little memory", what, "limits on address space hold on Linux only")]
    row = Row("little memory", what, (ENOUGH, ONE_LINE, BLAS), (ONE_LINE,))
    with workplace() as place:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (IMAGES, SIZE, SIZE, 1), dtype=np.uint8)
        np.savez(place / "large.npz", images=images, labels=np.arange(IMAGES) % 3)
        expected = child.run(partial(finished, place / "large.npz", place / "alone")).value
        tiny = data_file(place)
        for number in range(times):
            warm_up = partial(finished, tiny, place / f"small{number}")
            limit = int(effort.rng("memory", number).integers(MOST * STEP))
            row.add(*_trial(place / f"run{number}", place / "large.npz", warm_up, limit, expected))
    return [row]


def _trial(
    folder: Path, data: Path, warm_up: Callable[[], object], limit: int, expected: dict[str, str]
) -> tuple[str, str]:
    words = arguments(data, folder)
    train = child.command(words)

    def with_little_memory() -> None:
        warm_up()
        child.limit_memory(limit)
        train()

    ended = child.run(with_little_memory, limit=90)
    label = f"{limit / 2**20:.0f} MiB: {ended.how}: {ended.err[-200:]}"
    if ended.how == "hang":
        return HANG, label
    if ended.how.startswith("signal"):
        return ABORT, label
    one_line, by_blas = len(ended.err.strip().splitlines()) == 1, ended.err.startswith("OpenBLAS error")
    well = {"exit 0": ENOUGH, "exit 2": ONE_LINE if one_line else "", "exit 1": BLAS if by_blas else ""}
    if not (outcome := well.get(ended.how, "")):
        return NOISY, label
    if broken := broken_files(folder):
        return BROKEN, f"{label} {broken[0]}"
    if ended.how != "exit 0":
        begun = (folder / CONFIG).exists() or (folder / CHECKPOINT).exists()
        again = child.run(child.command(["train", "--resume", str(folder), "--quiet"] if begun else words), limit=90)
        if again.how != "exit 0":
            return OTHER, f"{label} then {again.how}: {again.err[-200:]}"
    wrong = [name for name, found in left_by(folder).items() if found != expected[name]]
    if wrong:
        return OTHER, f"{label} {', '.join(wrong)}"
    return outcome, ""
