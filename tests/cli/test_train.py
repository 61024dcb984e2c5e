"""`xpcnn train` with a file of options, on a folder of pictures, on numbers to be predicted; what is kept, and how
`eval` and `predict` go on from there."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from xpcnn import data
from xpcnn.io.model_file import load_model
from xpcnn.nn import Normalize
from xpcnn.training.tallies import metrics_in_words

from .command import xpcnn_command


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Dark, grey and light pictures of 9×7, in folders of these names; a run that was trained on them."""
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, light in (("dark", 40), ("grey", 128), ("light", 215)):
        (folder / "tones" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(light, 12, (9, 7, 3)), 0, 255).astype("uint8")
            image.fromarray(pixels).save(folder / "tones" / name / f"{i:02}.png")
    words = ("--model", "mlp", "--epochs", 12, "--batch-size", 8, "--lr", 0.01, "--normalize", "--augment", "flip")
    done = xpcnn_command("train", "tones", "--option", "size=8", *words, "--log", "csv,tensorboard", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_folder_of_pictures_is_learned(pictures):
    folder, output = pictures
    run = folder / "runs" / "tones-mlp"
    assert "of 12 images" in output
    assert output.endswith("kept in runs/tones-mlp\n")
    saved = load_model(run / "model.safetensors")
    assert (saved.input_shape, saved.classes) == ((8, 8, 3), ("dark", "grey", "light"))
    train = data.load(folder / "tones", size=8).train.split(0.1, seed=0)[0]
    assert isinstance(saved.model[0], Normalize)
    np.testing.assert_allclose(saved.model[0].mean, train.statistics()[0])
    result = json.loads((run / "result.json").read_text())
    assert result["test_accuracy"] > 0.9
    rows = list(csv.DictReader((run / "steps.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 12 * 6 + 1))  # 43 of 48 images, 8 at a time
    assert list((run / "tensorboard").iterdir())
    config = json.loads((run / "config.json").read_text())
    assert (config["dataset"], config["options"]) == (str(folder / "tones"), {"size": 8})
    done = xpcnn_command("train", "--resume", run, cwd="/")  # the data set is found from anywhere
    assert done.stdout.startswith("test accuracy"), done.stderr


def test_a_run_whose_pictures_have_moved_goes_on(tmp_path):
    (tmp_path / "tones").mkdir()
    np.savez(tmp_path / "tones" / "a.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.arange(20) % 2)
    done = xpcnn_command("train", "tones/a.npz", "--model", "mlp", "--epochs", 1, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "tones").rename(tmp_path / "moved")
    done = xpcnn_command("train", "--resume", "run", cwd=tmp_path)
    said = f"run: expected the run's data set {tmp_path / 'tones' / 'a.npz'}, got nothing there; where it is now"
    assert (done.returncode, f"{said}: xpcnn train PATH --resume run" in done.stderr) == (2, True), done.stderr
    for words in (("moved/a.npz",), ()):  # it is remembered
        done = xpcnn_command("train", *words, "--resume", "run", cwd=tmp_path)
        assert done.stdout.startswith("test accuracy"), done.stderr


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    done = xpcnn_command("train", "digits", "--augment", "crop:99", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Crop: expected less than the images' 8×8 pixels" in done.stderr
    assert not list(tmp_path.iterdir())


def test_eval_takes_the_same_test_images_and_knows_classes_by_name(pictures, tmp_path):
    folder, _ = pictures
    run = folder / "runs" / "tones-mlp"
    result = json.loads((run / "result.json").read_text())
    correct = round(result["test_accuracy"] * 12)
    assert f"({correct} of 12)" in xpcnn_command("eval", run, "tones", cwd=folder).stdout
    (tmp_path / "two").mkdir()
    for name in ("light", "grey"):
        (tmp_path / "two" / name).symlink_to(folder / "tones" / name)
    plain = tmp_path / "copied"
    for name in ("light", "grey"):
        (plain / name).mkdir(parents=True)
        for path in (folder / "tones" / name).iterdir():
            (plain / name / path.name).write_bytes(path.read_bytes())
    done = xpcnn_command("eval", run, plain, "--part", "train", cwd=folder)
    assert done.returncode == 0, done.stderr
    matrix = [line.split() for line in done.stdout.partition("predicted\n")[2].splitlines()[2:]]
    assert [row[0] for row in matrix] == ["dark", "grey", "light"]
    counts = np.array([row[1:] for row in matrix], int)
    assert counts.sum(axis=1).tolist() == [0, 16, 16]
    assert np.trace(counts) > 28
    (plain / "unknown").mkdir()
    (plain / "unknown" / "a.png").write_bytes((plain / "grey" / "00.png").read_bytes())
    (plain / "unknown" / "b.png").write_bytes((plain / "grey" / "01.png").read_bytes())
    done = xpcnn_command("eval", run, plain, cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected the model's classes: dark, grey, light, got unknown" in done.stderr


def test_eval_takes_the_same_test_images_where_the_model_file_is_named(pictures):
    folder, _ = pictures
    chosen = ("--option", "size=8", "--option", "test_fraction=0.4", "--option", "seed=3")
    words = ("train", "tones", "--model", "mlp", "--epochs", 1, *chosen, "--out", "chosen")
    assert "of 24 images" in xpcnn_command(*words, cwd=folder).stdout
    by_folder = xpcnn_command("eval", "chosen", "tones", cwd=folder).stdout
    by_file = xpcnn_command("eval", "chosen/model.safetensors", "tones", cwd=folder).stdout
    assert "of 24)" in by_folder
    assert by_file == by_folder
    other = xpcnn_command("eval", "chosen", "tones", "--option", "test_fraction=0.2", cwd=folder).stdout
    assert "of 12)" in other  # what is said here wins


def test_predict_takes_folders_of_raw_pictures(pictures):
    folder, _ = pictures
    done = xpcnn_command("predict", "runs/tones-mlp", "tones/dark", "tones/light", cwd=folder)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows[:2]] == ["tones/dark/00.png", "tones/dark/01.png"]
    assert len(rows) == 40
    assert sum(row[1] == row[0].split("/")[1] for row in rows) >= 38
    (folder / "nothing").mkdir(exist_ok=True)
    done = xpcnn_command("predict", "runs/tones-mlp", "nothing", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == "xpcnn: predict: expected pictures in nothing, got none\n"


def test_numbers_are_learned_and_predicted(tmp_path):
    rng = np.random.default_rng(0)
    light = rng.integers(0, 200, (200, 2, 1, 1, 1))
    images = (light + rng.integers(0, 56, (200, 2, 3, 6, 1))).astype("uint8").reshape(200, 6, 6, 1)
    targets = np.stack([images[:, :3].mean(axis=(1, 2, 3)), images[:, 3:].mean(axis=(1, 2, 3))], axis=1) / 255
    np.savez(tmp_path / "halves.npz", images=images, labels=targets.astype("float32"))
    words = ("--model", "mlp", "--epochs", 30, "--lr", 0.01, "--option", "regression=true", "--out", "run")
    done = xpcnn_command("train", "halves.npz", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    metrics = metrics_in_words(result["test_metrics"])
    assert f"test loss {result['test_loss']:.6g} ({metrics}) of 40 images" in done.stdout
    assert result["test_metrics"]["r2"] > 0.8
    assert result["test_loss"] < 0.2 * targets.var(axis=0).mean()
    assert result["test_accuracy"] is None
    done = xpcnn_command("eval", "run", "halves.npz", cwd=tmp_path)
    said = f"test loss {result['test_loss']:.6g} (MSELoss(reduction='mean') of 40 images)\n{metrics}\n"
    assert done.stdout == said, done.stderr
    np.save(tmp_path / "some.npy", images[:50])
    answers = json.loads(xpcnn_command("predict", "run", "some.npy", "--format", "json", cwd=tmp_path).stdout)
    given = np.array([answer["values"] for answer in answers])
    assert given.shape == (50, 2)
    assert ((given - targets[:50]) ** 2).mean() < 0.2 * targets.var(axis=0).mean()
    lines = xpcnn_command("predict", "run", "some.npy", "--format", "csv", cwd=tmp_path).stdout.splitlines()
    assert lines[:2] == ["file,output,value", f"some.npy[0],0,{given[0, 0]:.6g}"]
    text = xpcnn_command("predict", "run", "some.npy", cwd=tmp_path).stdout.splitlines()
    assert text[0] == f"some.npy[0]\t{given[0, 0]:.6g}\t{given[0, 1]:.6g}"
    done = xpcnn_command("eval", "run", "digits", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_one_number_an_image_is_learned_and_judged(tmp_path):
    """Targets (N,), which the network gives as (N, 1); a regression has no accuracies to print."""
    images = np.random.default_rng(0).integers(0, 256, (100, 6, 6, 1), np.uint8)
    np.savez(tmp_path / "light.npz", images=images, labels=images.mean((1, 2, 3), dtype="float32") / 255)
    words = ("--model", "mlp", "--epochs", 1, "--option", "regression=True", "--out", "run")
    done = xpcnn_command("train", "light.npz", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"epoch   1  train [\d.]+  validation [\d.]+  lr .*", done.stdout.splitlines()[3])
    loss = json.loads((tmp_path / "run" / "result.json").read_text())["test_loss"]
    done = xpcnn_command("eval", "run", "light.npz", cwd=tmp_path)
    assert done.stdout.startswith(f"test loss {loss:.6g} (MSELoss(reduction='mean') of 20 images)\n"), done.stderr
    (tmp_path / "others.npz").write_bytes((tmp_path / "light.npz").read_bytes())  # with the words of no run
    rows = np.column_stack([images.mean((1, 2, 3)) / 255, images.reshape(100, 36)])
    np.savetxt(tmp_path / "others.csv", rows, "%.17g", delimiter=",")
    for name in ("others.npz", "others.csv"):
        assert xpcnn_command("eval", "run", name, cwd=tmp_path).stdout == done.stdout


def test_options_from_a_file_and_words_that_win(tmp_path):
    (tmp_path / "run.toml").write_text(
        'dataset = "digits"\nmodel = "mlp"\nepochs = 1\nbatch_size = 100\naugment = "shift:1,mixup:0.2"\n'
        "accumulate = 2\nema = 0.9\nvalidation = 0.25\nnormalize = true\noverfit_batches = 3\n"
    )
    done = xpcnn_command("train", "--config", "run.toml", "--batch-size", 50, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    asked = {"model": "mlp", "epochs": 1, "batch_size": 50, "augment": "shift:1,mixup:0.2", "accumulate": 2}
    asked |= {"ema": 0.9, "validation": 0.25, "normalize": True, "overfit_batches": 3, "lr": 0.003}
    assert {name: config[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3", "run.toml: expected keys among dataset, model, epochs"),
        ("epoch = 3", "got epoch; did you mean epochs?"),
        ("[training]\nepochs = 3", "got training; keys stand by themselves, not under [training]"),
        ("out = 3", "train out: expected the name of a folder, got 3"),
        ("epochs = 'many'", "train: expected epochs: an integer ≥ 1, got 'many'"),
        ("normalize = 1", "train normalize: expected true or false, got 1"),
        ("options = 3", "train options: expected a table"),
        ("augment = 'flop'", "augment: expected words among flip"),
        ("log = 'xml'", "train log: expected words among csv, tensorboard, got 'xml'"),
        ("epochs = ", "run.toml: expected a TOML file"),
        ("epochs = \xff", "run.toml: expected a TOML file"),
        ("options = {size = 3}", "load digits: expected options among none, got size"),
    ],
)
def test_what_is_wrong_in_a_file_of_options(tmp_path, text, said):
    (tmp_path / "run.toml").write_bytes(text.encode("latin-1"))
    done = xpcnn_command("train", "digits", "--config", "run.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


def test_a_rehearsal_keeps_nothing_and_notices_what_would_fail(tmp_path):
    done = xpcnn_command("train", "digits", "--model", "mlp", "--fast-dev-run", "--log", "csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("one step, validation and checkpoint went well; nothing was kept\n")
    assert list(tmp_path.iterdir()) == []
    done = xpcnn_command("train", "digits", "--fast-dev-run", "--out", "/proc/nowhere/run", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("given", ['["digits"]', "{a = 1}"])
def test_a_data_set_that_is_no_name_is_one_line(tmp_path, given):
    (tmp_path / "run.toml").write_text(f"dataset = {given}\n")
    done = xpcnn_command("train", "--config", "run.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "train dataset: expected a name or a path, got" in done.stderr
