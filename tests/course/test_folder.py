"""The folder of a course: files that exist stay, progress is kept whole, and what is broken is told in a line.

Notebooks are valid, and an empty one runs from its first cell to its last.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from xpcnn import course
from xpcnn.course.child import checked
from xpcnn.course.exercise import all_exercises, exercise_named
from xpcnn.course.folder import PROGRESS, begun, load, reached, record
from xpcnn.errors import DataError, FormatError, OptionError

EXERCISES = all_exercises()
RIGHT, WRONG = "p = p - lr * g", "p = p + lr * g"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A course, in the current folder."""
    course.write(tmp_path / "course")
    monkeypatch.chdir(tmp_path / "course")
    return tmp_path / "course"


def fill(path, code, hole="p = ..."):
    text = path.read_text(encoding="utf-8")
    assert hole in text
    path.write_text(text.replace(hole, code), encoding="utf-8")


def test_files_that_exist_stay_unless_it_is_asked(folder):
    assert len(list(folder.iterdir())) == 2 * len(EXERCISES) + 2  # and README.md, progress.json
    fill(folder / "11_sgd_step.py", RIGHT)
    (folder / "12_momentum_step.ipynb").unlink()
    record(folder, EXERCISES["sgd_step"], 2, 2)
    written = course.write(folder)
    assert written.new == ("12_momentum_step.ipynb",)
    assert len(written.kept) == 2 * len(EXERCISES)
    assert RIGHT in (folder / "11_sgd_step.py").read_text(encoding="utf-8")
    assert reached(folder) == {"sgd_step": (2, 2)}
    assert len(course.write(folder, overwrite=True).new) == 2 * len(EXERCISES) + 1
    assert RIGHT not in (folder / "11_sgd_step.py").read_text(encoding="utf-8")
    assert reached(folder) == {}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "here").write_text("mine")
    with pytest.raises(OptionError, match="expected a folder"):
        course.write(tmp_path / "here")
    for wrong in (3, None, ""):
        with pytest.raises(OptionError):
            course.write(wrong)
    with pytest.raises(OptionError, match="overwrite"):
        course.write(tmp_path, overwrite="yes")


@pytest.mark.parametrize("name", EXERCISES)
def test_a_notebook_is_valid_and_runs_while_it_is_empty(folder, name):
    path = folder / f"{EXERCISES[name].stem}.ipynb"
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    cells = document["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert all({"cell_type", "id", "metadata", "source"} <= cell.keys() for cell in cells)
    assert any("<details>" in "".join(cell["source"]) for cell in cells)
    names: dict = {"__name__": "__main__"}
    with np.errstate(all="ignore"):
        for cell in cells:
            if cell["cell_type"] == "code":
                assert {cell["execution_count"], *cell["outputs"]} == {None}
                exec("".join(cell["source"]), names)
    assert not begun(folder, EXERCISES[name])


def test_a_cell_s_check_is_kept_in_the_folder(folder):
    course.check(lambda p, g, lr: p + lr * g, "sgd_step")
    assert reached(folder) == {"sgd_step": (0, 2)}
    course.check(lambda p, g, lr: p - lr * g, "sgd_step")
    assert reached(folder) == {"sgd_step": (2, 2)}


def test_own_is_the_learner_s_once_it_is_right(folder, monkeypatch):
    exercise = EXERCISES["sgd_step"]
    assert course.own("sgd_step") is exercise.right
    fill(folder / "11_sgd_step.py", RIGHT + "  # mine")
    assert course.own("sgd_step") is exercise.right  # it has not been checked
    assert checked(folder, exercise).right
    mine = course.own("sgd_step")
    assert mine.__code__.co_filename.endswith("11_sgd_step.py")
    monkeypatch.chdir(folder.parent)
    assert course.own("sgd_step") is exercise.right
    assert course.own("sgd_step", folder) is not exercise.right


def test_the_file_that_was_saved_last_is_checked(folder):
    import os

    exercise = EXERCISES["sgd_step"]
    fill(folder / "11_sgd_step.py", RIGHT)
    fill(folder / "11_sgd_step.ipynb", WRONG)
    os.utime(folder / "11_sgd_step.py", (1, 1))
    assert begun(folder, exercise)[0].name == "11_sgd_step.ipynb"
    assert checked(folder, exercise).lines[0] == "sgd_step: not right yet, 0 of 2 steps (11_sgd_step.ipynb)"
    os.utime(folder / "11_sgd_step.ipynb", (0, 0))
    assert checked(folder, exercise).right


def test_commands_of_ipython_and_cells_that_try_do_not_count(folder):
    path = folder / "16_fast_conv2d.ipynb"
    document = json.loads(path.read_text(encoding="utf-8"))
    (code,) = [cell for cell in document["cells"] if "".join(cell["source"]).startswith("import numpy")]
    code["source"] = ["%matplotlib inline\n", "!ls\n", *[line.replace("...", "3") for line in code["source"]]]
    document["cells"][-1]["source"] = ["raise ZeroDivisionError"]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert load(path, EXERCISES["fast_conv2d"])(np.ones((1, 3, 3, 1)), np.ones((1, 2, 2, 1))) == 3


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("p = = 3", "11_sgd_step.py, line 18: expected code that runs, got SyntaxError: invalid syntax"),
        ("pass\n1 / 0\n", "expected code that runs, got ZeroDivisionError: division by zero"),
        ("pass\ndel sgd_step\n", "expected a function sgd_step, got none"),
        ("pass\nraise SystemExit\n", "expected code that runs, got SystemExit"),
    ],
)
def test_a_file_that_cannot_be_run(folder, code, said):
    fill(folder / "11_sgd_step.py", code, "p = ...\n    return p")
    with pytest.raises(DataError) as raised:
        load(folder / "11_sgd_step.py", EXERCISES["sgd_step"])
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "another"}', '{"format": "xpcnn course 1", "steps": [1]}'])
def test_broken_progress_is_told(folder, text):
    (folder / PROGRESS).write_text(text)
    with pytest.raises(FormatError, match="delete it, and write the course again"):
        reached(folder)
    (folder / PROGRESS).unlink()
    assert course.write(folder).new == ()
    assert reached(folder) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": [{}]}', '{"cells": 3}'])
def test_a_broken_notebook_is_told(folder, text):
    (folder / "11_sgd_step.ipynb").write_text(text)
    with pytest.raises(FormatError, match="expected a notebook"):
        begun(folder, EXERCISES["sgd_step"])


def test_no_such_exercise():
    assert exercise_named("05").name == exercise_named("05_conv2d_dw").name == "conv2d_dw"
    with pytest.raises(OptionError, match=r"did you mean conv2d_dx\?"):
        exercise_named("conv2d_fwd")
    with pytest.raises(OptionError):
        course.own("nonsense")


def test_a_verdict_that_cannot_be_kept_is_told_all_the_same(folder):
    (folder / PROGRESS).write_text("{")
    verdict = course.check(lambda p, g, lr: p - lr * g, "sgd_step")
    assert verdict.right
    assert "this was not kept: " in verdict.lines[-1]


def test_an_answer_may_import_a_file_beside_it_but_none_in_the_place_of_numpy(folder):
    (folder / "numpy.py").write_text("raise ZeroDivisionError")
    (folder / "mine.py").write_text("def step(g, lr):\n    return lr * g\n")
    fill(folder / "11_sgd_step.py", "from mine import step\n    p = p - step(g, lr)")
    assert checked(folder, EXERCISES["sgd_step"]).right
