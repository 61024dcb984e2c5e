"""`export_onnx` writes whole networks, names, properties and layouts, or a clear line and no file."""

from __future__ import annotations

import json
import os
import re
import sys

import numpy as np
import onnx
import pytest

import xpcnn
from xpcnn import models, nn
from xpcnn.errors import FileError, MissingExtraError, OptionError, ShapeError
from xpcnn.exchange import export_onnx, import_onnx
from xpcnn.exchange.onnx import export, layers
from xpcnn.io.known_layers import registry
from xpcnn.nn.layer_examples import EXAMPLES

from ...models.shapes import heavy_ones_slow, uneven
from .graphs import assert_near, compare, first, host, last, randomize, run

JOINS = {kind.__name__ for kind in export.JOINS}
CONTAINERS = {"Sequential", "Residual", "Concat", "Graph"} | JOINS


def exported(path, model, shape, **options):
    export_onnx(model, path, input_shape=shape, **options)
    return onnx.load(path)


def test_the_table_lists_every_layer_and_what_it_becomes(tmp_path):
    rows = re.findall(r"^    (\w+) {2,}(.+)$", layers.__doc__, re.MULTILINE)
    known = set(registry()) - {"OpLayer"}  # which is a base
    assert sorted(name for name, _ in rows) == sorted(known)
    assert {kind.__name__ for kind in layers.TRANSLATORS} == known - CONTAINERS
    for name, text in rows:
        for opset in (17, 20):
            graph = exported(tmp_path / "model.onnx", *sample(name), opset=opset).graph
            for node in graph.node:
                listed = name in CONTAINERS or node.op_type in ("Identity", "Gather") or node.op_type in text
                assert listed, f"{name} becomes {node.op_type}"


def sample(name):
    layer, x = EXAMPLES[name]()
    return layer, x.shape[1:]


@pytest.fixture
def narrow(monkeypatch):
    """VGG with a sixteenth of its channels, which is as deep and 256 times as small."""

    def narrowed(kind):
        return lambda *sizes, **options: kind(*(n // 16 if n % 16 == 0 else n for n in sizes), **options)

    for kind in (nn.Conv2d, nn.BatchNorm2d, nn.Linear):
        monkeypatch.setattr(sys.modules["xpcnn.models.vgg"], kind.__name__, narrowed(kind))


@pytest.mark.parametrize("name", heavy_ones_slow(models.MODELS))
def test_every_model(tmp_path, rng, narrow, name):
    shape = uneven(name)
    model = models.build(name, shape, 5, rng=0)
    x = rng.random((2, *shape), dtype="float32")
    compare(tmp_path / "m.onnx", randomize(model, rng), x)


def test_a_layer_in_two_places_has_its_weights_once(tmp_path, rng):
    shared = nn.Linear(4, 4, rng=0)
    model = nn.Sequential(shared, nn.Tanh(), nn.Sequential(shared))
    compare(tmp_path / "m.onnx", model, rng.normal(size=(3, 4)).astype("float32"))
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [tensor.name for tensor in graph.initializer] == ["0.weight", "0.bias"]
    assert [node.name for node in graph.node] == ["0", "1", "2.0"]


def test_a_layer_that_needs_two_orders_has_both(tmp_path, rng):
    """The same Linear after a flattened image and after a row of its own."""
    shared = nn.Linear(12, 12, rng=0)
    model = nn.Sequential(nn.Flatten(), shared, nn.ReLU(), shared)
    compare(tmp_path / "m.onnx", model, rng.normal(size=(3, 2, 2, 3)).astype("float32"))


@pytest.mark.parametrize(("layout", "batch"), [("NCHW", None), ("NHWC", None), ("NCHW", 2), ("NHWC", 2)])
def test_layouts_and_batches(tmp_path, rng, layout, batch):
    model, path = nn.Conv2d(3, 2, 3, rng=0), tmp_path / "m.onnx"
    graph = exported(path, model, (5, 4, 3), layout=layout, batch=batch).graph
    sizes = {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in (graph.input[0], graph.output[0])
    }
    n = batch or "N"
    assert sizes == (
        {"input": [n, 3, 5, 4], "output": [n, 2, 3, 2]}
        if layout == "NCHW"
        else {"input": [n, 5, 4, 3], "output": [n, 3, 2, 2]}
    )
    x = rng.normal(size=(2, 5, 4, 3)).astype("float32")
    y = run(path, first(x) if layout == "NCHW" else x)
    assert_near(last(y) if layout == "NCHW" else y, host(model, x))
    assert_near(host(import_onnx(path).model, x), host(model, x))


def test_networks_of_one_layer_or_none(tmp_path, rng):
    x = rng.normal(size=(2, 3, 4, 2)).astype("float32")
    for layout in ("NCHW", "NHWC"):
        for model in (nn.Sequential(), nn.Identity(), nn.Dropout(), nn.ReLU()):
            export_onnx(model, tmp_path / "m.onnx", input_shape=x.shape[1:], layout=layout)
            y = run(tmp_path / "m.onnx", first(x) if layout == "NCHW" else x)
            assert_near(last(y) if layout == "NCHW" else y, host(model, x))


@pytest.mark.parametrize("opset", [17, 20, onnx.defs.onnx_opset_version()])
def test_the_file_is_of_the_opset_that_is_asked_for(tmp_path, opset):
    file = exported(tmp_path / "m.onnx", nn.GELU(), (4,), opset=opset)
    assert [each.version for each in file.opset_import] == [opset]
    assert ("Gelu" in [node.op_type for node in file.graph.node]) is (opset >= 20)


def test_rows_with_channels_in_both_layouts(tmp_path, rng):
    x, model = rng.normal(size=(2, 5, 3)).astype("float32"), nn.LayerNorm(3)
    for layout in ("NCHW", "NHWC"):
        export_onnx(model, tmp_path / "m.onnx", input_shape=(5, 3), layout=layout)
        y = run(tmp_path / "m.onnx", first(x) if layout == "NCHW" else x)
        assert_near(last(y) if layout == "NCHW" else y, host(model, x))


@pytest.mark.parametrize("layer", [nn.PReLU(12), nn.BatchNorm1d(12), nn.LayerNorm(12), nn.Softmax()], ids=repr)
def test_layers_that_tell_columns_apart_after_a_flattened_image(tmp_path, rng, layer):
    model = randomize(nn.Sequential(nn.Flatten(), layer, nn.Linear(12, 3, rng=0)), rng)
    compare(tmp_path / "m.onnx", model, rng.normal(size=(3, 2, 2, 3)).astype("float32"))


def test_branches_that_each_want_a_flattened_image_in_the_layers_order(tmp_path, rng):
    branches = nn.Residual(nn.LayerNorm(12)), nn.Concat(nn.BatchNorm1d(12), nn.Linear(12, 2), nn.Identity())
    for tail, features in zip(branches, (12, 26), strict=True):
        model = randomize(nn.Sequential(nn.Flatten(), tail, nn.Linear(features, 3, rng=0)), rng)
        compare(tmp_path / "m.onnx", model, rng.normal(size=(3, 2, 2, 3)).astype("float32"))


def test_a_layer_by_itself_has_the_names_of_its_parameters(tmp_path):
    file = exported(tmp_path / "m.onnx", nn.Linear(4, 2), (4,))
    assert [tensor.name for tensor in file.graph.initializer] == ["weight", "bias"]


def test_classes_are_those_of_the_channels(tmp_path):
    export_onnx(nn.Conv2d(3, 2, 1), tmp_path / "m.onnx", input_shape=(5, 4, 3), classes=["a", "b"])
    with pytest.raises(OptionError, match="a name for each of the 2 outputs"):
        export_onnx(nn.Conv2d(3, 2, 1), tmp_path / "m.onnx", input_shape=(5, 4, 3), classes="abcde")


def test_names_and_properties(tmp_path):
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Conv2d(2, 2, 1), nn.SiLU())), nn.GlobalAvgPool2d(), nn.Dropout())
    file = exported(tmp_path / "m.onnx", model, (3, 3, 2), classes=["één", "zwei"])
    names = ["0.body.0", "0.body.1/Sigmoid", "0.body.1", "0", "1/pooled", "1"]
    assert [node.name for node in file.graph.node] == names
    assert [tensor.name for tensor in file.graph.initializer] == ["0.body.0.weight", "0.body.0.bias"]
    properties = {each.key: each.value for each in file.metadata_props}
    assert json.loads(properties["classes"]) == ["één", "zwei"]
    assert (properties["layout"], properties["input_range"]) == ("NCHW", "[0, 1]")
    assert (file.producer_name, file.producer_version) == ("xpcnn", xpcnn.__version__)
    assert import_onnx(tmp_path / "m.onnx").classes == ("één", "zwei")


def test_the_same_network_gives_the_same_bytes(tmp_path):
    model = models.build("resnet20", (8, 8, 1), 3, rng=0)
    for name in "ab":
        export_onnx(model, tmp_path / name, input_shape=(8, 8, 1))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_parameters_of_any_backend_and_dtype(tmp_path, xp, rng):
    """The graph is float32; the network stays as it was."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 2, rng=0), nn.BatchNorm2d(3), nn.PReLU(3), nn.Flatten(), nn.Linear(12, 2, rng=0)
    )
    model.astype("float64")
    x, x_ = xp.normal(rng, 2, 3, 3, 2)
    export_onnx(model, tmp_path / "m.onnx", input_shape=(3, 3, 2))
    assert model.parameters()["0.weight"].dtype == xp.array([0.0], "float64").dtype
    expected = xpcnn.to_numpy(model(x_)).astype("float32")
    assert_near(run(tmp_path / "m.onnx", first(x.astype("float32"))), expected)
    assert_near(host(import_onnx(tmp_path / "m.onnx").model, x.astype("float32")), expected)


class Own(nn.Linear):
    """A layer that this file has made."""

    def forward(self, x):
        return super().forward(x)


class Doubled(nn.Layer):
    """It says what it is made of: a layer of its own, and one with its weights."""

    parameter_names = ("factor",)

    def __init__(self, channels):
        self.conv = nn.Conv2d(channels, channels, 1, rng=3)
        self.factor = xpcnn.asarray(np.full(channels, 2.0), "float32")

    def forward(self, x):
        y, cache = self.conv.forward(x)
        return y * self.factor, cache

    def backward(self, dy, cache, *, input_grad=True):
        raise NotImplementedError

    def composed(self):
        scale = nn.Scale(len(self.factor), bias=False)
        scale.weight = self.factor
        return nn.Sequential(self.conv, scale)


class Block(nn.Residual):
    """Computes what a Residual does, of layers that it makes itself."""

    def __init__(self, channels):
        super().__init__(nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, rng=4), Doubled(channels)))


def test_layers_of_ones_own_that_say_what_they_are_made_of(tmp_path, rng):
    shared = Doubled(2).to_backend()
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), shared, Block(2), shared, nn.GlobalAvgPool2d())
    compare(tmp_path / "m.onnx", model.to_backend(), rng.normal(size=(2, 6, 5, 1)).astype("float32"))
    names = [each.name for each in onnx.load(tmp_path / "m.onnx").graph.initializer]
    assert names[2:] == ["1.conv.weight", "1.conv.bias", "1.1.weight", "2.body.0.weight", "2.body.0.bias",
                         "2.body.1.conv.weight", "2.body.1.conv.bias", "2.body.1.1.weight"]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "options", "error", "text"),
    [
        (nn.Sequential(nn.ReLU(), Own(4, 2)), {}, OptionError, r"layer 1: export_onnx: .*got .*Own; build it of"),
        (nn.Linear(3, 2), {}, ShapeError, r"Linear.*\(1, 4\)"),
        (nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(1, 1, 1))), {}, ShapeError, "layer 1.0: Conv2d"),
        (nn.ReLU(), {"input_shape": ()}, OptionError, "input_shape: one axis or more"),
        (nn.ReLU(), {"input_shape": (4, 0)}, OptionError, "each axis of input_shape"),
        (nn.ReLU(), {"opset": 16}, OptionError, "opset: 17 to .*got 16"),
        (nn.ReLU(), {"opset": 999}, OptionError, "opset: 17 to .*got 999"),
        (nn.ReLU(), {"layout": "CHWN"}, OptionError, "layout: .*got 'CHWN'"),
        (nn.ReLU(), {"batch": 0}, OptionError, "batch: an integer ≥ 1, got 0"),
        (nn.ReLU(), {"classes": ["a"]}, OptionError, "a name for each of the 4 outputs"),
        (nn.ReLU(), {"classes": [1, 2, 3, 4]}, OptionError, "classes: names"),
    ],
)
def test_what_makes_no_sense(tmp_path, model, options, error, text):
    (tmp_path / "m.onnx").write_text("old")
    with pytest.raises(error, match=text) as caught:
        export_onnx(model, tmp_path / "m.onnx", **({"input_shape": (4,)} | options))
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "old"


@pytest.mark.parametrize(
    "translator",
    [
        lambda at, layer: at.node("Relu", at.x.name, at.x.name),  # two inputs
        lambda at, layer: at.node("Flatten", axis=0),  # another shape than the layer's
    ],
)
def test_a_file_that_the_checker_refuses_is_not_written(tmp_path, monkeypatch, translator):
    monkeypatch.setitem(layers.TRANSLATORS, nn.ReLU, translator)
    with pytest.raises(xpcnn.errors.FormatError, match="a graph that ONNX's checker passes"):
        export_onnx(nn.ReLU(), tmp_path / "m.onnx", input_shape=(4, 2))
    assert not os.listdir(tmp_path)


def test_weights_that_no_file_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("xpcnn.exchange.onnx.export.MOST_BYTES", 39)
    with pytest.raises(OptionError, match="weights of at most 39 bytes in an ONNX file, got 40"):
        export_onnx(nn.Linear(4, 2), tmp_path / "m.onnx", input_shape=(4,))
    monkeypatch.setattr("xpcnn.exchange.onnx.export.MOST_BYTES", 40)
    export_onnx(nn.Linear(4, 2), tmp_path / "m.onnx", input_shape=(4,))


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match="to write the file"):
        export_onnx(nn.ReLU(), tmp_path / "none" / "m.onnx", input_shape=(4,))


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (
        lambda: export_onnx(nn.ReLU(), tmp_path / "m.onnx", input_shape=(4,)),
        lambda: import_onnx(tmp_path / "m.onnx"),
    ):
        (tmp_path / "m.onnx").write_bytes(b"1")
        with pytest.raises(MissingExtraError, match=r"pip install onnx, which is the extra xpcnn\[onnx\]"):
            call()
