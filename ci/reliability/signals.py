"""SIGINT, SIGTERM and SIGHUP at random moments of `xpcnn train`, from the interpreter's start to the end of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import child
from .row import Effort, Row, not_tried, shown
from .small import CHECKPOINT, CONFIG, arguments, broken_files, data_file, finished, left_by, workplace

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
STOPPED, ENDED = "one line, and went on from there to the same end", "the run had ended"
EARLY = "before anything of xpcnn ran"
NOISY, HANG, BROKEN, OTHER = (
    "not one line and a status",
    "hung",
    "a file lost or broken",
    "did not go on to the same end",
)
STATUSES = (129, 130, 143)
PACKAGE = f"{os.sep}xpcnn{os.sep}"


def rows(effort: Effort, command: Sequence[str] = (sys.executable, "-m", "xpcnn")) -> list[Row]:
    """A row for separate processes, from their start on; one for the training, in forked children.

    Parameters
        command : the command line's first words
    """
    names = ("signals from the start on", "signals in training")
    whats = (
        f"{', '.join(NAMES)} at a random moment of a process, its start included; then --resume",
        f"{', '.join(NAMES)} at a random moment of a training; then --resume",
    )
    if not child.FORKS:
        return [not_tried(name, what, child.NO_FORK) for name, what in zip(names, whats, strict=True)]
    with workplace() as place:
        data = data_file(place)
        expected = finished(data, place / "alone")
        first = Row(names[0], whats[0], (STOPPED, ENDED, EARLY), (STOPPED,), NAMES)
        begun = time.monotonic()
        subprocess.run(
            [*command, *arguments(data, place / "timed")], check=True, capture_output=True, env=_environment()
        )
        seconds = 1.1 * (time.monotonic() - begun)
        for number in range(effort.times(60, 9)):
            name, folder = NAMES[number % 3], place / f"start{number}"
            delay = effort.rng("start", number).uniform(0, seconds)
            how, err = _process([*command, *arguments(data, folder)], getattr(signal, name), delay)
            _judge(first, name, f"after {delay:.2f} s of {seconds:.2f}", how, err, folder, data, expected)
        second = Row(names[1], whats[1], (STOPPED, ENDED), (STOPPED,), NAMES)
        for number in range(effort.times(150, 15)):
            name, folder = NAMES[number % 3], place / f"training{number}"
            delay = effort.rng("training", number).uniform(0, 0.1)
            how, err = _training(arguments(data, folder), folder, getattr(signal, name), delay)
            _judge(second, name, f"{delay:.3f} s after its folder was there", how, err, folder, data, expected)
    return [first, second]


def _environment() -> dict[str, str]:
    """The environment, with this copy of xpcnn first on the path."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def _process(words: list[str], number: int, delay: float) -> tuple[str, str]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment())
    time.sleep(delay)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "hang", ""
    code = process.returncode
    return f"exit {code}" if code >= 0 else f"signal {-code}", err.decode(errors="replace")


def _training(words: list[str], folder: Path, number: int, delay: float) -> tuple[str, str]:
    """The same in a forked child, after the run has begun."""
    going, until = child.start(partial(_slowly, words)), time.monotonic() + 120
    while not (folder / CONFIG).exists() and not going.ended() and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(delay)
    going.kill(number)
    ended = going.wait(300)
    return ended.how, ended.err


def _slowly(words: list[str]) -> None:
    """A run whose steps take long enough to be interrupted."""
    from xpcnn.training import Trainer

    step = Trainer.train_step

    def slow(self: Trainer, *arguments: object) -> object:
        time.sleep(0.008)
        return step(self, *arguments)  # type: ignore[arg-type]

    Trainer.train_step = slow  # type: ignore[assignment, method-assign]
    child.command(words)()


def _judge(
    row: Row, name: str, label: str, how: str, err: str, folder: Path, data: Path, expected: dict[str, str]
) -> None:
    label = f"{label}: {how}: {shown(err)}"
    lines = err.strip().splitlines()
    begun = (folder / CONFIG).exists() or (folder / CHECKPOINT).exists()
    if how == "hang":
        outcome = HANG
    elif how == "exit 0" or (how.startswith("signal") and not err and (folder / "result.json").exists()):
        outcome = ENDED  # in the second case while the interpreter was shutting down
    elif not begun and _before_xpcnn(how, err):
        outcome = EARLY
    elif how not in [f"exit {status}" for status in STATUSES] or len(lines) != 1:
        outcome = NOISY
    elif broken := broken_files(folder):
        outcome, label = BROKEN, f"{label} {broken[0]}"
    else:
        words = ["train", "--resume", str(folder), "--quiet"] if begun else arguments(data, folder)
        again = child.run(child.command(words))
        same = again.how == "exit 0" and left_by(folder) == expected
        outcome, label = (STOPPED if same else OTHER), f"{label} then {again.how}: {shown(again.err)}"
    row.add(outcome, label, part=name)


def _before_xpcnn(how: str, err: str) -> bool:
    """True if the interpreter was stopped before it reached xpcnn's code, so that its own handling applied."""
    by_signal = how.startswith("signal") and not err
    return by_signal or ("KeyboardInterrupt" in err and PACKAGE not in err)
