"""Writes an exercise as a notebook and as a plain Python file."""

from __future__ import annotations

import json
from collections.abc import Iterable

from .exercise import Exercise

FORMS = ("py", "ipynb")
CHECK, EXAMPLE = "check", "example"  # tags of the cells that ask for the verdict, and that try the function
NOT_LOADED = (CHECK, EXAMPLE)


def page(exercise: Exercise, form: str) -> str:
    """The text of the exercise's file in that form."""
    return notebook(exercise) if form == "ipynb" else plain_file(exercise)


def plain_file(exercise: Exercise) -> str:
    """A Python file: the text as its docstring, the function with the hole, and a call of the check.

    >>> from xpcnn.course.exercise import exercise_named
    >>> print(plain_file(exercise_named("sgd_step")).splitlines()[0])
    \"\"\"11. Gradient descent
    """
    text = f"""{exercise.number}. {exercise.title}

{exercise.text}

{_indented(exercise.formula)}

Fill the hole, which is `...`. Then, in the folder of the course:

    xpcnn course check {exercise.name}
    xpcnn course hint {exercise.name}
"""
    example = "".join(f"    # {line}\n" if line else "    #\n" for line in exercise.example.splitlines())
    tried = f"    # To try it:\n{example}" if example else ""
    return f'''"""{text}"""

{exercise.code}

if __name__ == "__main__":
    from xpcnn import course

{tried}    print(course.check({exercise.name}))
'''


def notebook(exercise: Exercise) -> str:
    """A Jupyter notebook, as JSON: text, the cell with the hole, a hint that unfolds, and a cell for the check."""
    name = exercise.name
    cells = [
        _markdown(f"# {exercise.number}. {exercise.title}\n\n{exercise.text}\n\n```text\n{exercise.formula}\n```"),
        _markdown(f"<details>\n<summary>A hint</summary>\n\n{exercise.hint}\n\n</details>"),
        _code(exercise.code.strip()),
        *([_code(exercise.example, EXAMPLE)] if exercise.example else []),
        _code(f"from xpcnn import course\n\ncourse.check({name})", CHECK),
    ]
    for position, cell in enumerate(cells):
        cell["id"] = f"{name.replace('_', '-')}-{position}"
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def overview(exercises: Iterable[Exercise], form: str) -> str:
    """The README of the folder."""
    rows = "\n".join(f"| {e.number} | [{e.title}]({e.stem}.{form}) | `{e.name}` |" for e in exercises)
    return f"""# Backpropagation through a convolutional network, by hand

Each exercise is a function with a hole in it, which is `...`, as a notebook (`.ipynb`) and as a plain file (`.py`);
fill either. In this folder,

    xpcnn course check NAME      says whether it is right, and if not, where it differs and what that looks like
    xpcnn course check           checks all that you have begun, and shows how far you are
    xpcnn course hint NAME       a hint
    xpcnn course solution NAME   the library's own line

A notebook has a cell for the check. To begin an exercise anew, delete its file and write the course again:
`xpcnn course .` leaves all files that exist as they are.

| | exercise | function |
|---|---|---|
{rows}
"""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _markdown(text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str, tag: str = "") -> dict[str, object]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [tag]} if tag else {},
        "outputs": [],
        "source": text.splitlines(keepends=True),
    }
