"""The folder of a course: its files, what has been reached, and the functions that the learner has written."""

from __future__ import annotations

import json
import linecache
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, FileError, FormatError, OptionError
from ..io.atomic import sweep, write_atomically
from ..io.document import parse_json
from ..options import as_flag, expanded
from .exercise import Exercise, all_exercises, exercise_named
from .pages import FORMS, NOT_LOADED, overview, page

PROGRESS = "progress.json"
_FORMAT = "xpcnn course 1"


@dataclass(frozen=True)
class Written:
    """What `write` did: the files that it wrote, and those that were there and that it left as they are.

    >>> import tempfile
    >>> written = write(tempfile.mkdtemp())
    >>> len(written.new) > 30, written.kept
    (True, ())
    """

    folder: Path
    new: tuple[str, ...]
    kept: tuple[str, ...]


def write(folder: str | Path, *, overwrite: bool = False) -> Written:
    """Write all exercises into a folder, as notebooks and as plain files, with an overview and a file of progress.

    Parameters
        folder : is made if it is missing
        overwrite : write files again that are there, and so lose what was filled in; False leaves them as they are
    Raises
        OptionError : no folder can have that name;  FileError : a file cannot be written

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     written = write(place)
    ...     written.new[:3], write(place).new
    (('01_one_step.py', '01_one_step.ipynb', '02_output_size.py'), ())
    """
    path = expanded("course", folder)
    overwrite = as_flag("course", "overwrite", overwrite)
    if path.exists() and not path.is_dir():
        raise OptionError("course", "a folder", f"the file '{path}'", "choose another name")
    files = {f"{e.stem}.{form}": page(e, form) for e in all_exercises().values() for form in FORMS}
    files["README.md"] = overview(all_exercises().values(), "ipynb")
    present = {each.name for each in path.iterdir()} if path.is_dir() else set()
    new = [name for name in files if overwrite or name not in present]
    for name in new:
        write_atomically(path / name, files[name].encode(), make_folder=True)
    sweep(path)
    if overwrite or PROGRESS not in present:
        _save(path, {})
    return Written(path, tuple(new), tuple(name for name in files if name not in new))


def is_course(folder: Path) -> bool:
    """True if the folder is one that `write` has made."""
    return (folder / PROGRESS).is_file()


def reached(folder: Path) -> dict[str, tuple[int, int]]:
    """By exercise, how many of its steps were right at the last check, of how many.

    Raises
        FormatError : the file of progress is broken;  FileError : it cannot be read
    """
    path = folder / PROGRESS
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    try:
        document = parse_json(text)
        if document["format"] != _FORMAT:
            raise ValueError
        steps = {str(name): (int(done), int(of)) for name, (done, of) in document["steps"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        remedy = "delete it, and write the course again: the exercises stay as they are"
        raise FormatError(str(path), "the progress of a course", "something else", remedy) from None
    return {name: steps[name] for name in all_exercises() if name in steps}


def record(folder: Path, exercise: Exercise, done: int, of: int) -> None:
    """Keep how many steps of an exercise are right."""
    steps = reached(folder) | {exercise.name: (done, of)}
    _save(folder, steps)


def _save(folder: Path, steps: dict[str, tuple[int, int]]) -> None:
    document = {"format": _FORMAT, "steps": {name: list(each) for name, each in steps.items()}}
    write_atomically(folder / PROGRESS, (json.dumps(document, indent=1) + "\n").encode(), make_folder=True)


def begun(folder: Path, exercise: Exercise) -> list[Path]:
    """The files of the exercise that are no longer as `write` made them, the one saved last first."""
    found = []
    for form in FORMS:
        path = folder / f"{exercise.stem}.{form}"
        if path.is_file() and _code_of(path) != _code(page(exercise, form), form, path):
            found.append(path)
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _code_of(path: Path) -> str:
    """The code in the file.

    Raises
        FileError : it cannot be read;  FormatError : it is no notebook, or no text
    """
    try:
        return _code(path.read_text(encoding="utf-8"), path.suffix[1:], path)
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    except UnicodeDecodeError:
        raise FormatError(str(path), "a text in UTF-8", "something else", "save it as UTF-8") from None


def _code(text: str, form: str, path: Path) -> str:
    """The code of a page: of a notebook, without that of cells that check or try it, and commands of IPython."""
    if form == "py":
        return text
    try:
        cells = parse_json(text)["cells"]
        sources = [
            "".join(cell["source"])
            for cell in cells
            if cell["cell_type"] == "code" and not {*NOT_LOADED} & {*cell["metadata"].get("tags", ())}
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FormatError(str(path), "a notebook", "something else", "open it in Jupyter, or delete it") from None
    lines = "\n\n".join(sources).splitlines()
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines) + "\n"


def load(path: Path, exercise: Exercise) -> Callable[..., Any]:
    """The learner's function from a file.

    Raises
        DataError : the file cannot be run, or does not define it
    """
    text = _code_of(path)
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    names: dict[str, Any] = {"__name__": f"course_{exercise.name}", "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), names)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        line = getattr(error, "lineno", None) or _last_line(error, str(path))
        got = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
        raise DataError(f"{path.name}, line {line}", "code that runs", got) from None
    function = names.get(exercise.name)
    if not callable(function):
        remedy = "keep its name, or delete the file and write the course again"
        raise DataError(path.name, f"a function {exercise.name}", "none", remedy)
    return function  # type: ignore[no-any-return]


def _last_line(error: BaseException, file: str) -> int:
    """The last line of the file that the error passed through."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == file else line
        trace = trace.tb_next
    return line


def own(name: str, folder: str | Path = ".") -> Callable[..., Any]:
    """Your function of an exercise if its last check found it right, else the library's, with the same arguments.

    Parameters
        name : of the exercise
        folder : of the course
    Raises
        OptionError : no such exercise

    >>> own("output_size")(5, 3, 2, 1)
    3
    """
    exercise = exercise_named(name)
    path = expanded("course", folder)
    if is_course(path):
        done, of = reached(path).get(exercise.name, (0, 1))
        files = begun(path, exercise)
        if done == of and files:
            return load(files[0], exercise)
    return exercise.right


def named_or_begun(folder: Path, names: Iterable[str]) -> list[Exercise]:
    """The exercises of these names; without any, those that have been begun."""
    chosen = [exercise_named(name) for name in names]
    return chosen or [each for each in all_exercises().values() if begun(folder, each)]
