"""Graphs of several inputs and outputs, read and written: what onnxruntime computes, under the same names."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

import xpcnn
from xpcnn import nn
from xpcnn.errors import FormatError, OptionError
from xpcnn.exchange import export_onnx, import_onnx

from .graphs import assert_near, first, host, last, node, numbers, write

FLOAT, INT = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def opened(path, nodes, inputs, outputs=("y",), **weights):
    """A file whose graph has these inputs, {name: sizes}; "i" is of integers."""
    path = write(path, nodes, [1], outputs[0], **weights)
    model = onnx.load(path)
    del model.graph.input[:], model.graph.output[:]
    for name, sizes in inputs.items():
        model.graph.input.append(helper.make_tensor_value_info(name, INT if name == "i" else FLOAT, sizes))
    model.graph.output.extend(helper.make_tensor_value_info(name, FLOAT, None) for name in outputs)
    path.write_bytes(model.SerializeToString())
    return path


def run(path, **given):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, given), strict=True))


TWO = [
    node("Conv", "a w", "left", pads=[1, 1, 1, 1]),
    node("Mul", "left b", "y"),
    node("ReduceMean", "b axes", "m", keepdims=0),
    node("Gemm", "m v", "z"),
]
SIZES = {"a": ["n", 3, 5, 4], "b": ["n", 2, 1, 1]}
WEIGHTS = {"w": numbers(2, 3, 3, 3), "v": numbers(2, 3), "axes": [2, 3]}


def test_two_inputs_are_read(tmp_path):
    path = opened(tmp_path / "m.onnx", TWO, SIZES, ("z", "y"), **WEIGHTS)
    saved = import_onnx(path)
    assert saved.input_shape == ((5, 4, 3), (1, 1, 2))
    assert (saved.model.inputs, saved.model.outputs) == (("a", "b"), ("n_z", "n_y"))
    a, b = (numbers(3, *shape, seed=seed).astype("float32") for seed, shape in enumerate(saved.input_shape))
    expected = run(path, a=first(a), b=first(b))
    z, y = saved.model((xpcnn.asarray(a), xpcnn.asarray(b)))
    assert_near(xpcnn.to_numpy(z), expected["z"])
    assert_near(xpcnn.to_numpy(y), last(expected["y"]))


def test_one_output_needs_one_input(tmp_path):
    path = opened(tmp_path / "m.onnx", TWO, SIZES, ("z", "y"), **WEIGHTS)
    saved = import_onnx(path, output="z")
    assert saved.input_shape == (1, 1, 2)
    assert isinstance(saved.model, nn.Sequential)
    x = numbers(3, 1, 1, 2).astype("float32")
    assert_near(host(saved.model, x), run(path, a=np.zeros((3, 3, 5, 4), "float32"), b=first(x))["z"])


def test_shapes_that_the_file_leaves_open(tmp_path):
    path = opened(tmp_path / "m.onnx", TWO, {"a": ["n", 3, "h", "w"], "b": SIZES["b"]}, ("y",), **WEIGHTS)
    for given in ({"a": (6, 7, 3)}, ((6, 7, 3), None), [[6, 7, 3], [1, 1, 2]]):
        assert import_onnx(path, input_shape=given).input_shape == ((6, 7, 3), (1, 1, 2))
    for given, text in (
        (None, "input a: expected input_shape, which the file leaves open, got none"),
        ((6, 7, 3), r"input_shape: one each of a, b, got \(6, 7, 3\)"),
        ({"c": (6, 7, 3)}, "input_shape of a, b, got c"),
        ({"a": (6, 7, 3), "b": (2, 1, 2)}, r"input b: expected input_shape \(1, 1, 2\), got \(2, 1, 2\)"),
    ):
        with pytest.raises(OptionError, match=text):
            import_onnx(path, input_shape=given)


def test_an_input_that_no_network_takes_stops_only_what_reads_it(tmp_path):
    nodes = [node("Relu", "a", "y"), node("Cast", "i", "f", to=FLOAT), node("Add", "a f", "z")]
    path = opened(tmp_path / "m.onnx", nodes, {"a": ["n", 3], "i": ["n", 3]}, ("y", "z"))
    assert import_onnx(path, output="y").input_shape == (3,)
    assert import_onnx(path, output="y", input_shape={"a": (3,)}).input_shape == (3,)
    with pytest.raises(FormatError, match="input i: expected an input of float32 or float64, got int64") as caught:
        import_onnx(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sizes", [[2, 3], [1, 3]])
def test_the_batch_is_the_same(tmp_path, sizes):
    """A file may broadcast one item along a batch; a network's inputs are batches of the same number of items."""
    path = opened(tmp_path / "m.onnx", [node("Add", "a b", "y")], {"a": ["n", 3], "b": sizes})
    with pytest.raises(FormatError, match=rf"float32 \(N, …\), as of a, got float32 \({sizes[0]}, …\)"):
        import_onnx(path)


def graph():
    """Two inputs and seven outputs, some of which are the same value, or have names that nodes want."""
    inner = nn.Graph({"p": (nn.Add(), "u", "v"), "q": (nn.Multiply(), "u", "v")}, inputs=("u", "v"), outputs=("p", "q"))
    entries = {
        "a": (nn.Conv2d(3, 4, 3, padding=1, rng=0), "left"),
        "b": (nn.Conv2d(3, 4, 3, padding=1, rng=1), "right"),
        "sub": (nn.Subtract(), "a", "b"),
        "dropped": (nn.Dropout(0.5, rng=0), "sub"),
        "flat": (nn.Flatten(), "sub"),
        "score": (nn.Linear(4 * 5 * 6, 3, rng=2), "flat"),
        "same": (nn.Identity(), "left"),
        "inner": (inner, "a", "b"),
        "whole": (nn.Maximum(), "inner"),
        "chain": (nn.Sequential(nn.Flatten(), nn.Linear(120, 2, rng=3), nn.ReLU()), "b"),
    }
    outputs = ("score", "sub", "dropped", "flat", "same", "whole", "chain")
    return nn.Graph(entries, inputs=("left", "right"), outputs=outputs).to_backend()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_they_are_written(tmp_path, layout):
    net, shapes = graph(), ((5, 6, 3), (5, 6, 3))
    export_onnx(net, tmp_path / "m.onnx", input_shape=shapes, layout=layout)
    turned = first if layout == "NCHW" else lambda x: x
    left, right = (numbers(2, 5, 6, 3, seed=seed).astype("float32") for seed in (0, 1))
    found = run(tmp_path / "m.onnx", left=turned(left), right=turned(right))
    assert tuple(found) == net.outputs
    given = {"left": xpcnn.asarray(left), "right": xpcnn.asarray(right)}
    saved = import_onnx(tmp_path / "m.onnx")
    assert (saved.input_shape, saved.model.inputs) == (shapes, net.inputs)
    for name, y, again in zip(net.outputs, net(given), saved.model(given), strict=True):
        expected = xpcnn.to_numpy(y)
        assert_near(found[name], turned(expected) if expected.ndim == 4 else expected)
        assert_near(xpcnn.to_numpy(again), expected)


def test_entries_called_as_the_ends_of_a_graph_are(tmp_path):
    net = nn.Graph(
        {
            "input": (nn.Linear(3, 4, rng=0), "x"),
            "output": (nn.ReLU(), "input"),
            "y": (nn.Linear(4, 2, rng=1), "output"),
        }
    ).to_backend()
    x = numbers(2, 3).astype("float32")
    export_onnx(net, tmp_path / "m.onnx", input_shape=(3,))
    assert_near(run(tmp_path / "m.onnx", input=x)["output"], host(net, x))


def test_a_join_by_itself(tmp_path):
    export_onnx(nn.Subtract(), tmp_path / "m.onnx", input_shape=((3,), (3,)))
    a, b = (numbers(2, 3, seed=seed).astype("float32") for seed in (0, 1))
    assert_near(run(tmp_path / "m.onnx", **{"input.0": a, "input.1": b})["output"], a - b)


def test_what_cannot_be_written(tmp_path):
    net = graph()
    for options, text in (
        ({"input_shape": (5, 6, 3)}, r"a shape for each of 2 inputs, got \(5, 6, 3\)"),
        ({"input_shape": ((5, 6, 3),)}, "a shape for each of 2 inputs"),
        ({"input_shape": ((5, 6, 3), (5, 0, 3))}, "each axis of"),
        ({"input_shape": ((5, 6, 3),) * 2, "classes": "abc"}, "classes: a name for each of the 0 outputs, or none"),
    ):
        with pytest.raises(OptionError, match=text):
            export_onnx(net, tmp_path / "m.onnx", **options)
        assert not (tmp_path / "m.onnx").exists()
