"""`xpcnn predict`: pictures and arrays alike, as text, CSV and JSON; what it cannot read costs no other answer."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import xpcnn
from xpcnn import data
from xpcnn.cli import main
from xpcnn.io.model_file import load_model, save_model
from xpcnn.nn import BCEWithLogitsLoss, Flatten, Linear, MSELoss, Sequential
from xpcnn.training.best_model import save_best

from .command import xpcnn_command


def test_predict_reads_pictures_and_arrays_alike(trained, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, _ = trained
    pixels = data.load("digits").test.images[3]
    for name in ("digit.png", "folder/digit.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.fromarray(pixels[:, :, 0]).save(tmp_path / name)
    np.save(tmp_path / "one.npy", pixels[:, :, 0])
    np.save(tmp_path / "float.npy", (pixels / 255).astype("float32"))
    files = [tmp_path / name for name in ("digit.png", "one.npy", "float.npy")]
    done = xpcnn_command("predict", "run", *files, tmp_path / "folder", cwd=folder)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in (*files, tmp_path / "folder" / "digit.tif")]
    assert len({tuple(line[1:]) for line in lines}) == 1


def test_predict_in_csv_and_json_with_the_likeliest_classes(trained, tmp_path):
    folder, _ = trained
    np.save(tmp_path / "images.npy", data.load("digits").test.images[:3])
    words = ("predict", "run", tmp_path / "images.npy", "--top-k", 3)
    text = [line.split("\t") for line in xpcnn_command(*words, cwd=folder).stdout.splitlines()]
    rows = list(csv.DictReader(xpcnn_command(*words, "--format", "csv", cwd=folder).stdout.splitlines()))
    done = xpcnn_command(*words, "--format", "json", "--out", tmp_path / "answers.json", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    answers = json.loads((tmp_path / "answers.json").read_text())
    saved = load_model(folder / "run" / "model.safetensors")
    x = data.load("digits").test.images[:3].astype("float32") / 255
    scores = xpcnn.to_numpy(saved.model(xpcnn.asarray(x)))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert len(text) == len(answers) == 3
    assert len(rows) == 9
    for i, answer in enumerate(answers):
        best = np.argsort(-probabilities[i])[:3]
        assert answer["file"] == text[i][0] == rows[3 * i]["file"] == f"{tmp_path / 'images.npy'}[{i}]"
        assert [each["class"] for each in answer["predictions"]] == [str(k) for k in best] == text[i][1::2]
        for rank, (k, each) in enumerate(zip(best, answer["predictions"], strict=True)):
            row = rows[3 * i + rank]
            assert (row["rank"], row["class"]) == (str(rank + 1), str(k))
            for found in (each["probability"], float(row["probability"])):
                np.testing.assert_allclose(found, probabilities[i, k], rtol=1e-4)
            assert text[i][2 + 2 * rank] == f"{each['probability']:.4f}"


def test_names_in_a_file_do_nothing_to_a_terminal(tmp_path):
    classes = ["a\x1b[31m\nb", "c\td"]
    save_model(
        Sequential(Flatten(), Linear(4, 2, rng=0)),
        tmp_path / "model.safetensors",
        input_shape=(2, 2, 1),
        classes=classes,
    )
    np.save(tmp_path / "image.npy", np.zeros((2, 2), "uint8"))
    done = xpcnn_command("predict", "model.safetensors", "image.npy", "--top-k", 2, cwd=tmp_path)
    name, *cells = done.stdout.removesuffix("\n").split("\t")
    assert name == "image.npy"
    assert set(cells[::2]) == {"a\ufffd[31m b", "c d"}
    done = xpcnn_command("eval", "model.safetensors", "digits", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_predict_answers_for_the_images_that_it_can_read(trained, tmp_path):
    folder, _ = trained
    np.save(tmp_path / "good.npy", data.load("digits").test.images[0])
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    files = [tmp_path / "broken.png", tmp_path / "good.npy", tmp_path / "nowhere.png"]
    done = xpcnn_command("predict", "run", *files, "--format", "json", cwd=folder)
    assert [each["file"] for each in json.loads(done.stdout)] == [str(files[1])]
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [str(files[0]), str(files[2])]
    assert "nowhere.png" in done.stderr
    assert json.loads(xpcnn_command("predict", "run", files[0], "--format", "json", cwd=folder).stdout) == []


def test_predict_of_a_folder_without_pillow_is_one_line(trained, tmp_path, monkeypatch, capsys):
    folder, _ = trained
    for name in "abc":
        (tmp_path / f"{name}.tif").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(SystemExit) as end:
        main(["predict", str(folder / "run"), str(tmp_path)])
    assert end.value.code == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "a.tif: expected pillow to read pictures" in told.err


def test_predict_of_dark_ink_transparency_and_sixteen_bits(trained, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, _ = trained
    pixels = data.load("digits").test.images[3][:, :, 0]
    image.fromarray(255 - pixels).save(tmp_path / "dark_on_light.png")
    ink = np.zeros((8, 8, 4), "uint8")
    ink[..., 3] = pixels  # black, as opaque as there is ink
    image.fromarray(ink).save(tmp_path / "transparent.png")
    image.fromarray(pixels).save(tmp_path / "plain.png")
    image.fromarray(pixels.astype("uint16") * 257).save(tmp_path / "sixteen.png")

    def said(*words):
        done = xpcnn_command("predict", "run", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return [tuple(line.split("\t")[1:]) for line in done.stdout.splitlines()]

    plain = said(tmp_path / "plain.png")
    assert said(tmp_path / "sixteen.png") == plain
    assert said("--invert", tmp_path / "dark_on_light.png", tmp_path / "transparent.png") == plain * 2
    assert said(tmp_path / "dark_on_light.png") != plain


def test_output_that_nobody_reads_is_no_error(trained):
    folder, _ = trained
    np.save(folder / "many.npy", np.tile(data.load("digits").test.images, (20, 1, 1, 1)))
    command = f"{sys.executable} -m xpcnn predict run many.npy | head -n 1"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_names_of_files_do_nothing_to_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_best(tmp_path, Sequential(Flatten(), Linear(4, 2, rng=0)), (2, 2, 1), (), criterion=MSELoss())
    np.save(tmp_path / "a\x1b[31m\n.npy", np.zeros((2, 2), np.uint8))
    with pytest.raises(SystemExit) as end:
        main(["predict", "model.safetensors", "a\x1b[31m\n.npy"])
    assert end.value.code == 0
    assert capsys.readouterr().out == "a\ufffd[31m .npy\t0\t0\n"


@pytest.mark.skipif(os.name != "posix", reason="FIFOs, and names of bytes")
def test_predict_of_a_folder_loses_nothing_to_what_is_no_picture(trained, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, _ = trained
    inside = tmp_path / "pictures"
    inside.mkdir()
    (tmp_path / "nothing").mkdir()
    for name in (b"caf\xe9.png", b"good.jfif", b"good.tif"):
        picture = image.fromarray(data.load("digits").test.images[0][:, :, 0])
        picture.save(inside / os.fsdecode(name), format="JPEG" if name.endswith(b"jfif") else None)
    (inside / "broken.png").write_bytes(b"no picture")
    (inside / "empty.png").write_bytes(b"")
    (inside / "notes.txt").write_text("x")
    (inside / "gone.png").symlink_to(inside / "nowhere")
    os.mkfifo(inside / "waits.png")
    for form in ("csv", "json", "text"):
        words = ("predict", "run", tmp_path / "nothing", inside, "--format", form, "--out", tmp_path / "answers")
        done = xpcnn_command(*words, cwd=folder)
        assert done.returncode == 2
        answers = (tmp_path / "answers").read_text(encoding="utf-8")
        assert all(
            name in answers
            for name in (r"caf\udce9.png" if form == "json" else r"caf\xe9.png", "good.jfif", "good.tif")
        )
        assert "broken" not in answers
        told = done.stderr.splitlines()
        assert len(told) == 5
        assert "2 files are no picture and passed over (1 of .txt, 1 of .png)" in done.stderr
        for name in ("nothing", "broken.png", "empty.png", "gone.png"):
            assert sum(name in line for line in told) == 1


def test_several_labels_have_a_probability_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = Sequential(Flatten(), Linear(4, 3, rng=0))
    model[1].weight[...], model[1].bias[...] = 0.0, np.array([0.0, 2.0, -1.0])
    save_best(tmp_path, model, (2, 2, 1), ("cat", "dog", "sun"), criterion=BCEWithLogitsLoss())
    np.save(tmp_path / "a.npy", np.zeros((2, 2), np.uint8))
    for more, expected in (
        ((), "a.npy\tdog\t0.8808\tcat\t0.5000\tsun\t0.2689\n"),
        (("--top-k", "1"), "a.npy\tdog\t0.8808\n"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["predict", ".", "a.npy", *more])
        assert (end.value.code, capsys.readouterr().out) == (0, expected)
