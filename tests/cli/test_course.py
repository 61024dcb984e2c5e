"""`xpcnn course`: write, try, be told, try again; whatever the learner's code does ends in a line."""

from __future__ import annotations

import re

import pytest

from xpcnn import course
from xpcnn.cli import main


def fill(path, code, hole):
    text = path.read_text(encoding="utf-8")
    assert hole in text
    path.write_text(text.replace(hole, code), encoding="utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder: words → the status, what it printed, and its errors."""
    monkeypatch.chdir(tmp_path)

    def command(*words):
        with pytest.raises(SystemExit) as ended:
            main(["course", *words])
        return ended.value.code, *capsys.readouterr()

    return command


def test_a_learner_s_way(run, tmp_path, monkeypatch):
    assert run()[1].startswith("16 exercises in xpcnn-course: 33 files written\n")
    status, printed, _ = run("check")
    assert status == 0
    assert printed.endswith("0 of 16 are right\n")
    path = tmp_path / "xpcnn-course" / "05_conv2d_dw.py"
    loop = "    for n, i, j, f in np.ndindex(*dy.shape):\n        "
    fill(path, f"{loop}dw[f] += dy[n, i, j, f] * x[n, i : i + kh, j : j + kw]\n", "    ...\n")
    status, printed, _ = run("check", "conv2d_dw")
    assert status == 1
    assert printed.splitlines()[0] == "conv2d_dw: not right yet, 2 of 5 steps (05_conv2d_dw.py)"
    assert "It looks as if the stride were ignored." in printed
    assert "backward has `dw[f] += dy[n, i, j, f] * window`" in " ".join(run("hint", "conv2d_dw")[1].split())
    fill(path, f"    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))\n{loop}", loop)
    fill(path, "x[n, i * stride[0] :, j * stride[1] :][:kh, :kw]", "x[n, i : i + kh, j : j + kw]")
    monkeypatch.chdir(path.parent)
    status, printed, _ = run("check", "5")
    assert status == 0, printed
    assert printed.startswith("conv2d_dw: right, 5 of 5 steps; witnesses: central difference")
    printed = run("solution", "conv2d_dw")[1]
    assert printed.startswith("xpcnn/ops/conv.py, correlate_dw, equation (2); derived in")
    assert "taps = [dy_t @" in printed
    assert run(".")[1].startswith("16 exercises in .: 0 files written, 33 were there and stay as they are\n")


def test_code_that_does_not_come_back(run, tmp_path):
    course.write(tmp_path / "c")
    for stem, code in {
        "11_sgd_step": "while True: pass",
        "12_momentum_step": "import os; os._exit(7)",
        "13_rmsprop_step": "return p, s\nwhile True: pass",
    }.items():
        path = tmp_path / "c" / f"{stem}.py"
        path.write_text(re.sub(r" \w = \.\.\.\n.*return p(, \w)?\n", f" {code}\n", path.read_text(), flags=re.DOTALL))
    status, printed, _ = run("check", "--folder", "c", "--seconds", "1")
    assert status == 1
    endless, ended, outside, *_ = printed.split("\n\n")
    assert endless.endswith('step "one number": it did not come to an end within 1 s: is there an endless loop?')
    assert ended.endswith("it ended the process, with status 7")
    assert outside.endswith("13_rmsprop_step.py: expected code that ends, got code that runs for more than 1.0 s")
    assert printed.count("0 of 2 steps") == 4  # one of them is the verdict's


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check",), "course: expected the folder of a course, got none: here, or in xpcnn-course"),
        (("check", "--folder", "nowhere"), "got none: nowhere; xpcnn course FOLDER writes one"),
        (("check", "--seconds", "0"), "course check: expected --seconds: a number in (0, inf), got 0.0"),
        (("hint",), "course hint: expected the name of an exercise"),
        (("hint", "conv2d_dv"), "course: expected an exercise: one_step"),
        (("c", "d"), "course: expected FOLDER, or check, hint, solution and NAME, got d"),
        (("",), "course: expected the name of a file or a folder, got an empty text"),
        (("/proc/nowhere",), "/proc/nowhere"),
    ],
)
def test_wrong_turns(run, words, said):
    status, printed, error = run(*words)
    assert (status, printed) == (2, "")
    assert said in error
    assert len(error.splitlines()) == 1
