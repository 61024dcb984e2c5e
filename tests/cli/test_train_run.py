"""The files of `xpcnn train`: eval and predict agree with them; the same seed, or Ctrl-C, gives the same bytes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from xpcnn import data

from .command import FAST, xpcnn_command


def test_train_keeps_everything(trained):
    folder, output = trained
    run = folder / "run"
    assert {path.name for path in run.iterdir()} == {
        "config.json", "history.csv", "checkpoint.safetensors", "model.safetensors", "result.json", "curves.png",
        "trained_on.safetensors",
    }  # fmt: skip
    result = json.loads((run / "result.json").read_text())
    assert f"test accuracy {result['test_accuracy']:.2%} of 360 images" in output
    assert 0.8 < result["test_accuracy"] <= 1
    assert result["seconds"] > 0
    config = json.loads((run / "config.json").read_text())
    assert (config["dataset"], config["model"], config["epochs"], config["seed"]) == ("digits", "mlp", 2, 0)
    assert len((run / "history.csv").read_text().splitlines()) == 3
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_eval_and_predict_agree_with_train(trained, tmp_path):
    folder, _ = trained
    result = json.loads((folder / "run" / "result.json").read_text())
    done = xpcnn_command("eval", "run", "digits", cwd=folder)
    correct = round(result["test_accuracy"] * 360)
    assert f"({correct} of 360)" in done.stdout, done.stderr
    test = data.load("digits").test
    np.save(tmp_path / "images.npy", test.images)
    done = xpcnn_command("predict", "run/model.safetensors", tmp_path / "images.npy", cwd=folder)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 360
    assert lines[7][0] == f"{tmp_path / 'images.npy'}[7]"
    assert sum(int(label) == true for (_, label, _), true in zip(lines, test.labels, strict=True)) == correct


def test_the_same_seed_gives_the_same_run_and_another_does_not(trained, tmp_path):
    folder, _ = trained
    model = (folder / "run" / "model.safetensors").read_bytes()
    for seed, same in ((0, True), (1, False)):
        done = xpcnn_command("train", "digits", *FAST, "--out", tmp_path / str(seed), "--seed", seed, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert ((tmp_path / str(seed) / "model.safetensors").read_bytes() == model) is same


def test_every_option_reaches_the_run(tmp_path):
    asked = {
        "model": "mlp", "epochs": 1, "batch_size": 50, "lr": 0.25, "optimizer": "sgd", "schedule": "cosine",
        "weight_decay": 0.125, "validation": 0.25, "patience": 3, "seed": 7,
    }  # fmt: skip
    words = [word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", value)]
    done = xpcnn_command("train", "digits", *words, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert {name: config[name] for name in asked} == asked


def test_without_out_each_run_has_its_own_folder(tmp_path):
    for name in ("digits-mlp", "digits-mlp-2"):
        done = xpcnn_command("train", "digits", *FAST, "--epochs", 1, "--quiet", cwd=tmp_path)
        assert done.stdout.count("\n") == 1
        assert done.stdout.endswith(f"kept in runs/{name}\n")
        assert (tmp_path / "runs" / name / "result.json").exists()


LONG = ("digits", "--model", "mlp", "--epochs", "20")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The model of a run that nothing has stopped."""
    folder = tmp_path_factory.mktemp("whole")
    done = xpcnn_command("train", *LONG, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return (folder / "run" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_checkpoint_from_which_the_run_goes_on_bit_for_bit(whole, tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "xpcnn", "train", *LONG, "--out", "cut"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "cut" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert re.fullmatch(r"xpcnn: interrupted .*; go on with: xpcnn train --resume cut\n", errors)
    assert not (tmp_path / "cut" / "result.json").exists()
    done = xpcnn_command("train", "--resume", "cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cut" / "model.safetensors").read_bytes() == whole


def test_resuming_a_finished_run_only_repeats_its_result(trained):
    folder, output = trained
    done = xpcnn_command("train", "--resume", "run", cwd=folder)
    assert done.returncode == 0
    assert done.stdout == output.splitlines()[-1] + "; it had ended already\n"
