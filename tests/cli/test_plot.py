"""`xpcnn plot` as a user meets it: a file for every kind of picture, its name printed, one line for a wrong turn."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import xpcnn
from xpcnn.cli import main
from xpcnn.data import Parts, Split, digits
from xpcnn.io import save_model
from xpcnn.models import build
from xpcnn.nn import Flatten, Linear, Sequential
from xpcnn.training.history import Epoch, write_csv

NAMES = [*"0123456789"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder, without the training: what `plot` reads are its files."""
    folder = tmp_path_factory.mktemp("plot")
    (folder / "run").mkdir()
    model = build("mnist_cnn", (8, 8, 1), 10, rng=0)
    save_model(model, folder / "run" / "model.safetensors", input_shape=(8, 8, 1), classes=NAMES)
    write_csv(folder / "run" / "history.csv", [Epoch(1, 0.1, 2.0, 0.3, 1.8, 0.4, 5.0)])
    np.save(folder / "images.npy", digits().test.images[:3])
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def xpcnn_command(capsys, *words):
    """Status, standard output and standard error, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


KINDS = [
    ("curves", "run"),
    ("filters", "run"),
    ("filters", "run/model.safetensors", "--layer", "3"),
    ("features", "run", "images.npy", "--layer", "4"),
    ("saliency", "run", "images.npy", "--index", "2", "--target", "9"),
    ("gradcam", "run", "images.npy", "--target", "3", "--invert"),
    ("gradcam", "run", "images.npy", "--layer", "0"),
    ("confusion", "run", "digits"),
    ("wrong", "run", "digits", "-n", "3"),
    ("batch", "digits", "-n", "4"),
    ("batch", "digits", "-n", "4", "--augment", "shift:1,mixup:0.5"),
]


@pytest.mark.parametrize("words", KINDS, ids=" ".join)
def test_every_kind_writes_a_picture_and_says_where(here, capsys, words):
    name = f"{words[0]}.png"
    assert xpcnn_command(capsys, "plot", *words) == (0, f"{name}\n", "")
    assert (here / name).read_bytes().startswith(b"\x89PNG")


def test_only_a_file_that_is_named_is_overwritten(here, capsys):
    for name in ("curves.png", "curves-2.png", "curves-3.png"):
        assert xpcnn_command(capsys, "plot", "curves", "run") == (0, f"{name}\n", "")
    (here / "own.svg").write_text("old")
    assert xpcnn_command(capsys, "plot", "curves", "run", "--out", "own.svg") == (0, "own.svg\n", "")
    assert b"<svg" in (here / "own.svg").read_bytes()


@pytest.fixture
def drawn(monkeypatch):
    """The arguments that reach the functions of `xpcnn.plot`."""
    calls = {}

    def keep(name):
        real = getattr(xpcnn.plot, name)

        def kept(*arguments, **options):
            calls[name] = (arguments, options)
            return real(*arguments, **options)

        monkeypatch.setattr(xpcnn.plot, name, kept)

    for name in ("feature_maps", "saliency", "grad_cam", "confusion", "most_wrong", "batch"):
        keep(name)
    return calls


def test_options_reach_the_picture(here, capsys, drawn):
    pixels = digits().test.images[:3].astype("float32") / np.float32(255)
    xpcnn_command(capsys, "plot", "saliency", "run", "images.npy", "--index", "2", "--target", "9")
    (_, image, target), options = drawn["saliency"]
    np.testing.assert_array_equal(xpcnn.to_numpy(image), pixels[2])
    assert (target, options["classes"]) == (9, tuple(NAMES))
    xpcnn_command(capsys, "plot", "gradcam", "run", "images.npy", "--target", "3", "--invert", "--layer", "0")
    (_, image, target, layer), _ = drawn["grad_cam"]
    np.testing.assert_array_equal(xpcnn.to_numpy(image), 1 - pixels[0])
    assert (target, layer) == (3, "0")
    xpcnn_command(capsys, "plot", "features", "run", "images.npy", "--layer", "4")
    assert drawn["feature_maps"][0][2] == "4"
    xpcnn_command(capsys, "plot", "wrong", "run", "digits", "-n", "3")
    (_, split), options = drawn["most_wrong"]
    assert (len(split), options) == (360, {"classes": tuple(NAMES), "n": 3, "batch_size": 256})
    xpcnn_command(capsys, "plot", "confusion", "run", "digits")
    assert drawn["confusion"][0][0].sum() == 360
    batches = []
    for seed in (0, 0, 1):
        xpcnn_command(capsys, "plot", "batch", "digits", "-n", "4", "--seed", seed)
        batches.append(xpcnn.to_numpy(drawn["batch"][0][0]))
    assert batches[0].shape == (4, 8, 8, 1)
    assert (batches[0] == batches[1]).all()
    assert (batches[0] != batches[2]).any()
    xpcnn_command(capsys, "plot", "batch", "digits", "-n", "4", "--augment", "flip,mixup:0.5")
    (x, y), _ = drawn["batch"]
    assert (xpcnn.to_numpy(x) != batches[0]).any()
    assert y.shape == (4, 10)  # probabilities of the classes


@pytest.mark.parametrize(("outputs", "names"), [(10, tuple(NAMES)), (12, ())])
def test_a_confusion_has_the_data_set_s_names_where_there_are_as_many(here, capsys, drawn, outputs, names):
    save_model(Sequential(Flatten(), Linear(64, outputs, rng=0)), here / "own.safetensors", input_shape=(8, 8, 1))
    assert xpcnn_command(capsys, "plot", "confusion", "own.safetensors", "digits")[0] == 0
    (counts,), options = drawn["confusion"]
    assert (len(counts), options["classes"]) == (outputs, names)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "the following arguments are required: KIND"),
        (("portrait",), "invalid choice: 'portrait'"),
        (("curves", "nowhere"), "nowhere/history.csv: expected a run's history, got No such file"),
        (("filters", "nowhere"), "nowhere"),
        (
            ("filters", "run", "--layer", "1"),
            "the network's Conv2d layers: 0 Conv2d, 3 Conv2d, got '1'",
        ),
        (("filters", "run", "--out", "a.gif"), "a file that ends in .png, .svg, .pdf, got a.gif"),
        (("filters", "run", "--out", "nowhere/a.png"), "nowhere/a.png: expected to write the file"),
        (("filters", "other.safetensors"), "filters: expected a network with a Conv2d, got none"),
        (("gradcam", "run", "nowhere.png"), "nowhere.png: expected a picture or a .npy array"),
        (("gradcam", "run", "images.npy", "--index", "3"), "images.npy: expected an image number 3, got fewer"),
        (
            ("gradcam", "run", "images.npy", "--index", "-1"),
            "number of an image: an integer ≥ 0, got -1",
        ),
        (("gradcam", "run", "images.npy", "--target", "cat"), "--target: expected a class: 0, 1, 2"),
        (("gradcam", "run", "images.npy", "--target", "10"), "expected an output 0 … 9, got 10"),
        (("gradcam", "run", "images.npy", "--layer", "conv"), "one of the network's layers: 0 Conv2d, 1 ReLU"),
        (("confusion", "run", "imagenet"), "digits"),
        (("confusion", "other.safetensors", "digits"), "expected images (2, 2, 1), got digits's (8, 8, 1)"),
        (("wrong", "run", "digits", "-n", "0"), "n: an integer ≥ 1, got 0"),
        (("batch", "digits", "-n", "0"), "batch_size: an integer ≥ 1, got 0"),
        (("batch", "digits", "--augment", "flip,spin"), "augment: expected words among flip"),
        (("batch", "digits", "--seed", "-1"), "seed: an integer ≥ 0, got -1"),
    ],
)
def test_every_wrong_turn_is_one_line_and_status_2(here, capsys, words, text):
    save_model(Sequential(Flatten(), Linear(4, 2, rng=0)), here / "other.safetensors", input_shape=(2, 2, 1))
    before = sorted(path.name for path in here.iterdir())
    status, output, errors = xpcnn_command(capsys, "plot", *words)
    assert (status, output) == (2, "")
    assert text in errors
    assert errors.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == before


def test_a_regression_has_no_classes_to_confuse(here, capsys, monkeypatch):
    split = Split(digits().test.images, np.zeros(360, np.float32))
    heights = Parts("heights", "heights", split, split, ())
    monkeypatch.setattr("xpcnn.data.load", lambda name: heights.dataset())
    monkeypatch.setattr("xpcnn.data.load_parts", lambda name: heights)
    for kind in ("confusion", "wrong"):
        status, _, errors = xpcnn_command(capsys, "plot", kind, "run", "heights")
        assert (status, errors.count("\n")) == (2, 1)
        assert "heights: expected labels that are classes, as the model gives, got values" in errors
    assert xpcnn_command(capsys, "plot", "batch", "heights") == (0, "batch.png\n", "")


def test_without_matplotlib_nothing_is_worked_out_first(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, _, errors = xpcnn_command(capsys, "plot", "confusion", "nowhere", "digits")
    assert status == 2
    assert "xpcnn[plot]" in errors
