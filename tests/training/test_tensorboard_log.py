"""TensorBoard's event files, read back: every number, over the steps, and none twice for long."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys

import pytest

from xpcnn.errors import FileError, MissingExtraError
from xpcnn.nn import MSELoss
from xpcnn.training import STOP, TensorBoardLog

from .small import loader, split, trainer

pytest.importorskip("tensorboardX")


def events(folder):
    """All events of the folder, file by file in the order of writing."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])  # length, its checksum, the event, its checksum
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def shown(folder):
    """{tag: {step: value}} as TensorBoard shows it: a file that starts at a step forgets it and later ones."""
    curves = {}
    for event in events(folder):
        if event.HasField("session_log") and event.session_log.status == 1:  # START
            for curve in curves.values():
                for step in [step for step in curve if step >= event.step]:
                    del curve[step]
        for value in event.summary.value:
            curve = curves.setdefault(value.tag, {})
            assert event.step not in curve
            curve[event.step] = value.simple_value
    return curves


def fit(folder, epochs=2, resume=False, more=(), **options):
    log = TensorBoardLog(folder / "events")
    run = trainer(folder / "run", on_step=[log, *more], on_epoch=[log], **options)
    run.fit(loader(), split(30, seed=1), epochs=epochs, resume=resume)
    log.close()
    return run


def test_steps_and_epochs_are_curves_over_the_steps(tmp_path):
    seen = []
    run = fit(tmp_path, more=[lambda trainer, step: seen.append(step)])
    curves = shown(tmp_path / "events")
    assert curves.keys() == {
        *(f"step/{name}" for name in ("images", "loss", "accuracy", "lr")),
        *(f"epoch/{part}_{name}" for part in ("train", "validation") for name in ("loss", "accuracy")),
        "epoch/lr",
        "epoch/seconds",
        "epoch/validation_f1",
    }
    for name in ("loss", "accuracy", "lr"):
        assert curves[f"step/{name}"] == pytest.approx({step.step: getattr(step, name) for step in seen}, rel=1e-6)
    assert curves["epoch/validation_loss"] == pytest.approx(
        {7 * row.epoch: row.validation_loss for row in run.history}, rel=1e-6
    )


def test_a_resumed_run_shows_what_one_does_that_never_stopped(tmp_path):
    fit(tmp_path / "whole")
    fit(tmp_path, more=[lambda trainer, step: STOP if step.step == 9 else None])
    late = TensorBoardLog(tmp_path / "events")  # what a run that was then killed wrote after its checkpoint
    run = trainer()
    (row,) = run.fit(loader(), epochs=1)
    for run.optimizer.steps in (10, 12):
        late(run, row)
    late.close()
    fit(tmp_path, resume=True)
    curves, whole = shown(tmp_path / "events"), shown(tmp_path / "whole" / "events")
    for each in (curves, whole):
        del each["epoch/seconds"]
    assert curves == whole
    assert len(list((tmp_path / "events").iterdir())) == 3


def test_numbers_that_are_nan_are_left_out(tmp_path):
    from xpcnn.data import Loader, Split

    images = split()
    targets = Split(images.images, images.labels.astype("float32")[:, None].repeat(3, axis=1))
    log = TensorBoardLog(tmp_path)
    trainer(criterion=MSELoss(), on_step=[log], on_epoch=[log]).fit(Loader(targets, 64), epochs=1)
    log.close()
    assert shown(tmp_path).keys() == {
        "step/images",
        "step/loss",
        "step/lr",
        "epoch/lr",
        "epoch/train_loss",
        "epoch/seconds",
    }


def test_a_program_that_does_not_close_it_loses_nothing(tmp_path):
    code = (
        "from tests.training.small import *; from xpcnn.training import TensorBoardLog; import sys\n"
        "log = TensorBoardLog(sys.argv[1])\n"
        "trainer(on_step=[log], on_epoch=[log]).fit(loader(), epochs=1)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "events")],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=60,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert len(shown(tmp_path / "events")["step/loss"]) == 7


def test_a_rehearsal_writes_nothing(tmp_path):
    fit(tmp_path, fast_dev_run=True)
    assert not (tmp_path / "events").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("kept")
    log = TensorBoardLog(tmp_path / "file" / "events")
    with pytest.raises(FileError, match="a folder to write to"):
        trainer(on_step=[log]).fit(loader(), epochs=1)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_disk_that_fills_up_ends_in_one_line_and_the_run_is_kept(tmp_path):
    """A log that gives its events to a thread, which then ends, would hang here."""
    log = TensorBoardLog(tmp_path / "events")

    def full(event):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fills(trainer, step):
        if step.step == 3:
            log._writer.write_event = full

    run = trainer(tmp_path / "run", on_step=[log, fills])
    with pytest.raises(FileError, match="a folder to write to, got No space left on device"):
        run.fit(loader(), epochs=9)
    log.close()
    assert run.optimizer.steps == 4
    assert trainer(tmp_path / "run").fit(loader(), epochs=1, resume=True)


def test_a_full_disk_is_told_of_once(tmp_path):
    """Not once more when the program ends and what is left is to be written."""
    code = (
        "import resource, signal, sys; from tests.training.small import *\n"
        "from xpcnn.errors import FileError; from xpcnn.training import TensorBoardLog\n"
        "log = TensorBoardLog(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n    trainer(on_step=[log]).fit(loader(), epochs=200)\n"
        "except FileError as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "events")], capture_output=True, text=True, timeout=60
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "a folder to write to, got File too large" in told.stdout


def test_closing_on_a_full_disk_is_an_error(tmp_path):
    log = TensorBoardLog(tmp_path / "events")
    trainer(on_step=[log]).fit(loader(), epochs=1)

    close = log._writer.close

    def full():
        close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log._writer.close = full
    with pytest.raises(FileError, match="a folder to write to, got No space left on device"):
        log.close()


def test_what_is_written_reaches_the_disk_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("xpcnn.training.tensorboard_log.WAIT", 0.0)
    log, counts = TensorBoardLog(tmp_path), []
    count = [lambda trainer, step: counts.append(len(shown(tmp_path)["step/loss"]))]
    trainer(on_step=[log, *count]).fit(loader(), epochs=1)
    assert counts == [1, 2, 3, 4, 5, 6, 7]
    log.close()


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"tensorboardX to write its files.*xpcnn\[tensorboard\]"):
        TensorBoardLog("runs")


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("process", ["the same", "a new one"])
def test_numbers_that_a_full_disk_does_not_take_are_there_when_the_run_goes_on(tmp_path, at, process):
    log = TensorBoardLog(tmp_path / "events")

    def full(event):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fills(trainer, step):
        if step.step == at - 1:
            log._writer.write_event = full

    run = trainer(tmp_path / "run", on_step=[log, fills])
    if at == 1:
        log._writer = log._open()
        log._writer.write_event = full
    with pytest.raises(FileError, match="a folder to write to, got No space left on device"):
        run.fit(loader(), epochs=1)
    if process == "a new one":
        log = TensorBoardLog(tmp_path / "events")
        trainer(tmp_path / "run", on_step=[log]).fit(loader(), epochs=1, resume=True)
    else:
        run.fit(loader(), epochs=1)
    log.close()
    assert list(shown(tmp_path / "events")["step/loss"]) == list(range(1, 8))


def test_a_killed_process_has_left_every_step_that_was_told(tmp_path):
    code = (
        "from tests.training.small import *; from xpcnn.training import TensorBoardLog; import os, sys\n"
        "log = TensorBoardLog(sys.argv[1])\n"
        "trainer(on_step=[log, lambda trainer, step: step.step == 5 and os.kill(os.getpid(), 9)])"
        ".fit(loader(), epochs=1)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "events")]
    assert subprocess.run(command, env=os.environ, timeout=60).returncode == -9
    assert len(shown(tmp_path / "events")["step/loss"]) == 5
