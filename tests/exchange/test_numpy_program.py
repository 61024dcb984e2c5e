"""A network as a program gives the same numbers where xpcnn cannot be imported: every layer, joins, the named networks.

And its `predict` gives what `xpcnn.load(…).predict` does; names from a file do no harm in it, and nothing else's file
is written over.
"""

from __future__ import annotations

import runpy
import subprocess
import sys

import numpy as np
import pytest

import xpcnn
from xpcnn import models, nn, to_numpy
from xpcnn.cli import main
from xpcnn.errors import OptionError, ShapeError
from xpcnn.exchange import export_numpy
from xpcnn.io import save_model
from xpcnn.nn.layer_examples import EXAMPLES

from ..cli.command import xpcnn_command
from ..models.shapes import SMALLEST

# A program without xpcnn, in which a warning is an error. It prints the names of the programs that are wrong.
CHILD = """
import pathlib, runpy, sys
import numpy as np
sys.modules["xpcnn"] = None
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    case = np.load(path.with_suffix(".case.npz"))
    network = runpy.run_path(str(path))["network"]
    found = network(*(case[name] for name in sorted(case) if name.startswith("x")))
    for i, y in enumerate(found if isinstance(found, tuple) else (found,)):
        want = case[f"y{i}"]
        size = max(1, np.abs(want).max())
        if y.dtype != want.dtype or y.shape != want.shape or not np.allclose(y, want, rtol=1e-5, atol=1e-5 * size):
            print(path.stem, y.dtype, y.shape, np.abs(y - want).max() if y.shape == want.shape else want.shape)
assert sys.modules["xpcnn"] is None
"""


class Own(nn.Layer):
    def forward(self, x):
        return x, None

    def backward(self, dy, cache, *, input_grad=True):
        return dy, {}


class Composed(Own):
    def composed(self):
        return nn.Power(1.0)


def graph(*names, outputs=None):
    """A graph of two inputs, whose entries have these names."""
    one, two, three = names
    entries = {one: (nn.Linear(4, 4, rng=0), "p"), two: (nn.Minimum(), one, "q", "p"), three: (nn.Subtract(), two, one)}
    return nn.Graph(entries, inputs=("p", "q"), outputs=outputs)


IMAGES = (2, 7, 6, 4)


def options():
    shared = nn.PReLU(1)
    return {
        "ceil": (nn.MaxPool2d(3, stride=2, ceil_mode=True), IMAGES),
        "ceil_avg": (nn.AvgPool2d((2, 3), stride=(3, 2), padding=1, ceil_mode=True), IMAGES),
        "dilated_max": (nn.MaxPool2d((3, 2), stride=1, dilation=2, padding=(1, 0)), IMAGES),
        "same": (nn.Conv2d(4, 3, (2, 3), stride=2, padding="same", bias=False, rng=0), IMAGES),
        "dilated": (nn.Conv2d(4, 3, 2, dilation=(2, 3), padding=1, rng=0), IMAGES),
        "depthwise": (nn.Conv2d(4, 4, 3, stride=(1, 2), dilation=(2, 1), padding=2, groups=4, rng=0), IMAGES),
        "multiplied": (nn.Conv2d(4, 8, 3, groups=4, rng=0), IMAGES),
        "transposed": (
            nn.ConvTranspose2d(4, 6, 3, stride=3, padding=(2, 0, 1, 0), output_padding=2, dilation=2, groups=2, rng=0),
            IMAGES,
        ),
        "depthwise1d": (nn.Conv1d(4, 4, 3, groups=4, bias=False, rng=0), (2, 9, 4)),
        "one_bin": (nn.AdaptiveAvgPool2d(1), IMAGES),
        "bilinear": (nn.Upsample(1.7, mode="bilinear"), IMAGES),
        "corners": (nn.Upsample(size=(9, 11), mode="bilinear", align_corners=True), IMAGES),
        "lines": (nn.Linear(4, 3, bias=False, rng=0), IMAGES),
        "tanh": (nn.GELU("tanh"), IMAGES),
        "above": (nn.Clip(min=0.25), IMAGES),
        "slopes": (nn.PReLU(1), IMAGES),
        "plain": (nn.LayerNorm(4, elementwise_affine=False), IMAGES),
        "backwards": (nn.Slice(0, 3, axis=-3), IMAGES),
        "many": (nn.Normalize(range(6), range(1, 7)), (3, 6)),
        "even": (nn.LocalResponseNorm(4, alpha=2.0), IMAGES),
        "twice": (nn.Sequential(shared, nn.BatchNorm2d(4, affine=False), shared), IMAGES),
        "within": (nn.Sequential(nn.Residual(nn.Sequential(nn.Dropout(0.5)), nn.ReLU()), nn.Sequential()), IMAGES),
        "stands_for": (type("Block", (nn.Sequential,), {})(nn.Linear(4, 2, rng=0), Composed()), (3, 4)),
    }


@pytest.fixture
def wrong(tmp_path):
    """A function that makes programs of {name: (network, inputs)}, and gives what the child prints about them."""

    def find(cases):
        for name, (model, xs) in cases.items():
            xs = [np.asarray(x, np.float32) for x in xs]
            ys = model(tuple(xs) if len(xs) > 1 else xs[0])
            ys = [to_numpy(y) for y in (ys if isinstance(ys, tuple) else (ys,))]
            shapes = [x.shape[1:] for x in xs]
            export_numpy(model, tmp_path / f"{name}.py", input_shape=shapes if len(xs) > 1 else shapes[0])
            arrays = {f"x{i}": x for i, x in enumerate(xs)} | {f"y{i}": y for i, y in enumerate(ys)}
            np.savez(tmp_path / f"{name}.case.npz", **arrays)
            assert max(map(len, (tmp_path / f"{name}.py").read_text().splitlines())) <= 200
        words = [sys.executable, "-I", "-W", "error", "-c", CHILD, str(tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert not done.stderr
        return done.stdout

    return find


def test_every_layer_every_option_and_graphs_of_several_inputs(wrong):
    rng = np.random.default_rng(3)
    cases = {name: (model, [x]) for name, (model, x) in ((name, make()) for name, make in EXAMPLES.items())}
    for name, (model, shape) in options().items():
        cases[name] = (model, [rng.normal(size=shape)])
    two = [rng.normal(size=(3, 4)) for _ in range(2)]
    cases |= {"two": (graph("a", "b", "c"), two), "both": (graph("a", "b", "c", outputs=("c", "a")), two)}
    evil = ('"""', "x'];\n import os #", "{0}\\")
    cases["evil"] = (graph(*evil), two)
    assert not {type(make()[0]).__name__ for make in EXAMPLES.values()} - {*EXAMPLES} - {"Graph"}
    assert wrong(cases) == ""


LIGHT = ("lenet5", "resnet20", "mobilenet_v3_small", "shufflenet_v2_x1_0")


def named(name):
    side = SMALLEST[name]
    return models.MODELS[name]((side, side, 3), 3, rng=0), [np.random.default_rng(0).random((2, side, side, 3))]


def test_named_networks(wrong):
    assert wrong({name: named(name) for name in LIGHT}) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in models.MODELS if name not in LIGHT])
def test_the_other_named_networks(wrong, name):
    assert wrong({name: named(name)}) == ""


@pytest.fixture
def saved(tmp_path):
    save_model(models.lenet5((12, 12, 1), 3, rng=0), tmp_path / "m.safetensors", input_shape=(12, 12, 1), classes="abc")
    return xpcnn.load(tmp_path / "m.safetensors")


def test_the_command_writes_a_program_that_predicts_as_the_model_does(saved, tmp_path):
    done = xpcnn_command("export", "m.safetensors", "net.py", cwd=tmp_path)
    assert done.stdout == "net.py: a program of NumPy calls, with its weights in the .npz beside it\n", done.stderr
    predict = runpy.run_path(tmp_path / "net.py")["predict"]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 1), np.uint8)
    for given in (
        pixels,
        pixels[0],
        pixels[1, :, :, 0],
        pixels[..., 0],
        pixels / 255,
        pixels.astype("f4"),
        pixels > 99,
    ):
        for answer, expected in zip(predict(given), saved.predict(given), strict=True):
            assert [label for label, _ in answer] == [label for label, _ in expected.scores]
            np.testing.assert_allclose([p for _, p in answer], [p for _, p in expected.scores], atol=1e-6)
    for bad in (pixels[:, :11], pixels[:0], pixels * np.nan, pixels * 2.0, pixels - 1.0):
        with pytest.raises(ValueError, match="expected"):
            predict(bad)
    np.save(tmp_path / "one.npy", pixels[0])
    words = [sys.executable, "net.py", "one.npy"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    (best,) = saved.predict(pixels[0], top_k=1)
    assert done.stdout == f"{best.label}  {best.probability:.4f}\n"
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "small.npy", pixels[0, 1:])
    for name, said in (("", "usage: "), ("text.npy", "text.npy: "), ("no.npy", "no.npy: "), ("small.npy", "small")):
        words = [sys.executable, "net.py", *name.split()]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr[: len(said)], done.stderr.count("\n")) == (1, said, 1)


def test_a_network_of_float64(tmp_path):
    model = nn.Sequential(nn.Normalize([0.1], [0.3]), nn.Linear(1, 4, rng=0), nn.GELU()).astype("float64")
    export_numpy(model, tmp_path / "net.py", input_shape=(1,))
    x = np.linspace(-3, 3, 50)[:, None]
    np.testing.assert_allclose(runpy.run_path(tmp_path / "net.py")["network"](x), model(x), rtol=1e-12, atol=1e-15)


def test_the_command_says_what_an_onnx_graph_takes(saved, tmp_path, capsys):
    for extra, said in (({}, "in [0, 1]"), ({"scale": 1, "unit": False}, "as they are")):
        save_model(saved.model, tmp_path / "m.safetensors", input_shape=(12, 12, 1), extra=extra)
        with pytest.raises(SystemExit):
            main(["export", str(tmp_path / "m.safetensors"), str(tmp_path / "m.onnx")])
        assert f"float32 images {said} to the outputs" in capsys.readouterr().out


def test_classes_of_pixels(tmp_path):
    model, x = nn.Conv2d(1, 3, 1, rng=0), np.random.default_rng(0).random((2, 4, 4, 1), np.float32)
    save_model(model, tmp_path / "m.safetensors", input_shape=(4, 4, 1), classes="abc")
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "m.safetensors"), str(tmp_path / "net.py")])
    program = runpy.run_path(tmp_path / "net.py")
    assert program["CLASSES"] == list("abc")
    np.testing.assert_allclose(program["predict"](x), model(x), atol=1e-6)
    with pytest.raises(OptionError, match="a name for each of the 3 scores"):
        export_numpy(model, tmp_path / "net.py", input_shape=(4, 4, 1), classes="ab")


def test_several_labels(saved, tmp_path):
    extra = {"regression": True, "labels": True}
    save_model(saved.model, tmp_path / "m.safetensors", input_shape=(12, 12, 1), classes="abc", extra=extra)
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "m.safetensors"), str(tmp_path / "net.py")])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 1), np.uint8)
    (answer,) = runpy.run_path(tmp_path / "net.py")["predict"](pixels)
    (expected,) = xpcnn.load(tmp_path / "m.safetensors").predict(pixels)
    assert answer == [(label, pytest.approx(probability, abs=1e-6)) for label, probability in expected.scores]


@pytest.mark.filterwarnings("ignore::xpcnn.errors.XpcnnWarning")
def test_numbers_of_a_regression_and_scales(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, rng=0))
    x = np.random.default_rng(0).integers(0, 17, (3, 2, 2, 1))
    for extra in ({"scale": 16}, {"scale": 16, "unit": False}, {"scale": 65535}, {"scale": 1}):
        save_model(model, tmp_path / "m.safetensors", input_shape=(2, 2, 1), extra={"regression": True} | extra)
        loaded = xpcnn.load(tmp_path / "m.safetensors")
        given = (x * extra["scale"] // 16).astype(np.uint16 if extra["scale"] > 255 else np.uint8)
        export_numpy(
            model, tmp_path / "net.py", input_shape=(2, 2, 1), scale=loaded.scale, unit=loaded.is_unit, outputs="values"
        )
        expected = [[number for _, number in answer.scores] for answer in loaded.predict(given)]
        np.testing.assert_allclose(runpy.run_path(tmp_path / "net.py")["predict"](given), expected, atol=1e-6)


def test_what_cannot_be_written_is_refused_and_no_other_file_is_written_over(saved, tmp_path):
    with pytest.raises(OptionError, match=r"layer 1: export_numpy: expected layers of xpcnn.nn, got .*Own"):
        export_numpy(nn.Sequential(nn.ReLU(), Own()), tmp_path / "a.py", input_shape=(4,))
    for path, shape, error in (("a.txt", (4,), OptionError), ("a.py", (5,), ShapeError)):
        with pytest.raises(error):
            export_numpy(nn.Linear(4, 2), tmp_path / path, input_shape=shape)
    with pytest.raises(OptionError, match="a name for each of the 2 scores"):
        export_numpy(nn.Linear(4, 2), tmp_path / "a.py", input_shape=(4,), classes="abc")
    assert not list(tmp_path.glob("a.*"))
    (tmp_path / "work.py").write_text("print('mine')")
    np.savez(tmp_path / "data.npz", mine=1)
    for name in ("work", "data"):
        with pytest.raises(OptionError, match="one that is no network"):
            export_numpy(saved.model, tmp_path / f"{name}.py", input_shape=(12, 12, 1))
    assert (tmp_path / "work.py").read_text() == "print('mine')"
    assert not (tmp_path / "work.npz").exists()
    assert list(np.load(tmp_path / "data.npz")) == ["mine"]


def test_weights_of_another_network_are_noticed(tmp_path):
    for seed in (0, 1):
        export_numpy(nn.Linear(4, 2, rng=seed), tmp_path / f"net{seed}.py", input_shape=(4,), classes=('"\n', "'''"))
    assert runpy.run_path(tmp_path / "net1.py")["CLASSES"] == ['"\n', "'''"]
    (tmp_path / "net1.npz").replace(tmp_path / "net0.npz")
    with pytest.raises(ValueError, match="belong to another one"):
        runpy.run_path(tmp_path / "net0.py")
