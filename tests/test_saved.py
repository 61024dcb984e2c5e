"""`xpcnn.load(path)` answers for pictures, paths, arrays and lists of them as `xpcnn predict` does."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.cli import main
from xpcnn.errors import DataError, FileError, NonFiniteError, OptionError, XpcnnWarning
from xpcnn.io import save_model
from xpcnn.nn import features

SHAPE, CLASSES = (5, 6, 3), ("cat", "dog", "owl", "pig")


@pytest.fixture
def run(tmp_path, rng):
    """The folder of a run, and pictures: one of the model's size, one larger, and a folder of two."""
    image = pytest.importorskip("PIL.Image")
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(4, 4, rng=1))
    (tmp_path / "run").mkdir()
    save_model(model, tmp_path / "run/model.safetensors", input_shape=SHAPE, classes=CLASSES)
    (tmp_path / "both").mkdir()
    for name, size in (("a.png", SHAPE), ("both/b.png", (20, 31, 3)), ("both/c.png", (7, 5, 3))):
        image.fromarray(rng.integers(0, 256, size, np.uint8)).save(tmp_path / name)
    return tmp_path


def scores(answers):
    return [dict(each.scores) for each in answers]


def test_one_line_gives_names_and_probabilities(run):
    saved = xpcnn.load(run / "run")
    (answer,) = saved.predict(run / "a.png")
    assert answer.name == str(run / "a.png")
    assert {label for label, _ in answer.scores} == set(CLASSES)
    found = [probability for _, probability in answer.scores]
    assert found == sorted(found, reverse=True)
    assert sum(found) == pytest.approx(1, abs=1e-5)
    assert (answer.label, answer.probability) == answer.scores[0]
    assert len(saved.predict(run / "a.png", top_k=2)[0].scores) == 2


def test_every_form_of_a_picture_gives_the_same_numbers(run):
    from PIL import Image

    saved = xpcnn.load(run / "run/model.safetensors")
    with Image.open(run / "a.png") as opened:
        picture = opened.copy()
    pixels = np.asarray(picture)
    np.save(run / "one.npy", pixels)
    np.save(run / "two.npy", np.stack([pixels, pixels[::-1]]))
    expected = scores(saved.predict(run / "a.png"))
    data = (run / "a.png").read_bytes()
    for same in (str(run / "a.png"), data, picture, pixels, pixels[None], pixels / 255, run / "one.npy", [pixels]):
        assert scores(saved.predict(same)) == [pytest.approx(expected[0], abs=1e-6)]
    assert scores(saved.predict(255 - pixels, invert=True)) == [pytest.approx(expected[0], abs=1e-6)]
    assert scores(saved.predict(pixels * 2.0, scale=510)) == [pytest.approx(expected[0], abs=1e-6)]
    several = saved.predict([pixels, run / "two.npy", picture])
    assert [each.name for each in several] == ["0", f"{run}/two.npy[0]", f"{run}/two.npy[1]", "2"]
    assert scores(several)[3] == pytest.approx(expected[0], abs=1e-6)
    with Image.open(run / "both/b.png") as larger:  # resized as a file is
        assert scores(saved.predict(larger.convert("CMYK").convert("RGB"))) == scores(saved.predict(run / "both/b.png"))
    assert [each.name for each in saved.predict(run / "both")] == [f"{run}/both/b.png", f"{run}/both/c.png"]


def test_networks_of_rows_and_sequences_take_arrays_and_no_pictures(run, tmp_path):
    for model, shape in ((nn.Linear(4, 2, rng=0), (4,)), (nn.Conv1d(3, 2, 2, rng=0), (5, 3))):
        save_model(model, tmp_path / "m", input_shape=shape, extra={"unit": False, "scale": 1, "regression": True})
        saved, x = xpcnn.load(tmp_path / "m"), np.random.default_rng(0).normal(size=(3, *shape)).astype("f4")
        np.testing.assert_allclose(saved.outputs(x), model(x), rtol=1e-6)
        np.testing.assert_allclose(saved.outputs(x[0]), model(x[:1]), rtol=1e-6)
        with pytest.raises(DataError, match=r"a.png: expected an array \(.*\), which the model takes, got a picture"):
            saved.predict(run / "a.png")


def test_outputs_are_what_answers_are_made_of_and_those_of_each_pixel(run, tmp_path):
    saved = xpcnn.load(run / "run")
    batch = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    for row, answer in zip(saved.outputs(batch), saved.predict(batch), strict=True):
        assert answer.scores == tuple((CLASSES[i], row[i]) for i in np.argsort(-row))
    model = nn.Conv2d(3, 4, 1, rng=0)
    for extra in ({}, {"regression": True}):
        save_model(model, tmp_path / "m", input_shape=SHAPE, extra=extra)
        y = model((batch / 255).astype(np.float32))
        e = np.exp(y - y.max(axis=-1, keepdims=True))
        expected = y if extra else e / e.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(xpcnn.load(tmp_path / "m").outputs(list(batch)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [[], ["--invert"], ["--scale", "255"]])
@pytest.mark.filterwarnings("ignore::xpcnn.errors.XpcnnWarning")
def test_the_command_gives_the_same_answers(run, capsys, options):
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(run / "run"), str(run / "both"), "--format", "csv", "--top-k", "4", *options])
    assert not ended.value.code
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
    asked = {"invert": True} if "--invert" in options else {"scale": 255} if options else {}
    answers = xpcnn.load(run / "run").predict(run / "both", **asked)
    said = [(each.name, label, f"{number:.6g}") for each in answers for label, number in each.scores]
    assert [(name, label, number) for name, _, label, number in rows] == said


def test_features_of_pictures_by_the_layers_name(run):
    saved = xpcnn.load(run / "run")
    found = saved.features([run / "a.png", run / "both"], "2", batch_size=2)
    assert found.shape == (3, 4)
    x = xpcnn.asarray(np.stack([image for _, image in saved.images(run / "a.png")]))
    np.testing.assert_allclose(found[:1], features(saved.model, x, "2"), rtol=1e-6)
    with pytest.raises(OptionError, match=r"layers: 0 Conv2d, 1 ReLU, .*got 'avgpool'"):
        saved.features(run / "a.png", "avgpool")


def test_numbers_of_a_regression_and_of_other_scales(tmp_path, rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, rng=0))
    extra = {"regression": True, "scale": 16}
    save_model(model, tmp_path / "m", input_shape=(2, 3, 2), extra=extra)
    saved = xpcnn.load(tmp_path / "m")
    x = rng.integers(0, 17, (3, 2, 3, 2))
    expected = xpcnn.to_numpy(model(xpcnn.asarray((x / 16).astype("f4"))))
    for each, row in zip(saved.predict(x), expected, strict=True):
        assert each.scores == (("0", pytest.approx(row[0], rel=1e-5)), ("1", pytest.approx(row[1], rel=1e-5)))
    np.testing.assert_allclose(saved.features(x.astype("u1"), 0)[0], x[0].ravel() / 16, rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "error", "text"),
    [
        (np.zeros((2, 6, 5, 3)), DataError, r"images \(5, 6, 3\), or a batch of them, got \(2, 6, 5, 3\)"),
        (np.full(SHAPE, np.nan), DataError, "finite"),
        (3, OptionError, "pictures, paths or arrays, got int"),
        ([[1, 2]], OptionError, "pictures, paths or arrays, got int"),
        ("none.png", DataError, "none.png: expected a picture or a .npy array, got no such file"),
        ("run", DataError, "pictures in .*run, got none"),
    ],
)
@pytest.mark.filterwarnings("ignore::xpcnn.errors.XpcnnWarning")
def test_what_is_no_image(run, images, error, text):
    images = run / images if isinstance(images, str) else images
    with pytest.raises(error, match=text) as caught:
        xpcnn.load(run / "run").predict(images)
    assert "\n" not in str(caught.value)


def test_networks_that_give_something_else(tmp_path):
    x = np.zeros((4, 4, 1), np.float32)
    both = nn.Graph({"a": (nn.Flatten(), "x"), "b": (nn.Flatten(), "x")}, outputs=("a", "b"))
    for model, error, text in (
        (nn.Conv2d(1, 2, 3), OptionError, r"outputs \(N, K\), got outputs \(N, 2, 2, 2\); saved.masks gives"),
        (both, OptionError, "several outputs"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), NonFiniteError, "finite numbers for 0"),
    ):
        if error is NonFiniteError:
            model[1].bias[0] = np.nan
        save_model(model, tmp_path / "m", input_shape=x.shape)
        with pytest.raises(error, match=text):
            xpcnn.load(tmp_path / "m").predict(x)
    with pytest.raises(FileError, match="a readable file"):
        xpcnn.load(tmp_path / "none")


def test_pixels_that_do_not_look_like_those_of_the_training_are_warned_of(run):
    with pytest.warns(XpcnnWarning, match=r"the largest number is 15; pass scale= \(to a command, --scale\)"):
        xpcnn.load(run / "run").predict(np.full(SHAPE, 15, np.uint8))
