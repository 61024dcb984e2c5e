"""From folders of masks and tables of pictures to answers, by commands alone: the loss fits the task, masks come in
their pictures' sizes, resizing is as in training, and files without labels are answered in a CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xpcnn
from xpcnn.cli import main
from xpcnn.data.picture import read_picture

RNG = np.random.default_rng(0)


def run(capsys, *words, status=0):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    assert (ended.value.code or 0) == status, capsys.readouterr().err
    said = capsys.readouterr()
    return said.err if status else said.out


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """Pictures 20×28 whose bright pixels are class 1 of their masks."""
    monkeypatch.chdir(tmp_path)
    for folder in ("shapes/images", "shapes/masks"):
        (tmp_path / folder).mkdir(parents=True)
    for i in range(13):
        mask = np.zeros((20, 28), np.uint8)
        top, left = RNG.integers(0, 10, 2)
        mask[top : top + 9, left : left + 12] = 1
        Image.fromarray(np.where(mask, 220, RNG.integers(0, 100, mask.shape)).astype(np.uint8)).save(
            f"shapes/images/{i}.png"
        )
        Image.fromarray(mask).save(f"shapes/masks/{i}.png")
    return tmp_path


def test_masks_from_training_to_predicted_files(shapes, capsys):
    words = [
        "--option",
        "size=16",
        "--resize",
        "pad",
        "--option",
        "ignore_index=255",
        "--option",
        'classes=["no","yes"]',
    ]
    said = run(capsys, "data", "show", "shapes", *words)
    assert "pixels of class" in said
    training = ["--epochs", 4, "--batch-size", 3, "--augment", "flip,crop:1", "--out", "run"]
    said = run(capsys, "train", "shapes", *words, *training)
    assert "of each pixel, one of: 2 classes: no, yes" in said
    assert "mean IoU" in said
    result = json.loads((shapes / "run/result.json").read_text())
    config = json.loads((shapes / "run/config.json").read_text())
    assert (config["model"], config["options"]["resize"]) == ("unet_small", "pad")
    said = run(capsys, "eval", "run", "shapes")
    assert f"test pixel accuracy {result['test_accuracy']:.2%}" in said
    assert f"mean IoU {result['test_metrics']['mean_iou']:.4g}" in said
    saved = xpcnn.load("run")
    assert (saved.resize, saved.ignore_index) == ("pad", 255)
    run(capsys, "predict", "run", "shapes/images", "--out", "masks")
    for i in range(13):
        with Image.open(f"masks/{i}.png") as found:
            assert (found.mode, found.size) == ("P", (28, 20))
            written = np.array(found)
    ((name, mask),) = saved.masks("shapes/images/12.png")
    np.testing.assert_array_equal(mask, written)
    assert "--out, a folder for masks" in run(capsys, "predict", "run", name, status=2)


def test_what_does_not_fit_is_refused_before_training(shapes, capsys):
    words = ["--option", 'classes=["no","yes"]', "--option", "size=16", "--epochs", 1]
    assert "2 outputs for a pixel" in run(capsys, "train", "shapes", *words, "--model", "mnist_cnn", status=2)
    assert "expected one of squash, crop, pad" in run(capsys, "train", "shapes", *words, "--resize", "fit", status=2)
    said = run(capsys, "train", "shapes", *words, "--augment", "rotate:30", status=2)
    assert "ignore_index, the class of what comes from outside a mask" in said
    assert not (shapes / "runs").exists()


@pytest.fixture
def squares(tmp_path, monkeypatch):
    """Pictures of two sizes with two squares, each or none, in a table; and a table without labels."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pics").mkdir()
    rows = []
    for i in range(48):
        picture, labels = RNG.integers(0, 100, (12, 12 + 8 * (i % 2), 3), dtype=np.uint8), RNG.integers(0, 2, 2)
        for k in np.flatnonzero(labels):
            at, beside = RNG.integers(0, 6), RNG.integers(0, 6) + 4 * (i % 2)
            picture[at : at + 5, beside : beside + 5, 2 * k] = 240
        Image.fromarray(picture).save(f"pics/{i}.png")
        rows.append([f"pics/{i}.png", *labels, ("test", "train", "train")[i % 3]])
    with open("all.csv", "w", newline="") as file:
        csv.writer(file).writerows([["filename", "red", "blue", "split"], *rows])
    with open("new.csv", "w", newline="") as file:
        csv.writer(file).writerows([["filename"], *([row[0]] for row in rows[:5])])
    return rows


def test_several_labels_of_a_table(squares, capsys):
    words = ["--option", "size=12", "--resize", "crop", "--epochs", 12, "--batch-size", 8, "--out", "run"]
    said = run(capsys, "train", "all.csv", *words)
    assert "of each image, some of: 2 classes: red, blue" in said
    assert "BCEWithLogitsLoss" in run(capsys, "eval", "run", "all.csv")
    run(capsys, "predict", "run", "new.csv", "--out", "answers.csv")
    with open("answers.csv", newline="") as file:
        answers = list(csv.DictReader(file))
    assert [row["file"] for row in answers[::2]] == [f"pics/{i}.png" for i in range(5)]
    assert {row["class"] for row in answers} == {"red", "blue"}
    truth = [squares[i // 2][1 + (row["class"] == "blue")] for i, row in enumerate(answers)]
    right = [(float(row["probability"]) > 0.5) == yes for row, yes in zip(answers, truth, strict=True)]
    assert sum(right) >= 8
    saved = xpcnn.load("run")
    scores = dict(saved.predict("new.csv")[1].scores)
    cropped = read_picture(Path("pics/1.png"), size=(12, 12), resize="crop")
    assert dict(saved.predict(cropped, scale=255)[0].scores) == pytest.approx(scores, rel=1e-5)
    assert scores == pytest.approx({row["class"]: float(row["probability"]) for row in answers[2:4]}, rel=1e-4)


def test_a_table_of_numbers_without_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels = ",".join(f"pixel{i}" for i in range(16))
    images = np.where(np.arange(30)[:, None] % 2, 200, 10) + RNG.integers(0, 40, (30, 16))
    lines = [f"{i % 2}," + ",".join(map(str, row)) for i, row in enumerate(images)]
    (tmp_path / "train.csv").write_text(f"label,{pixels}\n" + "\n".join(lines))
    (tmp_path / "new.csv").write_text(f"id,{pixels}\n" + "\n".join(lines))
    run(capsys, "train", "train.csv", "--model", "mlp", "--epochs", 6, "--batch-size", 8, "--lr", 0.02, "--out", "run")
    said = run(capsys, "predict", "run", "new.csv")
    assert [line.split("\t")[1] for line in said.splitlines()] == ["0", "1"] * 15
    (tmp_path / "few.csv").write_text("a,b\n1,2\n")
    assert "rows of 16 numbers, one image each, got 2 columns" in run(capsys, "predict", "run", "few.csv", status=2)


def test_normalisation_knows_the_training_images_alone(squares, capsys):
    words = ["--option", "size=12", "--normalize", "--epochs", 1, "--out", "run"]
    run(capsys, "train", "all.csv", *words)
    dataset = xpcnn.data.load("all.csv", size=12)
    train, _ = dataset.train.split(0.1, seed=0)
    mean, std = train.statistics()
    first = xpcnn.load("run").model.children()["0"]
    np.testing.assert_allclose([first.mean, first.std], [mean, std], rtol=1e-6)
    assert not np.allclose(mean, dataset.train.statistics()[0], rtol=1e-4)
