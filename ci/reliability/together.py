"""Runs that start at the same moment, with the same folder or no named one; and a run that is resumed while it runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import child
from .child import Ended
from .row import Effort, Row, not_tried, shown
from .small import CHECKPOINT, CONFIG, arguments, broken_files, data_file, finished, left_by, workplace

APART, ONE = "each in a folder of its own", "one ran, the others were refused in a line"
SHARED, TWO, NOISY = "two runs in one folder, or a result lost", "not exactly one ran", "not one line"
REFUSED, TAKEN = (
    "the second was refused in a line, the first went on",
    "the second was not refused, or the first failed",
)


def rows(effort: Effort) -> list[Row]:
    """Three rows."""
    wanted = (
        ("runs started together", "two to ten runs that name no folder start at once", APART, _apart, 40, 4),
        ("runs started in one folder", "two to ten runs with the same --out start at once", ONE, _one, 40, 4),
        ("resumed while it runs", "--resume of a run that is still going", REFUSED, _resumed, 15, 2),
    )
    found = []
    with workplace() as place:
        data = data_file(place)
        finished(data, place / "alone")
        for name, what, good, trial, full, quick in wanted:
            if not child.FORKS:
                found.append(not_tried(name, what, child.NO_FORK))
                continue
            row = Row(name, what, (good,), (good,))
            for number in range(effort.times(full, quick)):
                folder = place / f"{trial.__name__}{number}"
                folder.mkdir()
                runs = 2 if number % 3 else int(effort.rng(name, number).integers(3, 11))
                row.add(*trial(folder, data, runs))
            found.append(row)
    return found


def _at_once(commands: list[Callable[[], None]]) -> list[Ended]:
    """Run children that wait for each other before they begin."""
    ready, go = os.pipe()

    def wait(command: Callable[[], None]) -> None:
        os.close(go)
        os.read(ready, 1)  # returns when no process can write any more
        command()

    children = [child.start(partial(wait, command)) for command in commands]
    time.sleep(0.02 * len(commands))
    os.close(go)
    os.close(ready)
    return [each.wait(600) for each in children]


def _apart(folder: Path, data: Path, runs: int) -> tuple[str, str]:
    ended = _at_once([child.command(arguments(data, None, "--seed", str(i)), folder) for i in range(runs)])
    if noisy := [each for each in ended if "Traceback" in each.err or each.how not in ("exit 0", "exit 2")]:
        return NOISY, f"{noisy[0].how}: {shown(noisy[0].err)}"
    made = sorted((folder / "runs").iterdir())
    seeds = sorted(json.loads((each / CONFIG).read_text())["seed"] for each in made if (each / CONFIG).exists())
    well = [i for i, each in enumerate(ended) if each.how == "exit 0"]
    whole = all((each / "result.json").exists() and not broken_files(each) for each in made)
    if len(well) == runs and seeds == well and whole:
        return APART, ""
    return SHARED, f"{runs} runs, {len(well)} of status 0, {len(made)} folders, of seeds {seeds}"


def _one(folder: Path, data: Path, runs: int) -> tuple[str, str]:
    words = [arguments(data, folder / "run", "--seed", str(i)) for i in range(runs)]
    ended = _at_once([child.command(each) for each in words])
    if len([each for each in ended if each.how == "exit 0"]) != 1:
        return TWO, f"{runs} runs: " + ", ".join(each.how for each in ended)
    if noisy := [each for each in ended if each.how != "exit 0" and len(each.err.strip().splitlines()) != 1]:
        return NOISY, f"{noisy[0].how}: {shown(noisy[0].err)}"
    (won,) = (i for i, each in enumerate(ended) if each.how == "exit 0")
    child.run(child.command(arguments(data, folder / "alone", "--seed", str(won))))
    if left_by(folder / "run") != left_by(folder / "alone"):
        return SHARED, f"{runs} runs: what is left is not what run {won} alone leaves"
    return ONE, ""


def _resumed(folder: Path, data: Path, runs: int) -> tuple[str, str]:
    first = child.start(child.command(arguments(data, folder / "run", "--epochs", "100000")))
    until = time.monotonic() + 120
    while not (folder / "run" / CHECKPOINT).exists() and not first.ended() and time.monotonic() < until:
        time.sleep(0.01)
    second = child.run(child.command(["train", "--resume", str(folder / "run"), "--quiet"]), limit=60)
    going = not first.ended()
    first.kill()
    first.wait(10)
    refused = second.how == "exit 2" and len(second.err.strip().splitlines()) == 1
    return (REFUSED, "") if refused and going else (TAKEN, f"the second: {second.how}: {shown(second.err)}")
