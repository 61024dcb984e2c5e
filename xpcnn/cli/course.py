"""`xpcnn course`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..course.child import checked
from ..course.exercise import all_exercises, exercise_named
from ..course.folder import is_course, named_or_begun, reached, write
from ..errors import DataError, OptionError
from ..options import as_number
from ..table import columns
from .files import path_word

FOLDER = "xpcnn-course"
_VERBS = ("check", "hint", "solution")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        default=FOLDER,
        metavar="FOLDER|check|hint|solution",
        help=f"a folder to write the exercises into (default: {FOLDER}); or check, hint or solution, in such a folder",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="exercises, for check (default: all begun), hint …")
    parser.add_argument(
        "--folder", type=path_word, help=f"of the course, for check (default: the current one, or {FOLDER} in it)"
    )
    parser.add_argument("--overwrite", action="store_true", help="write files again that are there: answers are lost")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="the most time that a check may take (default: 20, or 60 where it trains)",
    )


def run(options: argparse.Namespace) -> int | None:
    if options.what not in _VERBS:
        if options.names:
            raise OptionError("course", f"FOLDER, or {', '.join(_VERBS)} and NAME", " ".join(options.names))
        _write(options.what, options.overwrite)
        return None
    if options.what == "check":
        return _check(options)
    if not options.names:
        expected = f"the name of an exercise: {', '.join(all_exercises())}"
        raise OptionError(f"course {options.what}", expected, "none")
    for name in options.names:
        exercise = exercise_named(name)
        print(exercise.hint if options.what == "hint" else f"{exercise.line}")
        for number, line in exercise.line.code() if options.what == "solution" else ():
            print(f"{number:>6}  {line}")
    return None


def _write(folder: str, overwrite: bool) -> None:
    written = write(folder, overwrite=overwrite)
    print(f"{len(all_exercises())} exercises in {written.folder}: {len(written.new)} files written", end="")
    print(f", {len(written.kept)} were there and stay as they are" if written.kept else "")
    first = next(iter(all_exercises().values()))
    print(f"begin with {written.folder / first.stem}.py, or the notebook beside it;")
    print(f"then, in {written.folder}: xpcnn course check")


def _folder(given: Path | None) -> Path:
    for folder in [given] if given is not None else [Path(), Path(FOLDER)]:
        if is_course(folder):
            return folder
    where = str(given) if given is not None else f"here, or in {FOLDER}"
    raise DataError("course", "the folder of a course", f"none: {where}", "xpcnn course FOLDER writes one")


def _check(options: argparse.Namespace) -> int:
    seconds = options.seconds
    if seconds is not None:
        seconds = as_number("course check", "--seconds", seconds, "(0, inf)")
    folder = _folder(options.folder)
    reached(folder)  # a broken file is refused before anything runs
    verdicts = []
    for exercise in named_or_begun(folder, options.names):
        verdicts.append(checked(folder, exercise, seconds))
        print(*verdicts[-1].lines, sep="\n", end="\n\n", flush=True)
    if not options.names:
        print(_progress(folder))
    return 0 if all(verdict.right for verdict in verdicts) else 1


def _progress(folder: Path) -> str:
    done = reached(folder)
    rows = []
    for exercise in all_exercises().values():
        right, of = done.get(exercise.name, (0, 0))
        state = "right" if of and right == of else f"{right} of {of} steps" if of else ""
        rows.append((str(exercise.number), exercise.title, exercise.name, state))
    finished = sum(right == of for right, of in done.values())
    return columns(("", "exercise", "function", ""), rows, left=(1, 2, 3)) + f"\n\n{finished} of {len(rows)} are right"
