"""Runs with too little memory: less additional address space than they need after a small run in the same process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from . import child
from .row import Effort, Row, not_tried, shown
from .small import CHECKPOINT, CONFIG, arguments, broken_files, data_file, finished, left_by, workplace

ENOUGH, ONE_LINE = "enough", "one line, and what was kept is whole and goes on"
ABORT, HANG, NOISY, BROKEN, OTHER = (
    "aborted",
    "hung",
    "not one line",
    "a file lost or broken",
    "did not go on as it would",
)
LONGEST = 300.0  # seconds
LEAST = 2**20  # bytes that Python itself needs to raise an error
IMAGES, SIZE = 200, 96  # 96 × 96 pixels into 128 units: a checkpoint of 14 MB


def rows(effort: Effort) -> list[Row]:
    """One row."""
    times = effort.times(120, 10)
    what = f"{times} runs with more and more memory, from too little to enough; their checkpoint has 14 MB"
    if not child.LINUX:
        return [not_tried("little memory", what, "limits on address space hold on Linux only")]
    row = Row("little memory", what, (ENOUGH, ONE_LINE), (ONE_LINE,))
    for name in ("xpcnn.cli.train", "xpcnn.data.array_file", "xpcnn.training.out_of_memory"):
        import_module(name)  # with less than 32 bytes left in an import, CPython 3.11 may try forever to report it
    with workplace() as place:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (IMAGES, SIZE, SIZE, 1), dtype=np.uint8)
        np.savez(place / "large.npz", images=images, labels=np.arange(IMAGES) % 3)
        small = partial(finished, data_file(place))
        alone = child.run(partial(_measured, small, place))
        expected, most = alone.value
        row.what += f"; one alone takes {most / 2**20:.0f} MiB beyond a small one"
        for number in range(times):
            share = 1.1 * (number + effort.rng("memory", number).random()) / times  # of the first, 0.11 at most
            limit = LEAST + int(share * (most - LEAST))
            warm_up = partial(small, place / f"small{number}")
            row.add(*_trial(place / f"run{number}", place / "large.npz", warm_up, limit, expected))
    return [row]


def _measured(small: Callable[[Path], object], place: Path) -> tuple[dict[str, str], int]:
    """The digests of the files of a run with enough memory, and the bytes that it takes beyond a small one."""
    small(place / "small")
    blocks = child.use_up()
    child.limit_memory(2**34)
    before = child.addresses()
    left = finished(place / "large.npz", place / "alone")
    del blocks
    return left, child.addresses(most=True) - before


def _trial(
    folder: Path, data: Path, warm_up: Callable[[], object], limit: int, expected: dict[str, str]
) -> tuple[str, str]:
    words = arguments(data, folder)
    train = child.command(words)

    def with_little_memory() -> None:
        warm_up()
        blocks = child.use_up()
        child.limit_memory(limit)
        train()
        del blocks

    ended = child.run(with_little_memory, limit=LONGEST)
    label = f"{limit / 2**20:.0f} MiB: {ended.how}: {shown(ended.err)}"
    if ended.how == "hang":
        return HANG, label
    if ended.how.startswith("signal"):
        return ABORT, label
    well = {"exit 0": ENOUGH, "exit 2": ONE_LINE if len(ended.err.strip().splitlines()) == 1 else ""}
    if not (outcome := well.get(ended.how, "")):
        return NOISY, label
    if broken := broken_files(folder):
        return BROKEN, f"{label} {broken[0]}"
    if ended.how != "exit 0":
        begun = (folder / CONFIG).exists() or (folder / CHECKPOINT).exists()
        again = child.run(
            child.command(["train", "--resume", str(folder), "--quiet"] if begun else words), limit=LONGEST
        )
        if again.how != "exit 0":
            return OTHER, f"{label} then {again.how}: {shown(again.err)}"
    wrong = [name for name, found in left_by(folder).items() if found != expected[name]]
    if wrong:
        return OTHER, f"{label} {', '.join(wrong)}"
    return outcome, ""
