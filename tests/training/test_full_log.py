"""A row of a log that a full disk does not take is there when the run goes on: each once, and none in part."""

from __future__ import annotations

import errno
import math
import os
import threading
import warnings
from pathlib import Path

import pytest

from xpcnn.errors import FileError, FormatError, OptionError, XpcnnWarning
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.training import STOP, CSVLog
from xpcnn.training.checkpoint import CHECKPOINT
from xpcnn.training.history import HISTORY, read_csv, write_csv

from .small import assert_same, everything, loader, rows, split, trainer
from .test_csv_log import run


class Full:
    """A disk that takes `left` more bytes of one file, the last of them in part, and then none until it is `free`."""

    def __init__(self, monkeypatch, path, left):
        self.path, self.left, self.failures = path, left, 0
        real = Path.open
        monkeypatch.setattr(Path, "open", lambda each, *rest, **more: self.wrapped(each, real(each, *rest, **more)))

    def wrapped(self, path, file):
        return Limited(self, file) if path == self.path and file.writable() else file

    def free(self):
        self.left = math.inf


class Limited:
    def __init__(self, disk, file):
        self.disk, self.file = disk, file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        if self.disk.left <= 0:
            self.disk.failures += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = bytes(data)[: self.disk.left if self.disk.left < len(data) else None]
        self.disk.left -= len(taken)
        return self.file.write(taken)

    def __getattr__(self, name):
        return getattr(self.file, name)


SIZES = [0, 1, 20, 40, 60, 61, 100, 200, 333, 400, 500]


@pytest.mark.parametrize("left", SIZES)
@pytest.mark.parametrize("process", ["the same", "a new one"])
def test_a_row_that_a_full_disk_does_not_take_is_there_when_the_run_goes_on(tmp_path, monkeypatch, left, process):
    """Each once, none in part, whichever write fails, and wherever in the line."""
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole")
    disk = Full(monkeypatch, tmp_path / "steps.csv", left)
    made = trainer(tmp_path / "run", on_step=[CSVLog(tmp_path / "steps.csv")])
    with pytest.raises(FileError, match=r"to write a line, got No space left.*free some space"):
        made.fit(loader(), split(30, seed=1), epochs=2)
    with pytest.raises(FileError, match="to write a line"):  # it is full still
        trainer(tmp_path / "run", on_step=[CSVLog(tmp_path / "steps.csv")]).fit(
            loader(), split(30, seed=1), epochs=2, resume=True
        )
    assert disk.failures >= 2
    disk.free()
    if process == "the same":
        again = made
        again.fit(loader(), split(30, seed=1), epochs=2)
    else:
        again = trainer(tmp_path / "run", on_step=[CSVLog(tmp_path / "steps.csv")])
        again.fit(loader(), split(30, seed=1), epochs=2, resume=True)
    assert (tmp_path / "steps.csv").read_text() == whole
    assert rows(again) == rows(trained(tmp_path / "other"))


def trained(folder):
    made = trainer(folder)
    made.fit(loader(), split(30, seed=1), epochs=2)
    return made


@pytest.mark.parametrize("process", ["the same", "a new one"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_nor_a_row_of_the_history(tmp_path, monkeypatch, epoch, process):
    """Of the last epoch, too, after which nothing is left to train."""
    failures = [epoch]

    def full(path, history):
        if [len(history)] == failures:
            failures.clear()
            raise FileError(str(path), "to write the file", "No space left on device")
        write_csv(path, history)

    monkeypatch.setattr("xpcnn.training.fitting.write_csv", full)
    made = trainer(tmp_path)
    with pytest.raises(FileError, match="No space left"):
        made.fit(loader(), split(30, seed=1), epochs=2)
    again = made if process == "the same" else trainer(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XpcnnWarning)  # nothing is left to train
        again.fit(loader(), split(30, seed=1), epochs=2, resume=process != "the same")
    assert failures == []
    assert [row.epoch for row in read_csv(tmp_path / HISTORY)] == [1, 2]
    assert read_csv(tmp_path / HISTORY) == again.history


def test_an_epoch_s_row_neither(tmp_path, monkeypatch):
    disk = Full(monkeypatch, tmp_path / "epochs.csv", 30)
    seen = []

    def fit(**options):
        log = CSVLog(tmp_path / "epochs.csv")
        made = trainer(tmp_path / "run", on_epoch=[lambda trainer, row: seen.append(row.epoch), log])
        return made.fit(loader(), split(30, seed=1), epochs=3, **options)

    with pytest.raises(FileError, match="to write a line"):
        fit()
    disk.free()
    fit(resume=True)
    numbers = [line.split(",")[0] for line in (tmp_path / "epochs.csv").read_text().splitlines()]
    assert numbers == ["epoch", "1", "2", "3"]
    assert seen == [1, 2, 3]  # who was told is not told again


@pytest.mark.parametrize("first", [True, False])
def test_of_several_callbacks_each_is_told_once(tmp_path, monkeypatch, first):
    disk, before, after = Full(monkeypatch, tmp_path / "steps.csv", 150), [], []

    def fit(**options):
        callbacks = [
            lambda trainer, step: before.append(step.step),
            CSVLog(tmp_path / "steps.csv"),
            lambda trainer, step: after.append(step.step),
        ]
        trainer(tmp_path / "run", on_step=callbacks).fit(loader(), epochs=2, **options)

    with pytest.raises(FileError):
        fit()
    if first:
        disk.free()
    else:
        disk.left = 200
        with pytest.raises(FileError):
            fit(resume=True)
        disk.free()
    fit(resume=True)
    assert before == after == list(range(1, 15))


def test_a_callback_may_end_the_training_when_it_is_told_again(tmp_path, monkeypatch):
    disk = Full(monkeypatch, tmp_path / "steps.csv", 150)

    def fit(**options):
        callbacks = [CSVLog(tmp_path / "steps.csv"), lambda trainer, step: STOP if disk.left == math.inf else None]
        made = trainer(tmp_path / "run", on_step=callbacks)
        made.fit(loader(), epochs=2, **options)
        return made.optimizer.steps

    with pytest.raises(FileError):
        fit()
    disk.free()
    steps = fit(resume=True)
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 1 + steps
    assert fit(resume=True) == steps + 1  # told once: this is the next


@pytest.mark.parametrize("untold", [{"first": -1}, {"first": "0"}, {"step": 3}, {"step": {"step": 1}}, {"first": 1e9}])
def test_what_is_still_to_be_told_is_checked_before_anything_is_changed(tmp_path, monkeypatch, untold):
    Full(monkeypatch, tmp_path / "steps.csv", 100)
    with pytest.raises(FileError):
        run(tmp_path)
    tensors, metadata = read_tensors(tmp_path / "run" / CHECKPOINT)
    assert metadata["untold"]["first"] == 0
    metadata["untold"] |= untold
    write_tensors(tmp_path / "run" / CHECKPOINT, tensors, metadata)
    other = trainer(tmp_path / "run")
    before = everything(other)
    with pytest.raises(FormatError):
        other.fit(loader(), epochs=2, resume=True)
    assert_same(everything(other), before)


def test_of_new_runs_with_one_log_one_has_it(tmp_path):
    begin, refused = threading.Barrier(4), []

    def fit(number):
        log = CSVLog(tmp_path / "steps.csv")
        begin.wait()
        try:
            trainer(tmp_path / str(number), on_step=[log]).fit(loader(), epochs=1)
        except OptionError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 8


def test_a_log_that_somebody_else_writes_is_told_of(tmp_path):
    def write(trainer, step):
        if step.step == 3:
            with (tmp_path / "steps.csv").open("a") as file:
                file.write("something else\n")

    with pytest.warns(XpcnnWarning, match=r"somebody else has changed .*steps\.csv; give each run"):
        text = run(tmp_path, more=[write])
    assert [line.split(",")[0] for line in text.splitlines()] == [
        "step", "1", "2", "3", "something else", *map(str, range(4, 15)),
    ]  # fmt: skip


def test_rows_that_are_missing_where_a_run_goes_on_are_told_of(tmp_path):
    run(tmp_path, epochs=1)
    lines = (tmp_path / "steps.csv").read_text().splitlines(keepends=True)
    (tmp_path / "steps.csv").write_text("".join(lines[:5]))
    with pytest.warns(XpcnnWarning, match=r"steps\.csv lacks what came between step 4 and 8"):
        run(tmp_path, resume=True)
