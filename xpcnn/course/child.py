"""Checks files in a process of their own, so that an answer may hang, crash or end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import XpcnnError
from ..io.atomic import write_atomically
from .exercise import Exercise, exercise_named
from .folder import begun, load, record
from .judge import Stopped, limit
from .verdict import Verdict, check

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1].split('\\n'); from xpcnn.course.child import main; main(*sys.argv[2:])"
)
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
        path = "\n".join(map(os.path.abspath, sys.path))  # modules are found where this process finds them
        words = [path, str(folder), files[0].name, exercise.name, str(time), str(report)]
        command = [sys.executable, "-I", "-c", _PROGRAM, *words]
        try:
            none = subprocess.DEVNULL  # not a pipe, which a process that the answer starts could keep open
            done = subprocess.run(command, stdin=none, stdout=none, stderr=none, timeout=most, check=False)
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


def main(folder: str, file: str, name: str, seconds: str, report: str) -> None:
    """Check a file in the folder, and write the verdict to the file `report`."""
    exercise = exercise_named(name)
    os.chdir(folder)
    sys.path.append(os.getcwd())  # last: a file of the learner's that is called numpy.py is no NumPy
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
    write_atomically(report, json.dumps(text).encode())
