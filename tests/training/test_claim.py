"""A run's folder has one writer: of several threads and processes at once one gets it, and no lock is stale."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from xpcnn.errors import FileError, OptionError, XpcnnWarning
from xpcnn.io import lock as io_lock
from xpcnn.io.model_file import load_model
from xpcnn.training.claim import LOCK, Claim
from xpcnn.training.config import RunConfig
from xpcnn.training.run import resume, start

from .small import loader, rows, trainer

IN_USE = "a folder that no run is writing to, got one that is in use"


@pytest.fixture(autouse=True)
def every_lock_is_closed_again():
    """Tried where the system says which files a process has open."""

    def locks():
        folder = Path("/proc/self/fd")
        found = [os.readlink(each) for each in folder.iterdir() if each.is_symlink()] if folder.exists() else []
        return [path for path in found if LOCK in path]

    yield
    assert locks() == []


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ten_claims_at_once_get_ten_folders(tmp_path):
    begin = threading.Barrier(10)

    def claim(number):
        begin.wait()
        with Claim(tmp_path / "deep" / "run", numbered=True) as claim:
            begin.wait()
            (claim.folder / "mine").write_text(str(number))
            begin.wait()
            return claim.folder, int((claim.folder / "mine").read_text()), number

    with ThreadPoolExecutor(10) as pool:
        claimed = list(pool.map(claim, range(10)))
    assert all(found == number for _, found, number in claimed)
    assert {folder.name for folder, _, _ in claimed} == {"run", *(f"run-{number}" for number in range(2, 11))}


def test_of_ten_claims_of_one_folder_one_succeeds(tmp_path):
    begin, end = threading.Barrier(10), threading.Barrier(10)

    def claim(_):
        begin.wait()
        try:
            with Claim(tmp_path / "run"):
                end.wait()
                return True
        except OptionError as error:
            end.wait()
            assert IN_USE in str(error)  # noqa: PT017
            return False

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(claim, range(10))) == [False] * 9 + [True]


def test_a_number_is_skipped_whose_folder_is_there_even_if_it_is_empty(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").write_text("a file")
    with Claim(tmp_path / "run", numbered=True) as claim:
        assert claim.folder == tmp_path / "run-3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-2"]


def test_who_holds_it_may_enter_again_and_the_outermost_lets_go(tmp_path):
    with Claim(tmp_path / "run") as claim:
        with claim:
            pass
        with pytest.raises(OptionError, match=IN_USE), Claim(tmp_path / "run"):
            pass
        (tmp_path / "link").symlink_to(tmp_path / "run")
        with pytest.raises(OptionError, match=IN_USE), Claim(tmp_path / "link"):
            pass
    with Claim(tmp_path / "run"):
        pass


def test_only_what_was_made_for_it_and_is_empty_goes(tmp_path):
    (tmp_path / "here").mkdir()
    with Claim(tmp_path / "here" / "a" / "b"):
        assert (tmp_path / "here" / "a" / "b" / LOCK).exists()
    assert list((tmp_path / "here").iterdir()) == []
    with Claim(tmp_path / "here"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "here"]
    with Claim(tmp_path / "here" / "a" / "b") as claim:
        (claim.folder / "result").write_text("kept")
    assert list((tmp_path / "here").rglob("*.*")) == []
    assert (tmp_path / "here" / "a" / "b" / "result").exists()


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(FileError, match="a folder to write to"), Claim(place):
            pass
    assert files(tmp_path) == {Path("file"): b"kept"}


def test_a_folder_that_vanishes_between_two_looks_is_made_again(tmp_path, monkeypatch):
    """As where another start fails, and removes what it had made."""
    opened = os.open
    failures = [FileNotFoundError(errno.ENOENT, "gone")] * 3

    def sometimes(path, *rest):
        if failures:
            raise failures.pop()
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", sometimes)
    with Claim(tmp_path / "run", numbered=True):
        pass


def test_a_lock_that_its_holder_removes_meanwhile_is_taken_on_the_new_file(tmp_path, monkeypatch):
    lock, calls = io_lock._lock, []

    def late(descriptor):
        lock(descriptor)
        calls.append(1)
        if len(calls) == 1:
            (tmp_path / "run" / LOCK).unlink()

    monkeypatch.setattr(io_lock, "_lock", late)
    with Claim(tmp_path / "run"):
        assert len(calls) == 2
        with pytest.raises(OptionError, match=IN_USE), Claim(tmp_path / "run"):
            pass


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch):
    def none(descriptor):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(io_lock, "_lock", none)
    with pytest.warns(XpcnnWarning, match=r"run: this file system has no locks"), Claim(tmp_path / "run"):
        pass
    with pytest.warns(XpcnnWarning), Claim(tmp_path / "run", numbered=True) as claim:
        (claim.folder / "kept").touch()
    with pytest.warns(XpcnnWarning), Claim(tmp_path / "run", numbered=True) as claim:
        assert claim.folder.name == "run-2"  # numbers need no locks


@pytest.mark.skipif(os.name != "posix", reason="forks and kills")
@pytest.mark.parametrize("child", ["none", "fork", "program"])
def test_a_process_that_is_killed_leaves_no_lock_not_even_in_its_children(tmp_path, child):
    code = f"""
import os, subprocess, sys, time
from xpcnn.training.claim import Claim
with Claim(sys.argv[1]):
    number = 0
    if {child!r} == "program":
        number = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]).pid
    elif {child!r} == "fork":
        number = os.fork()
    if {child!r} != "fork" or number == 0:
        print("ready", flush=True)
    time.sleep(100)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert holder.stdout.readline() == "ready\n"
        with pytest.raises(OptionError, match=IN_USE), Claim(tmp_path / "run"):
            pass
        holder.kill()
        holder.wait(timeout=60)
        assert (tmp_path / "run" / LOCK).exists()
        with Claim(tmp_path / "run"):
            pass
    finally:
        with suppress(ProcessLookupError):  # no child is left
            os.killpg(holder.pid, signal.SIGKILL)
        holder.wait(timeout=60)
        holder.stdout.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_that_leaves_the_block_leaves_the_lock_to_its_parent(tmp_path):
    code = """
import os, sys
from xpcnn.errors import OptionError
from xpcnn.training.claim import Claim
with Claim(sys.argv[1]):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        try:
            with Claim(sys.argv[1]):
                pass
        except OptionError:
            print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")


@pytest.mark.parametrize("resumed", [False, True])
def test_a_second_trainer_is_refused_while_the_first_is_at_work(tmp_path, resumed):
    refused = []

    def second(trainer_, step):
        if step.step in (3, 9):
            before = files(tmp_path / "run")
            with pytest.raises(OptionError, match=IN_USE):
                trainer(tmp_path / "run").fit(loader(), epochs=1, resume=resumed)
            refused.append(files(tmp_path / "run") == before)
            trainer(tmp_path / f"other {step.step}").fit(loader(), epochs=1)
            trainer(tmp_path / "run", fast_dev_run=True)  # writes nothing there

    run = trainer(tmp_path / "run", on_step=[second])
    run.fit(loader(), epochs=2)
    assert refused == [True, True]
    whole = trainer(tmp_path / "whole")
    whole.fit(loader(), epochs=2)
    assert rows(run) == rows(whole)
    assert not (tmp_path / "run" / LOCK).exists()
    trainer(tmp_path / "run").fit(loader(), epochs=3, resume=True)  # it is over: another one may go on


def test_a_run_that_is_going_is_neither_begun_nor_gone_on_with_but_can_be_read(tmp_path):
    config = RunConfig(model="mlp", epochs=1, batch_size=256)
    start(config, tmp_path / "run", verbose=False)
    with Claim(tmp_path / "run"):
        before = files(tmp_path / "run")
        for begin in (lambda: start(config, tmp_path / "run"), lambda: resume(tmp_path / "run")):
            with pytest.raises(OptionError, match=IN_USE):
                begin()
        load_model(tmp_path / "run" / "model.safetensors")
        assert files(tmp_path / "run") == before
    resume(tmp_path / "run", verbose=False)


def test_a_folder_is_claimed_before_the_data_are_read(tmp_path, monkeypatch):
    def load(name, **options):
        assert (tmp_path / "run" / LOCK).exists()
        raise MemoryError("no more")

    monkeypatch.setattr("xpcnn.data.load", load)
    with pytest.raises(MemoryError):
        start(RunConfig(model="mlp", epochs=1), tmp_path / "run", verbose=False)
    assert list(tmp_path.iterdir()) == []


def commands(folder, *each):
    """Several `xpcnn train` at once; (status, output, errors) of each."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "xpcnn", "train", "digits", "--model", "mlp", "--epochs", "1", *words],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for words in each
    ]  # fmt: skip
    return [(process.wait(), *map(str.strip, told)) for process in started for told in [process.communicate()]]


def test_runs_that_are_started_together_have_a_folder_each(tmp_path):
    told = commands(tmp_path, *(["--seed", str(seed), "--quiet"] for seed in range(3)))
    assert [(status, errors) for status, _, errors in told] == [(0, "")] * 3
    folders = [tmp_path / output.rpartition("kept in ")[2] for _, output, _ in told]
    assert {folder.name for folder in folders} == {"digits-mlp", "digits-mlp-2", "digits-mlp-3"}
    for seed, folder in enumerate(folders):
        assert json.loads((folder / "config.json").read_text())["seed"] == seed
        assert json.loads((folder / "result.json").read_text())["epochs"] == 1
    models = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert all(a != b for a, b in pairwise(models))


def test_of_runs_with_one_folder_one_has_it(tmp_path):
    told = commands(tmp_path, *(["--seed", str(seed), "--quiet", "--out", "mine"] for seed in range(3)))
    assert sorted(status for status, _, _ in told) == [0, 2, 2]
    for seed, (status, _, errors) in enumerate(told):
        if status:
            assert errors.count("\n") == 0
            assert IN_USE in errors or "a folder without a run" in errors
        else:
            assert json.loads((tmp_path / "mine" / "config.json").read_text())["seed"] == seed
