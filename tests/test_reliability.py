"""`python -m ci.reliability` passes nothing that it has not tried: each of its checks sees a planted fault."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from mmap import mmap
from pathlib import Path

import numpy as np
import pytest

from ci.reliability import (
    __main__,
    against_pytorch,
    child,
    disk,
    gradients,
    kills,
    memory,
    nonfinite,
    page,
    processes,
    resume,
    row,
    signals,
    soak,
    threads,
    together,
)
from ci.reliability.row import FAILS, HOLDS, NOT_TRIED, Effort, Row, shown
from xpcnn import nn
from xpcnn.training.nonfinite import Finding

from .arrays import needs_torch

pytestmark = [
    pytest.mark.skipif(not child.FORKS, reason="the checks fork"),
    pytest.mark.skipif(bool(os.environ.get("XPCNN_BACKEND")), reason="the checks are of NumPy"),
    pytest.mark.skipif(bool(os.environ.get("XPCNN_IMPLEMENTATION")), reason="they choose implementations themselves"),
]


def made(**counts):
    return Row("n", "w", ("good",), ("good",), ("a",), counts=Counter(counts), tried_parts=Counter(a=1))


def test_a_verdict_follows_from_the_counts():
    assert made(good=3).verdict == HOLDS
    assert made(good=3, bad=1).faults == ["bad: 1"]
    assert made().faults == ["nothing was tried"]
    assert made().verdict == FAILS
    assert Row("n", "w", ("good", "fine"), ("good",), counts=Counter(fine=2)).faults == ["never seen: good"]
    assert Row("n", "w", ("good",), parts=("a", "b"), counts=Counter(good=2), tried_parts=Counter(a=2)).faults == [
        "never tried: b"
    ]


def test_what_is_not_tried_is_neither_passed_nor_a_fault():
    missing = row.not_tried("n", "w", "PyTorch is not installed")
    assert (missing.verdict, missing.faults) == (NOT_TRIED, [])
    missing.add("bad")
    assert missing.verdict == FAILS


def outcomes(rows, *, of=0):
    return dict(rows[of].counts)


def worse(pair):
    """A backward that is a thousandth too large."""
    return pair[0], lambda *arguments, **options: pair[1](*arguments, **options) * 1.001


def test_gradients(monkeypatch):
    monkeypatch.setattr(gradients, "EXAMPLES", {name: gradients.EXAMPLES[name] for name in ("Tanh", "Linear")})
    monkeypatch.setattr(gradients, "LOSSES", {name: gradients.LOSSES[name] for name in ("MSELoss", "HingeLoss")})
    assert {each.verdict for each in gradients.rows(Effort(most=2))} == {HOLDS}
    monkeypatch.setattr(nn.Tanh, "pair", worse(nn.Tanh.pair))
    monkeypatch.setattr(nn.MSELoss, "pair", worse(nn.MSELoss.pair))
    for found in gradients.rows(Effort(most=2)):
        assert found.counts == {gradients.RIGHT: 2, gradients.WRONG: 2}
        assert found.verdict == FAILS


@needs_torch
def test_agreement_with_pytorch(monkeypatch):
    assert {each.verdict for each in against_pytorch.rows(Effort(most=1))} == {HOLDS}
    monkeypatch.setattr(nn.Tanh, "pair", worse(nn.Tanh.pair))
    (found,) = against_pytorch.rows(Effort(most=1))
    assert found.counts[against_pytorch.DIFFERS] == 6  # by itself, in a Sequential and in a Graph, in both dtypes


def test_without_pytorch_nothing_agrees_with_it(monkeypatch):
    monkeypatch.setattr(against_pytorch, "find_spec", lambda name: None)
    (found,) = against_pytorch.rows(Effort(most=1))
    assert (found.verdict, found.not_tried) == (NOT_TRIED, "PyTorch is not installed")


def test_threads(monkeypatch):
    monkeypatch.setattr(threads, "NETS", ("lenet5",))
    assert threads.rows(Effort(most=1))[0].verdict == HOLDS
    backward = nn.CrossEntropyLoss.backward
    monkeypatch.setattr(
        nn.CrossEntropyLoss,
        "backward",
        lambda self, cache: backward(self, cache) * np.float32(1 + 1e-6 * int(os.environ["XPCNN_NUM_THREADS"])),
    )
    assert outcomes(threads.rows(Effort(most=1))) == {threads.OTHER: 1}


def test_processes(monkeypatch):
    digest, forward, backward = processes.digest, nn.MaxPool2d.forward, nn.MaxPool2d.backward

    def remembers(self, x):
        y, self.cache = forward(self, x)
        return y, None

    def forgets(self, dy, cache, *, input_grad=True):
        time.sleep(0.01)
        return backward(self, dy, self.cache, input_grad=input_grad)

    monkeypatch.setattr(processes, "digest", lambda *values: f"{digest(*values)} {os.getpid()}")
    monkeypatch.setattr(processes, "WAYS", {name: processes.WAYS[name] for name in ("forked processes", "joblib")})
    monkeypatch.setattr(nn.MaxPool2d, "forward", remembers)
    monkeypatch.setattr(nn.MaxPool2d, "backward", forgets)
    *others, shared = processes.rows(Effort(most=4))
    assert {each.verdict for each in others} <= {FAILS, NOT_TRIED}
    assert processes.OTHER in shared.counts


def test_resume(monkeypatch):
    assert outcomes(resume.rows(Effort(most=3))) == {resume.EQUAL: 3}
    monkeypatch.setattr("xpcnn.training.checkpoint.set_states", lambda *arguments: None)
    assert resume.OTHER in outcomes(resume.rows(Effort(most=3)))


def copied(source, target):
    """A copy instead of a rename: for a while, only a part of the file exists."""
    contents = Path(source).read_bytes()
    size = len(contents) // 20 + 1
    with open(target, "wb", buffering=0) as file:
        for begin in range(0, len(contents), size):
            file.write(contents[begin : begin + size])
            time.sleep(0.0005)
    os.unlink(source)


def test_kills(monkeypatch):
    monkeypatch.setattr(os, "replace", copied)
    assert kills.LOST in outcomes(kills.rows(Effort(most=60)))


def test_a_full_disk(monkeypatch):
    monkeypatch.setattr(os, "replace", copied)
    every, sizes = disk.rows(Effort(most=6))
    assert every.verdict == FAILS
    assert disk.BROKEN in every.counts
    assert sizes.tried == 6


def test_signals(monkeypatch, tmp_path):
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)  # nobody handles any
    noisy = "import sys; print('a\\nb', file=sys.stderr, flush=True); from xpcnn.cli import main; main()"
    start, training = signals.rows(Effort(most=3), (sys.executable, "-c", noisy))
    assert signals.NOISY in start.counts
    assert signals.NOISY in training.counts


def test_runs_that_start_together(monkeypatch):
    def command(words, folder=None):
        def write():
            made = Path(folder or ".") / "runs" / "one"
            made.mkdir(parents=True, exist_ok=True)
            (made / "config.json").write_text(json.dumps({"seed": 0}))
            (made / "result.json").write_text("{}")

        return write

    monkeypatch.setattr(child, "command", command)
    found = together.rows(Effort(most=1))
    assert [list(each.counts) for each in found] == [[together.SHARED], [together.TWO], [together.TAKEN]]


@pytest.mark.skipif(not child.LINUX, reason="limits on address space")
@pytest.mark.parametrize(("end", "outcome"), [(os.abort, memory.ABORT), (lambda: sys.exit(3), memory.NOISY)])
def test_little_memory(monkeypatch, end, outcome):
    monkeypatch.setattr(child, "command", lambda words: end)
    assert outcomes(memory.rows(Effort(most=2))) == {outcome: 2}


@pytest.mark.skipif(not child.LINUX, reason="limits on address space")
def test_little_memory_is_too_little_for_some_and_enough_for_others():
    (found,) = memory.rows(Effort(most=6))
    assert found.verdict == HOLDS
    assert found.counts.keys() == {memory.ONE_LINE, memory.ENOUGH}


@pytest.mark.skipif(not child.LINUX, reason="limits on address space")
@pytest.mark.parametrize("used_up", [True, False])
def test_memory_that_a_process_has_freed_is_used_up(used_up):
    def take():
        freed = [bytearray(2**17 - 100) for _ in range(100)]
        del freed[:-1]
        blocks = child.use_up() if used_up else []
        child.limit_memory(2**20)
        try:
            return len(bytearray(2**22)), len(blocks)
        except MemoryError:
            return None

    assert (child.run(take).value is None) == used_up


def test_nan(monkeypatch):
    assert nonfinite.rows(Effort(most=6))[0].verdict == HOLDS
    elsewhere = Finding("9", "forward", "1 NaN of 3 numbers in the output of layer 9 (Spoil), forward", ())
    monkeypatch.setattr("xpcnn.training.nonfinite_report.search", lambda *arguments: elsewhere)
    assert outcomes(nonfinite.rows(Effort(most=3))) == {nonfinite.ELSEWHERE: 3}


def test_of_a_long_error_the_beginning_and_the_end_are_shown():
    row = Row("name", "what", good=())
    row.add("failed", f"run 7: exit 2: {shown('xpcnn: a.npz: ' + 'x' * 5000 + ' the cause')} then exit 0: {shown('')}")
    (example,) = row.examples["failed"]
    assert example.startswith("run 7: exit 2: xpcnn: a.npz: xxx")
    assert example.endswith(" the cause then exit 0:")


@pytest.mark.skipif(not child.LINUX, reason="/proc")
def test_a_long_training(monkeypatch):
    step, kept = soak.Trainer.train_step, []

    def leaks(self, *arguments):
        kept.append(mmap(-1, 300_000))  # new pages, whatever memory the process has freed
        kept[-1].write(b"x" * 300_000)
        return step(self, *arguments)

    monkeypatch.setattr(soak.Trainer, "train_step", leaks)
    (found,) = soak.rows(Effort(most=1))
    assert found.counts["more memory than before"] == 1


def test_the_program_writes_its_table_and_says_whether_all_holds(monkeypatch, tmp_path, capsys):
    docs = Path(page.__file__).parents[2] / "docs" / "reliability.md"
    shutil.copy(docs, tmp_path / "page.md")
    found = {"resume": [made(good=3)], "kills": [made(good=3, bad=2)], "soak": [row.not_tried("s", "w", "no Linux")]}
    monkeypatch.setattr(
        __main__, "import_module", lambda name, package: type("M", (), {"rows": lambda e: found[name[1:]]})
    )
    words = ["--out", str(tmp_path / "rows.json"), "--markdown", str(tmp_path / "page.md"), "--only"]
    assert __main__.main([*words, "resume", "soak"]) == 0
    assert "1 hold, 0 do not, 1 were not tried" in (tmp_path / "page.md").read_text()
    assert __main__.main([*words, "resume", "kills", "soak"]) == 1
    written = (tmp_path / "page.md").read_text()
    assert "| 5 | 3 good, 2 bad | **DOES NOT HOLD** |" in written
    assert "- **n**: bad: 2" in written
    assert "| 0 | no Linux | not tried |" in written
    assert written.split(page.BEGIN)[0] == docs.read_text().split(page.BEGIN)[0]
    assert written.split(page.END)[1] == docs.read_text().split(page.END)[1]
    assert "page" not in capsys.readouterr().err
    assert __main__.main(["--from", str(tmp_path / "rows.json")]) == 1


def test_a_check_that_fails_by_itself_does_not_hold(monkeypatch, tmp_path):
    monkeypatch.setattr(__main__, "import_module", lambda name, package: {}["missing"])
    assert __main__.check("kills", Effort())[0].verdict == FAILS
    monkeypatch.setattr(__main__, "import_module", lambda name, package: type("M", (), {"rows": lambda effort: []}))
    assert __main__.check("kills", Effort())[0].verdict == FAILS
