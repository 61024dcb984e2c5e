"""A log in a CSV file: a line a step or an epoch at once, none twice or missing after a crash, no other file spoilt."""

from __future__ import annotations

import csv

import pytest

from xpcnn.errors import FileError, FormatError, OptionError
from xpcnn.training import STOP, CSVLog
from xpcnn.training.checkpoint import CHECKPOINT

from .small import loader, split, trainer

HEADING = "step,epoch,batch,images,loss,accuracy,lr"


def run(folder, epochs=2, resume=False, log="steps.csv", **options):
    made = trainer(folder / "run", on_step=[CSVLog(folder / log), *options.pop("more", [])], **options)
    made.fit(loader(), split(30, seed=1), epochs=epochs, resume=resume)
    return (folder / log).read_text()


def test_a_line_a_step(tmp_path):
    seen = []
    text = run(tmp_path, more=[lambda trainer, step: seen.append(step)])
    assert text.splitlines()[0] == HEADING
    lines = list(csv.DictReader(text.splitlines()))
    assert len(lines) == len(seen) == 14
    for line, step in zip(lines, seen, strict=True):
        assert {name: float(value) for name, value in line.items()} == vars(step)
    assert text.endswith("\n")


def test_each_line_is_there_at_once(tmp_path):
    lengths = []
    path = tmp_path / "steps.csv"
    run(tmp_path, more=[lambda trainer, step: lengths.append(len(path.read_text().splitlines()))])
    assert lengths == list(range(2, 16))


def test_a_line_an_epoch(tmp_path):
    made = trainer(on_epoch=[CSVLog(tmp_path / "new" / "epochs.csv")])
    made.fit(loader(), split(30, seed=1), epochs=2)
    lines = list(csv.DictReader((tmp_path / "new" / "epochs.csv").read_text().splitlines()))
    assert [{name: float(value) for name, value in line.items()} for line in lines] == [
        {name: pytest.approx(value) for name, value in row.numbers().items()} for row in made.history
    ]


@pytest.mark.parametrize("stop", [1, 5, 7, 10])
@pytest.mark.parametrize("tail", ["", "torn", "later"])
def test_a_resumed_run_has_the_log_of_one_that_never_stopped(tmp_path, stop, tail):
    """Also where lines of later steps stand in it, which a crash before their checkpoint left, or half a line."""
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole")
    run(tmp_path, more=[lambda trainer, step: STOP if step.step == stop else None])
    log = tmp_path / "steps.csv"
    lines = whole.splitlines(keepends=True)
    if tail == "torn":
        log.write_text("".join(lines[: stop + 1]) + lines[stop + 1][:1])  # of "11,2,…" that is a number below 11
    elif tail == "later":
        log.write_text("".join(lines[: stop + 4]))
    assert run(tmp_path, resume=True) == whole


def test_a_new_run_does_not_begin_with_an_old_log(tmp_path):
    before = run(tmp_path)
    other = trainer(tmp_path / "other", on_step=[CSVLog(tmp_path / "steps.csv")])
    with pytest.raises(OptionError, match=r"CSVLog: expected a new file, as the run begins.*name another file"):
        other.fit(loader(), epochs=1)
    assert (tmp_path / "steps.csv").read_text() == before


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("a,b\n1,2\n", "got a,b"),
        ("", "got nothing"),
        ("\x00\xff", "got"),
        (f"{HEADING}\nnonsense,1\n", "lines of numbers, got nonsense"),
        (f"{HEADING}\n\n", "lines of numbers"),
    ],
)
def test_a_file_that_is_no_log_is_left_alone(tmp_path, text, got):
    run(tmp_path, epochs=1)
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(FormatError, match=got) as caught:
        run(tmp_path, resume=True, log="other.csv")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "other.csv").read_text() == text


def test_a_log_is_of_one_kind(tmp_path):
    log = CSVLog(tmp_path / "both.csv")
    with pytest.raises(OptionError, match="steps or epochs, got both"):
        trainer(on_step=[log], on_epoch=[log]).fit(loader(), epochs=1)


def test_a_log_that_begins_in_the_middle_makes_its_file(tmp_path):
    made = trainer(tmp_path / "run")
    made.fit(loader(), split(30, seed=1), epochs=1)
    text = run(tmp_path, resume=True)
    assert [line.split(",")[0] for line in text.splitlines()] == ["step", *map(str, range(8, 15))]


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises((FileError, OptionError)):
        run(tmp_path, log="folder")
    assert (tmp_path / "run" / CHECKPOINT).exists()  # the step that was made is kept

    def remove(trainer, step):
        if step.step == 3:
            (tmp_path / "steps.csv").unlink()
            (tmp_path / "steps.csv").mkdir()

    made = trainer(tmp_path / "again", on_step=[remove, CSVLog(tmp_path / "steps.csv")])
    with pytest.raises(FileError, match=r"steps\.csv: expected to write a line"):
        made.fit(loader(), epochs=1)
