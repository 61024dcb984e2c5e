"""Whole runs: what each leaves behind, which settings reach it, what is refused, and how one goes on that was cut."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import xpcnn
from xpcnn import data, models
from xpcnn.errors import DataError, FormatError, OptionError
from xpcnn.io.model_file import load_model
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn import MSELoss
from xpcnn.optim.schedule import Cosine
from xpcnn.training import CSVLog, TensorBoardLog, evaluate
from xpcnn.training.best_model import MODEL
from xpcnn.training.checkpoint import CHECKPOINT
from xpcnn.training.config import RunConfig
from xpcnn.training.run import _Run, resume, start


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(model="mlp", epochs=1, optimizer="sgd", schedule="cosine", lr=0.05, weight_decay=1e-4, batch_size=32),
        RunConfig(
            model="mlp", epochs=2, optimizer="adam", schedule="onecycle", lr=0.01, weight_decay=0, validation=0, seed=3
        ),
    ],
    ids=lambda config: config.optimizer,
)
def test_a_run(tmp_path, capsys, config):
    folder = tmp_path / "deep" / "run"
    result = start(config, folder, verbose=False)
    assert capsys.readouterr().out == ""
    assert result["test_accuracy"] > 0.8
    assert json.loads((folder / "result.json").read_text()) == result
    described = json.loads((folder / "config.json").read_text())
    assert {name: described[name] for name in vars(config)} == vars(config)
    assert described["xpcnn"] == xpcnn.__version__

    digits = data.load("digits")
    saved = load_model(folder / MODEL)
    tested = evaluate(saved.model, digits.test)
    assert (result["test_accuracy"], result["test_loss"]) == (tested.accuracy, tested.loss)
    assert np.sum(result["test_confusion"]) == result["test_images"] == len(digits.test)
    assert np.trace(result["test_confusion"]) == round(tested.accuracy * len(digits.test))
    assert result["test_top5_accuracy"] == tested.top5_accuracy
    assert saved.classes == tuple(digits.classes)
    assert saved.input_shape == (8, 8, 1)
    assert result["parameters"] == 64 * 128 + 128 + 128 * 10 + 10
    assert result["epochs"] == result["best_epoch"] == config.epochs
    assert (result["validation_accuracy"] is None) == (config.validation == 0)
    assert len((folder / "history.csv").read_text().splitlines()) == 1 + config.epochs

    start(config, tmp_path / "again", verbose=False)
    for name in (MODEL, "config.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()

    repeated = resume(folder, verbose=False)  # a run that is over only looks at its model again
    timeless = result.keys() - {"seconds", "seconds_since_start"}
    assert {name: repeated[name] for name in timeless} == {name: result[name] for name in timeless}


@pytest.mark.parametrize(("classes", "told"), [(5, False), (6, True)])
def test_of_five_classes_it_is_no_news_that_the_right_one_is_among_five(tmp_path, rng, classes, told):
    labels = np.arange(40) % classes
    np.savez(tmp_path / "a.npz", images=rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), labels=labels)
    config = RunConfig(dataset=str(tmp_path / "a.npz"), model="mlp", epochs=1, validation=0)
    result = start(config, tmp_path / "run", verbose=False)
    assert (result["test_top5_accuracy"] is not None) is told


def test_every_setting_reaches_the_run(tmp_path):
    base = {"model": "mlp", "epochs": 1, "batch_size": 256, "lr": 0.01, "optimizer": "sgd", "weight_decay": 0.0}
    changes = {
        "base": {}, "epochs": {"epochs": 2}, "batch_size": {"batch_size": 128}, "lr": {"lr": 0.02},
        "weight_decay": {"weight_decay": 0.1}, "optimizer": {"optimizer": "adam"}, "schedule": {"schedule": "constant"},
        "validation": {"validation": 0.3}, "seed": {"seed": 1}, "accumulate": {"accumulate": 2}, "ema": {"ema": 0.5},
    }  # fmt: skip
    saved = {}
    for name, change in changes.items():
        start(RunConfig(**base | change), tmp_path / name, verbose=False)
        saved[name] = (tmp_path / name / MODEL).read_bytes()
    assert len(set(saved.values())) == len(saved)
    patient = RunConfig(**base | {"epochs": 9, "lr": 1e-12, "patience": 2})
    assert start(patient, tmp_path / "patience", verbose=False)["epochs"] < 9


def test_each_part_of_a_run_has_its_settings(tmp_path):
    """Those that a run's model would not show: what is shuffled and held out by the seed, and few batches."""
    options = {"model": "mlp", "seed": 7, "validation": 0.25, "overfit_batches": 3, "augment": "shift:1,mixup:0.2"}
    run = _Run(RunConfig(**options, batch_size=20, log="csv,tensorboard"), tmp_path / "run", False)
    train, validation = data.digits().train.split(0.25, seed=7)
    np.testing.assert_array_equal(run.loader.split.images, train.images)
    np.testing.assert_array_equal(run.validation.images, validation.images)
    assert (run.loader.seed, run.loader.shuffle, run.loader.batch_size) == (7, True, 20)
    assert repr(run.loader.augment) == repr(data.augment.parse(options["augment"], 10))
    assert (run.trainer.overfit_batches, run.trainer.classes) == (3, run.dataset.classes)
    assert [type(each) for each in run.trainer.on_step] == [CSVLog, TensorBoardLog]
    assert run.trainer.on_epoch == run.trainer.on_step[1:]
    expected = models.build("mlp", (8, 8, 1), 10, rng=7)
    np.testing.assert_array_equal(run.trainer.model.state_dict()["1.weight"], expected.state_dict()["1.weight"])


def test_a_regression_s_run_mixes_targets_and_has_no_classes(tmp_path):
    digits = data.digits().train.take(40)
    np.savez(tmp_path / "light.npz", images=digits.images, labels=digits.images.mean(axis=(1, 2, 3)).astype("float32"))
    options = {"dataset": str(tmp_path / "light.npz"), "options": {"regression": True}, "model": "mlp"}
    run = _Run(RunConfig(**options, augment="mixup:0.2"), tmp_path / "run", False)
    assert repr(run.loader.augment) == repr(data.augment.parse("mixup:0.2", None))
    assert (type(run.trainer.criterion), run.trainer.classes) == (MSELoss, ())
    assert [part.labels.shape[1:] for part in (run.dataset.train, run.dataset.test, run.validation)] == [(1,)] * 3


def test_a_folder_with_a_run_is_left_alone(tmp_path):
    for name in ("config.json", CHECKPOINT):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("kept")
        with pytest.raises(OptionError, match=r"folder without a run.*resume"):
            start(RunConfig(model="mlp", epochs=1), folder, verbose=False)
        assert [path.name for path in folder.iterdir()] == [name]
        assert (folder / name).read_text() == "kept"


@pytest.mark.parametrize(
    "name",
    [MODEL, "weights.safetensors", "history.csv", "trained_on.safetensors", "result.json", "curves.png", "steps.csv"],
)
def test_a_file_of_that_name_is_not_written_over(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OptionError, match=rf"a folder without a run, got {name} in .*name another folder"):
        start(RunConfig(model="mlp", epochs=1), tmp_path, verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "text"),
    [({"dataset": "letters"}, "letters"), ({"validation": 1e-6}, "fraction"), ({"model": "vgg11"}, "32×32")],
)
def test_what_is_refused_when_a_run_starts_leaves_no_folder(tmp_path, options, text):
    with pytest.raises(xpcnn.errors.XpcnnError, match=text):
        start(RunConfig(**({"model": "mlp", "epochs": 1} | options)), tmp_path / "run", verbose=False)
    assert not (tmp_path / "run").exists()


def test_resuming_what_is_no_run(tmp_path):
    with pytest.raises(DataError, match=r"no config\.json"):
        resume(tmp_path, verbose=False)
    for text in ("{", "{}", '["epochs"]', '"epochs"', "\x00"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(FormatError, match="a run's configuration"):
            resume(tmp_path, verbose=False)


@pytest.mark.parametrize("cut", [0, 3, 9])
def test_a_run_that_ended_before_its_first_checkpoint_begins_anew(tmp_path, cut):
    """As a process leaves it that was killed: settings, the logs of some steps, no checkpoint."""
    config = RunConfig("digits", model="mlp", epochs=1, batch_size=128, log="csv,tensorboard")
    start(config, tmp_path / "whole", verbose=False)
    start(config, tmp_path / "killed", verbose=False)
    whole = (tmp_path / "whole" / "steps.csv").read_text()
    for path in (tmp_path / "killed").iterdir():
        if path.is_file() and path.name not in ("config.json", "steps.csv"):
            path.unlink()
    (tmp_path / "killed" / "steps.csv").write_text("".join(whole.splitlines(keepends=True)[: cut + 1]))
    resume(tmp_path / "killed", verbose=False)
    assert (tmp_path / "killed" / "steps.csv").read_text() == whole
    assert len(list((tmp_path / "killed" / "tensorboard").iterdir())) == 1
    assert (tmp_path / "killed" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()


def test_a_run_without_logs_that_ended_before_its_first_checkpoint_begins_anew(tmp_path):
    config = RunConfig("digits", model="mlp", epochs=1, batch_size=128)
    start(config, tmp_path, verbose=False)
    whole = (tmp_path / MODEL).read_bytes()
    for path in tmp_path.iterdir():
        if path.name != "config.json":
            path.unlink()
    resume(tmp_path, verbose=False)
    assert (tmp_path / MODEL).read_bytes() == whole


def test_a_run_of_an_older_version_goes_on(tmp_path):
    """config.json and checkpoint as xpcnn 0.1 wrote them, which knew neither accumulation nor averages."""
    base = {"model": "mlp", "batch_size": 256, "lr": 0.01, "schedule": "constant"}
    expected = start(RunConfig(**base, epochs=2), tmp_path / "whole", verbose=False)
    folder = tmp_path / "run"
    start(RunConfig(**base, epochs=1), folder, verbose=False)
    described = json.loads((folder / "config.json").read_text())
    for name in ("accumulate", "ema"):
        del described[name]
    (folder / "config.json").write_text(json.dumps(described | {"epochs": 2}))
    tensors, metadata = read_tensors(folder / CHECKPOINT)
    for name in ("accumulate", "ema", "criterion"):
        del metadata["run"][name]
    metadata.pop("format", None)
    write_tensors(folder / CHECKPOINT, tensors, metadata)
    result = resume(folder, verbose=False)
    timeless = result.keys() - {"seconds", "seconds_since_start"}
    assert {name: result[name] for name in timeless} == {name: expected[name] for name in timeless}
    assert (folder / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()


@pytest.mark.parametrize("name", ["epochs", "lr", "seed", "dataset"])
def test_a_configuration_that_lacks_what_every_version_wrote(tmp_path, name):
    start(RunConfig(model="mlp", epochs=1, batch_size=256), tmp_path / "run", verbose=False)
    described = json.loads((tmp_path / "run" / "config.json").read_text())
    del described[name]
    (tmp_path / "run" / "config.json").write_text(json.dumps(described))
    with pytest.raises(FormatError, match=f"KeyError: '{name}'"):
        resume(tmp_path / "run", verbose=False)


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_the_schedule_spans_the_steps_that_are_made(tmp_path, accumulate):
    """1293 images in batches of 256 are 6: with accumulation 3 or 2 steps an epoch."""
    config = RunConfig(model="mlp", epochs=2, batch_size=256, lr=0.01, schedule="cosine", accumulate=accumulate)
    total = 2 * {1: 6, 2: 3, 4: 2}[accumulate]
    start(config, tmp_path / "run", verbose=False)
    lines = (tmp_path / "run" / "history.csv").read_text().splitlines()[1:]
    rates = [float(line.split(",")[1]) for line in lines]
    assert rates == pytest.approx([Cosine(0.01, total).lr_at(total // 2 - 1), Cosine(0.01, total).lr_at(total - 1)])


def test_the_model_that_is_tested_is_the_average(tmp_path):
    config = RunConfig(model="mlp", epochs=2, batch_size=256, lr=0.01, schedule="constant", ema=0.9)
    result = start(config, tmp_path / "run", verbose=False)
    saved = load_model(tmp_path / "run" / MODEL).model
    assert result["test_loss"] == evaluate(saved, data.load("digits").test).loss
    plain = start(RunConfig(**{**vars(config), "ema": None}), tmp_path / "plain", verbose=False)
    assert plain["test_loss"] != result["test_loss"]


def test_without_matplotlib_a_run_has_no_picture_and_is_whole_otherwise(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    start(RunConfig(model="mlp", epochs=1), tmp_path / "run", verbose=False)
    assert (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / "curves.png").exists()


@pytest.mark.parametrize("all_there", [True, False])
def test_a_validation_without_some_classes_is_told(tmp_path, capsys, rng, all_there):
    path = str(tmp_path / "a.npz")
    np.savez(path, images=rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), labels=np.arange(40) % 2)
    train = data.load(path).train
    seed = next(seed for seed in range(99) if (len(set(train.split(0.1, seed)[1].labels)) == 2) is all_there)
    start(RunConfig(dataset=path, model="mlp", epochs=1, seed=seed), tmp_path / "run")
    assert ("validation holds 3 images of 1 of 2 classes" in capsys.readouterr().out) is not all_there
