"""`xpcnn train --from`: it says what it took, made and froze; the run then needs the file no longer; each wrong turn
ends in one line."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import chdir, redirect_stderr, redirect_stdout

import numpy as np
import pytest

from xpcnn import data, exchange, models
from xpcnn.cli import main
from xpcnn.io.model_file import load_model, save_model
from xpcnn.nn import BatchNorm1d, Flatten, Linear, Normalize, Sequential


def run(folder, *words):
    """The command's lines, standard error, and status, in this process."""
    told, errors = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(told), redirect_stderr(errors), pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return told.getvalue().splitlines(), errors.getvalue(), end.value.code


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks that have learned the digits, as a run, ONNX and safetensors; and few digits modulo five."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("files")
    words = ("--model", "mnist_cnn", "--epochs", 3, "--normalize", "--quiet", "--out", "run")
    assert run(folder, "train", "digits", *words)[1:] == ("", 0)
    model = load_model(folder / "run" / "model.safetensors").model
    exchange.export_onnx(model, folder / "digits.onnx", input_shape=(8, 8, 1))
    weights = models.mnist_cnn((8, 8, 1), 10, rng=0)
    exchange.save_pytorch(weights, folder / "weights.safetensors", input_shape=(8, 8, 1))
    whole = (folder / "weights.safetensors").read_bytes()
    (folder / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "weights.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    odd = Sequential(Flatten(), Linear(64, 5, rng=0), BatchNorm1d(5))
    save_model(odd, folder / "odd.safetensors", input_shape=(8, 8, 1))
    spoilt = Sequential(Flatten(), Linear(64, 8, rng=0), Linear(8, 5, rng=1))
    spoilt[1].weight[2, 3] = np.nan
    save_model(spoilt, folder / "spoilt.safetensors", input_shape=(8, 8, 1))
    digits = data.digits()
    train, test = digits.train.take(60), digits.test.take(100)
    parts = {"x_train": train.images, "y_train": train.labels % 5, "x_test": test.images, "y_test": test.labels % 5}
    np.savez(folder / "few.npz", **parts)
    np.savez(
        folder / "small.npz", **{name: each[:, :6, :6] if name[0] == "x" else each for name, each in parts.items()}
    )
    rgb = {name: np.repeat(each[..., None], 3, -1) if name[0] == "x" else each for name, each in parts.items()}
    np.savez(
        folder / "rgb.npz",
        **{name: each.reshape(*each.shape[:3], 3) if name[0] == "x" else each for name, each in rgb.items()},
    )
    return folder


FEW = ("train", "few.npz", "--epochs", 4, "--batch-size", 20, "--validation", 0)


def result(folder, out):
    return json.loads((folder / out / "result.json").read_text())


def test_it_says_what_it_took_made_and_froze_and_beats_training_from_scratch(files):
    words = ("--freeze", "1.*", "--lr-scale", "4.*=0.5", "--out", "tuned")
    told, errors, status = run(files, *FEW, "--from", "run", *words)
    assert (errors, status) == ("", 0)
    assert told[3:7] == [
        "from run: 8 arrays of its network",
        "new last layer 10: 5 outputs",
        "images 8×8×1, normalised by the network itself, as it learned them",
        "froze 2 of 8 arrays, 320 of 52,357 numbers; trained: 4, 8, 10",
    ]
    begun, tuned = (load_model(files / name / "model.safetensors").model for name in ("run", "tuned"))
    np.testing.assert_array_equal(tuned.state_dict()["1.weight"], begun.state_dict()["1.weight"])
    assert isinstance(tuned[0], Normalize)
    assert tuned[0].mean == begun[0].mean
    assert run(files, *FEW, "--model", "mnist_cnn", "--out", "scratch")[1:] == ("", 0)
    assert result(files, "tuned")["test_accuracy"] > result(files, "scratch")["test_accuracy"] + 0.05
    assert result(files, "tuned")["parameters"] == 52357


@pytest.mark.parametrize(
    ("source", "words", "told", "images"),
    [
        ("digits.onnx", (), "8 arrays of its network", "normalised by the network itself"),
        ("weights.safetensors", ("--model", "mnist_cnn"), "6 arrays of mnist_cnn, all", "the file does not say how"),
    ],
)
def test_a_run_goes_on_without_the_file_it_came_from(files, tmp_path, source, words, told, images):
    shutil.copy(files / source, tmp_path / source)
    first = "0.*" if words else next(iter(exchange.import_onnx(files / source).model.parameters()))
    words = ("--from", source, *words, "--freeze", first, "--unfreeze-at", 3, "--ema", 0.9)
    lines, errors, status = run(tmp_path, "train", files / "few.npz", *FEW[2:], *words, "--out", "whole")
    assert (errors, status) == ("", 0)
    assert told in lines[3]
    assert any(images in line for line in lines)
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    (tmp_path / source).unlink()
    for name in ("checkpoint.safetensors", "model.safetensors", "history.csv", "result.json", "trained_on.safetensors"):
        (tmp_path / "again" / name).unlink()  # as if it had been killed in its first step
    assert run(tmp_path, "train", "--resume", "again")[1:] == ("", 0)
    assert result(tmp_path, "again")["test_loss"] == result(tmp_path, "whole")["test_loss"]
    assert run(tmp_path, "eval", "again", files / "few.npz")[1:] == ("", 0)


def test_pictures_are_read_as_the_network_takes_them(files, tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name, light in (("dark", 40), ("light", 215)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for i in range(10):
            pixels = np.clip(rng.normal(light, 12, (9 + i % 2, 7)), 0, 255).astype("uint8")
            image.fromarray(pixels).save(tmp_path / "tones" / name / f"{i}.png")
    saved = models.squeezenet1_1((32, 32, 3), 7, rng=0)
    exchange.save_pytorch(saved, tmp_path / "squeezenet.safetensors")
    words = (
        "--from",
        "squeezenet.safetensors",
        "--model",
        "squeezenet1_1",
        "--freeze",
        "features*",
        "--cache-features",
    )
    sizes = ("--option", "size=32", "--epochs", 1, "--batch-size", 4)
    lines, errors, status = run(tmp_path, "train", "tones", *words, *sizes)
    assert (errors, status) == ("", 0)
    expected = "images 32×32×3, normalised as torchvision's weights expect: mean (0.485, 0.456, 0.406), deviation ("
    assert any(line.startswith(expected) for line in lines)
    assert any(line.endswith("trained: classifier.1") for line in lines)
    saved = load_model(tmp_path / "runs" / "tones-squeezenet1_1" / "model.safetensors")
    assert saved.input_shape == (32, 32, 3)
    assert saved.model[0].mean == (0.485, 0.456, 0.406)
    config = json.loads((tmp_path / "runs" / "tones-squeezenet1_1" / "config.json").read_text())
    assert config["options"] == {"size": 32, "channels": 3}


WRONG = {
    "no such file": ("few.npz --from nothing.safetensors", "nothing.safetensors"),
    "half a file": ("few.npz --from half.safetensors --model mnist_cnn", "half.safetensors"),
    "NaN": ("few.npz --from spoilt.safetensors", "numbers for 1.weight, got NaN in 1 of its 512"),
    "more shards than images": ("few.npz --from run --shards 9 --batch-size 8", "shards: at most the 8 images of a"),
    "a pickle": ("few.npz --from weights.pt --model mnist_cnn", "torch.save"),
    "weights alone": ("few.npz --from weights.safetensors", "name it: --model"),
    "wrong names": ("few.npz --from weights.safetensors --model resnet20", "--unused leaves arrays of the file out"),
    "another input size": ("small.npz --from digits.onnx", "images 8×8×1 for the network of digits.onnx, got 6×6×1"),
    "other channels": ("rgb.npz --from run", "images 8×8×1 for the network of run, got 8×8×3"),
    "another head": ("few.npz --from odd.safetensors", "that ends in Linear or Conv2d, got BatchNorm1d 2"),
    "frozen names that match nothing": (
        "few.npz --from run --freeze layer1*",
        "'layer1*', which matches none of 1.weight",
    ),
    "rates that match nothing": ("few.npz --from run --lr-scale layer1*=0.1", "lr_scale: names of parameters"),
    "rates of what is frozen": ("few.npz --from run --freeze 1.* --lr-scale 1.*=0.1", "parameters that are trained"),
    "rates without a number": ("few.npz --from run --lr-scale 1.*", "factors by names, such as 'layer*=0.1'"),
    "everything frozen": ("few.npz --from run --freeze *", "parameters that are left to train"),
    "the new head frozen": ("few.npz --from run --freeze 10.*", "a new last layer that is trained"),
    "nothing to begin with": ("few.npz --freeze 0.*", "random layers would stay random"),
    "nothing to unfreeze": ("few.npz --from run --unfreeze-at 2", "a frozen part (--freeze)"),
    "unfrozen too late": ("few.npz --from run --freeze 1.* --unfreeze-at 9 --epochs 8", "an epoch from 2 to 8"),
    "unfrozen at once": ("few.npz --from run --freeze 1.* --unfreeze-at 1", "an integer ≥ 2"),
    "kept features of changed images": (
        "few.npz --from run --freeze 1.* --cache-features --augment flip",
        "stay the same",
    ),
    "kept features of the middle": ("few.npz --from run --freeze 4.* --cache-features", "begins with frozen layers"),
    "two normalisations": ("few.npz --from run --normalize", "one that does; leave it out"),
    "an address without a hash": ("few.npz --from https://example.org/a.onnx", "#sha256=HASH"),
    "names that the file does not have": ("few.npz --from weights.safetensors --model mnist_cnn --unused aux*", "aux*"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_turn_ends_in_one_line(files, name, tmp_path):
    words, said = WRONG[name]
    _, error, status = run(files, "train", *words.split(), "--out", tmp_path / "out")
    assert (status, error.count("\n")) == (2, 1)
    assert said in error, error
    assert not (tmp_path / "out").exists()
