"""Names of classes and files are foreign text: no command prints a character that a terminal obeys."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from xpcnn import cli
from xpcnn.io.model_file import save_model
from xpcnn.nn import Flatten, Linear, Sequential

CLASSES = ["a\x1b[2J\x1b]0;mine\x07", "b\nc\r  d", "e\x9b31m\u202e\U000e0041", 'q"uote, and $x$']
SHOWN = ["a�[2J�]0;mine�", "b�c�  d", "e�31m��", 'q"uote, and $x$']


@pytest.fixture(params=["plain", "hostile"])
def folder(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    model = Sequential(Flatten(), Linear(4, 4, rng=0))
    save_model(model, tmp_path / "m.safetensors", input_shape=(2, 2, 1), classes=CLASSES)
    name = "image.npy" if request.param == "plain" else "im\x1b[31mage\udcff\u202e.npy"
    np.save(tmp_path / name, np.arange(252, 256, dtype=np.uint8).reshape(2, 2))
    np.savez(
        tmp_path / "d.npz",
        images=np.zeros((20, 2, 2), "uint8"), labels=np.arange(20) % 4, classes=np.array(CLASSES),
    )  # fmt: skip
    return name


def said(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    output, errors = capsys.readouterr()
    assert ended.value.code == 0, errors
    for line in (output + errors).split("\n"):
        assert line.replace("\t", "").isprintable(), line
    output.encode()
    return output


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_predict(folder, tmp_path, capsys, form):
    words = ("predict", "m.safetensors", folder, "--top-k", "4", "--format", form)
    output = said(capsys, *words)
    assert said(capsys, *words, "--out", "answers") == ""
    assert (tmp_path / "answers").read_text() == output
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(output)))
        assert sorted(row["class"] for row in rows) == sorted(SHOWN)  # with its spaces, as a spreadsheet reads it
    if form == "json":  # all of it, for programs
        (answer,) = json.loads(output)
        assert answer["file"] == folder
        assert sorted(each["class"] for each in answer["predictions"]) == sorted(CLASSES)


def test_tables(folder, tmp_path, capsys):
    said(capsys, "summary", "m.safetensors")
    assert "a�[2J" in said(capsys, "eval", "m.safetensors", "d.npz")
    assert "a�[2J" in said(capsys, "data", "show", "d.npz")
    said(capsys, "export", "m.safetensors", folder.replace(".npy", ".onnx"))


def test_explain(folder, tmp_path, capsys):
    for words in ([], ["--target", "0"], ["--html", folder.replace(".npy", ".html")]):
        said(capsys, "explain", "m.safetensors", "1", folder, *words)
    said(capsys, "explain", "m.safetensors", "loss", folder)
    page = (tmp_path / folder.replace(".npy", ".html")).read_text()
    assert all(line.isprintable() for line in page.split("\n"))


def test_pictures(folder, tmp_path, capsys, monkeypatch):
    from xpcnn import plot

    drawn, save = [], plot.save
    monkeypatch.setattr(plot, "save", lambda figure, path: drawn.append(figure) or save(figure, path))
    path = folder.replace(".npy", ".svg")
    said(capsys, "plot", "confusion", "m.safetensors", "d.npz", "--out", path)
    said(capsys, "plot", "wrong", "m.safetensors", "d.npz", "--out", path)
    said(capsys, "plot", "batch", "d.npz", "--out", path)
    said(capsys, "plot", "saliency", "m.safetensors", folder, "--target", "0", "--out", path)
    for figure in drawn:
        for text in figure.findobj(lambda artist: hasattr(artist, "get_text")):
            assert text.get_text().replace("\n", "").isprintable()
