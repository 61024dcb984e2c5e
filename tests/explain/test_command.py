"""`xpcnn explain` as a user meets it: a saved model, a layer, an image; a text or a page; one line for a wrong turn."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from xpcnn import data, nn, seed, use_backend
from xpcnn.cli import main
from xpcnn.explain import explain, text
from xpcnn.io.model_file import load_model, save_model
from xpcnn.training.best_model import save_best
from xpcnn.training.config import RunConfig
from xpcnn.training.run import start

NAMES = ["one <b>", "two", "three"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    with use_backend("numpy"):
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 3, rng=1)
        )
        save_model(model, folder / "model.safetensors", input_shape=(4, 4, 1), classes=NAMES)
    rng = np.random.default_rng(0)
    np.save(folder / "image.npy", rng.integers(0, 256, (4, 4), dtype="uint8"))
    np.save(folder / "more.npy", rng.integers(0, 256, (5, 4, 4), dtype="uint8"))
    np.save(folder / "shape.npy", np.zeros((3, 3), "uint8"))
    return folder


@pytest.fixture
def command(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XPCNN_BACKEND", "numpy")

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main(["explain", *map(str, words)])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_the_text_is_that_of_the_explanation(command, folder):
    code, out, _ = command(".", "0", "image.npy", "--target", "two", "--at", "1,0,1", "--precision", "3")
    assert code == 0
    image = np.load(folder / "image.npy").astype("float32")[None, :, :, None] / np.float32(255)
    seed(0)  # the same mask of dropout
    saved = load_model(folder / "model.safetensors")
    assert out == text(explain(saved.model, "0", image, target=1, at=(1, 0, 1), classes=NAMES), precision=3) + "\n"
    assert "   y[0,1,0,1] = b[1] + x̂[0,1,0,0]·w[1,0,0,0]" in out
    assert "Probability of the target 1 (two)" in out


def test_the_same_words_say_the_same_even_with_dropout(command):
    first, second = (command("model.safetensors", "2", "image.npy")[1] for _ in range(2))
    assert first == second
    assert "keep / (1 − p), p = 0.5" in first


def test_the_page_is_written_whole(command, folder):
    code, out, _ = command("model.safetensors", "4", "image.npy", "--html", "page.html")
    assert (code, out) == (0, "page.html: Linear(in_features=8, out_features=3, bias=True), 4 steps\n")
    page = (folder / "page.html").read_text("utf-8")
    assert "<title>Linear 4 of model.safetensors: image.npy: every gradient</title>" in page
    assert 'alt="the input image" src="data:image/png;base64,' in page


def test_without_a_layer_the_page_is_a_training_step_of_the_whole_network(command, folder):
    code, out, _ = command("model.safetensors", "image.npy", "--target", "two", "--html", "step.html")
    assert code == 0
    assert re.fullmatch(r"step\.html: a training step of 5 layers, 33 stops, loss [\d.]+ → [\d.]+\n", out)
    page = (folder / "step.html").read_text("utf-8")
    assert "<title>A training step of model.safetensors: image.npy</title>" in page
    assert "plain gradient descent shows the update" in page
    assert "Probability of the target 1 (two)" in page
    _, again, _ = command("model.safetensors", "image.npy", "--target", "two", "--html", "step.html")
    assert again == out  # the same mask of dropout, and nothing is kept of the step


@pytest.mark.parametrize("place", range(4))
def test_options_may_stand_anywhere(command, place):
    words = [".", "0", "image.npy"]
    words[place:place] = ["--html", "anywhere.html"]
    assert command(*words)[:2] == (0, command(".", "0", "image.npy", "--html", "anywhere.html")[1])


def test_of_a_run_the_step_has_its_optimizer_and_its_kept_models(command, folder):
    start(
        RunConfig(model="mnist_cnn", epochs=1, batch_size=512, optimizer="sgd", lr=0.02, keep_every=1), folder / "run"
    )
    np.save(folder / "digit.npy", data.digits().test.images[0])
    assert command("run", "digit.npy", "--html", "run.html", "--epochs")[0] == 0
    page = (folder / "run.html").read_text("utf-8")
    assert "Optimizer: SGD(8 parameters, lr=0.02, momentum=0.9, nesterov=True" in " ".join(page.split())
    assert page.count('<div class="epoch">') == 2
    assert page.count('<img alt="" src="data:image/png') == 2 * 2 * 2  # epochs, convolutions, filters and features
    assert "<b>Epoch 0</b>: the network says " in page


def test_a_class_may_be_named_or_numbered(command):
    by_name, by_number = (command(".", "loss", "image.npy", "--target", word)[1] for word in (NAMES[0], "0"))
    assert by_name == by_number
    assert "target 0 (one <b>)" in by_name


def test_a_batch_goes_through_with_the_image(command):
    _, alone, _ = command(".", "1", "image.npy")
    _, among, _ = command(".", "1", "image.npy", "--batch", "more.npy")
    assert "Mean and variance are those of this one item" in " ".join(alone.split())
    assert "Mean and variance are those of this batch of 6" in " ".join(among.split())
    assert "the mean over the 4 numbers" in alone
    assert "the mean over the 24 numbers" in among


def test_dark_ink_on_light_paper(command, folder):
    np.save(folder / "inverse.npy", 255 - np.load(folder / "image.npy"))
    _, plain, _ = command(".", "3", "image.npy")
    _, inverted, _ = command(".", "3", "inverse.npy", "--invert")
    assert plain.splitlines()[:6] == inverted.splitlines()[:6]


def test_where_symbols_cannot_be_written_the_rest_is(command, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert command(".", "0", "image.npy")[0] == 0
    assert b"Forward: a patch of the input times a filter" in written.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((".", "9", "image.npy"), "0 Conv2d, 1 BatchNorm2d, 2 Dropout, 3 Flatten, 4 Linear, or loss, got '9'"),
        ((".", "0", "nowhere.npy"), "nowhere.npy: expected a picture or a .npy array"),
        ((".", "0", "shape.npy"), "shape.npy: expected images (4, 4, 1)"),
        ((".", "0", "more.npy"), "more.npy: expected one image, got 5 of them; save one"),
        (("nowhere", "0", "image.npy"), "nowhere"),
        ((".", "0", "image.npy", "--target", "four"), "--target: expected a class: one <b>, two, three, got 'four'"),
        ((".", "0", "image.npy", "--target", "3"), "expected target 0 … 2, got 3"),
        ((".", "0", "image.npy", "--at", "0,9,0"), "an element of the layer's output (2, 2, 2), got (0, 9, 0)"),
        ((".", "0", "image.npy", "--at", "x"), "expected indices from 0, such as 2,3,0"),
        ((".", "0", "image.npy", "--precision", "0"), "--precision: expected digits"),
        ((".", "0", "image.npy", "--precision", "16"), "--precision: expected digits"),
        ((".", "0", "image.npy", "--html", "nowhere/page.html"), "page.html"),
        ((".", "0", "image.npy", "--batch", "shape.npy"), "shape.npy: expected images (4, 4, 1)"),
        ((".", "image.npy"), "expected a layer, or --html FILE for the whole network, got neither"),
        ((".", "image.npy", "--html", "a.html", "--at", "0,0,0"), "--at: expected a layer whose output it is in"),
        ((".", "image.npy", "--html", "a.html", "--epochs"), "expected models of two epochs or more, got 0"),
        ((".", "0", "image.npy", "--html", "a.html", "--epochs"), "--epochs: expected no layer"),
    ],
)
def test_every_wrong_turn_is_one_line_and_status_2(command, folder, words, said):
    before = sorted(folder.iterdir())
    code, out, error = command(*words)
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_model_of_values_has_no_cross_entropy(command, folder):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, rng=0))
    (folder / "values").mkdir()
    save_best(folder / "values", model, (4, 4, 1), (), criterion=nn.MSELoss())
    code, out, said = command("values", "1", "image.npy")
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert "expected a model of classes, for the cross-entropy, got values, which gives values" in said
