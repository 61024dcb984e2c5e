"""Checks files in a process of their own, so that an answer may hang, crash or end it.

`python -m xpcnn.course.child FILE NAME SECONDS REPORT` checks one file in the current folder, and writes the verdict to
the file REPORT.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import XpcnnError
from .exercise import Exercise, exercise_named
from .folder import begun, load, record
from .judge import Stopped, limit
from .verdict import Verdict, check

_GRACE = 10.0  # seconds to start and to end in


def checked(folder: Path, exercise: Exercise, seconds: float | None = None) -> Verdict:
    """Check the exercise's file in the folder; of notebook and plain file, the one that was saved last.

    Parameters
        seconds : the most time to take, instead of the exercise's own
    """
    files = begun(folder, exercise)
    count = len(exercise.cases())
    if not files:
        record(folder, exercise, 0, count)
        told = f"{exercise.name}: the hole is still empty, in {exercise.stem}.py and in {exercise.stem}.ipynb"
        return Verdict(exercise.name, False, (), (told,))
    time = exercise.seconds if seconds is None else seconds
    most = (3 if exercise.afterwards or exercise.pair else 2) * time + _GRACE
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        words = [files[0].name, exercise.name, str(time), str(report)]
        command = [sys.executable, "-m", "xpcnn.course.child", *words]
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=most, check=False
            )
            ended = f"it ended the process, with status {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"it did not come to an end within {most:g} s, and was stopped"
        if report.exists():
            verdict = Verdict(**json.loads(report.read_text(encoding="utf-8")))
        else:
            record(folder, exercise, 0, count)
            verdict = Verdict(exercise.name, False, (), (f"{exercise.name}: not right yet", ended))
    first, *others = verdict.lines
    return Verdict(verdict.exercise, verdict.right, verdict.steps, (f"{first} ({files[0].name})", *others))


def _main(file: str, name: str, seconds: str, report: str) -> None:
    exercise = exercise_named(name)
    try:
        try:
            with limit(float(seconds)):
                function = load(Path(file), exercise)
        except Stopped:
            raise XpcnnError(file, "code that ends", f"code that runs for more than {seconds} s") from None
        verdict = check(function, exercise, seconds=float(seconds))
    except XpcnnError as error:
        record(Path(), exercise, 0, len(exercise.cases()))
        verdict = Verdict(exercise.name, False, (), (f"{exercise.name}: not right yet", str(error)))
    text = {"exercise": verdict.exercise, "right": verdict.right, "steps": verdict.steps, "lines": verdict.lines}
    Path(report).write_text(json.dumps(text), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
