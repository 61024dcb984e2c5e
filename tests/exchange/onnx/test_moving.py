"""Axes in any order, divided and put together, and what needs them so: equal to onnxruntime."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import helper

from xpcnn import nn
from xpcnn.errors import OptionError
from xpcnn.exchange import import_onnx
from xpcnn.exchange.onnx.arranging import arranged
from xpcnn.exchange.onnx.value import Value

from .graphs import assert_near, check, first, host, kinds, last, node, numbers, run, write

IMAGE = ["n", 4, 6, 5]
C = {
    "two": [0, 2, 2, 6, 5], "flat": [0, 20, 6], "whole": [0, 4, 6, 5], "thirds": [0, 5, 24], "r": [0, 8, 3, 5],
    "g": [0, 2, -1], "one": np.ones(2), "nil": np.zeros(2), "u": numbers(2), "v": numbers(2, seed=1),
    "w": numbers(3, 4, 1, 1), "m": numbers(5, 7), "k": numbers(3, 6), "k2": numbers(2, 2, seed=4),
    "chan": numbers(4, 1, 1), "row": numbers(5), "col": numbers(6, 1), "all": numbers(4, 6, 5), "gc": numbers(4),
    "a1": [1], "a2": [2], "a3": [3], "i1": [1, 3], "big": [2**62], "z": [0], "s2": [2], "i": 2, "c": 2.0, "h": [2, 4],
    "eps": 1e-12, "neg": [-1],
}  # fmt: skip
GRAPHS = {
    "channels shuffled": [node("Reshape", "x two", "a"), node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
                          node("Reshape", "b whole", "d"), node("Conv", "d w", "y")],
    "a row in another order": [node("Transpose", "x", "t", perm=[0, 2, 1, 3]), node("Flatten", "t", "y")],
    "two orders meet": [node("Flatten", "x", "f"), node("Transpose", "x", "t", perm=[0, 2, 1, 3]),
                        node("Flatten", "t", "g1"), node("Add", "f g1", "y")],
    "cut across axes": [node("Reshape", "x thirds", "a"), node("Relu", "a", "b"), node("Reshape", "b whole", "y")],
    "axes that are not neighbours": [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Reshape", "t flat", "a"),
                                     node("Tanh", "a", "y")],
    "height and width change places": [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Conv", "t w", "y")],
    "channels as height": [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Reshape", "t whole", "u1"),
                           node("Conv", "u1 w", "y")],
    "softmax over width": [node("Softmax", "x", "y", axis=3)],
    "softmax over height, then a convolution": [node("LogSoftmax", "x", "a", axis=2), node("Conv", "a w", "y")],
    "joined along the height": [node("Relu", "x", "a"), node("Concat", "x a x", "y", axis=2)],
    "joined along the width": [node("Relu", "x", "a"), node("Concat", "a x", "b", axis=-1), node("Conv", "b w", "y")],
    "product over the width": [node("MatMul", "x m", "y")],
    "product over the height": [node("MatMul", "k x", "a"), node("Conv", "a w", "y")],
    "groups normalised with weights": [node("Reshape", "x g", "a"), node("InstanceNormalization", "a u v", "b"),
                                       node("Reshape", "b whole", "y")],
    "groups normalised and flattened": [node("Reshape", "x g", "a"), node("InstanceNormalization", "a one nil", "b"),
                                        node("Flatten", "b", "y")],
    "groups normalised": [node("Reshape", "x g", "a"), node("InstanceNormalization", "a one nil", "b"),
                          node("Reshape", "b whole", "y")],
    "a number for each row": [node("Mul", "x col", "y")],
    "a number for each column": [node("Add", "x row", "a"), node("Conv", "a w", "y")],
    "a number for each place": [node("Sub", "x all", "y")],
    "the quotient of a constant": [node("Exp", "x", "e"), node("Div", "chan e", "y")],
    "a quotient of two values": [node("Exp", "x", "e"), node("Div", "x e", "y")],
    "slices of the image in steps": [node("Slice", "x z big a2 s2", "a"), node("Slice", "a a1 big a3 s2", "y")],
    "parts of the height": [node("Split", "x h", "a b", axis=2), node("Concat", "b a", "y", axis=2)],
    "one column": [node("Gather", "x i", "y", axis=3)],
    "two rows": [node("Gather", "x i1", "y", axis=2)],
    "mean of a row": [node("ReduceMean", "x a3", "a"), node("Sub", "x a", "y")],
    "sums and extremes": [node("ReduceSum", "x a2", "a"), node("ReduceMin", "x a1", "b"), node("Sub", "a b", "d"),
                          node("Min", "d x", "y")],
    "length of the channels": [node("ReduceL2", "x a1", "a"), node("Max", "a eps", "b"), node("Div", "x b", "y")],
    "length of the channels, expanded": [node("ReduceL2", "x a1", "a"), node("Clip", "a eps -", "b"),
                                         node("Shape", "x", "s"), node("Expand", "b s", "d"), node("Div", "x d", "y")],
    "length of the rows": [node("LpNormalization", "x", "y", axis=2)],
    "log of a sum of exponentials": [node("Mul", "x hundred", "b"), node("ReduceLogSumExp", "b a1", "y")],
    "root mean square": [node("RMSNormalization", "x row", "y", epsilon=0.1)],
    "root mean square of items": [node("RMSNormalization", "x all", "y", axis=1)],
    "layer norm of rows and columns": [node("LayerNormalization", "x rc rc", "y", axis=2)],
    "a bound": [node("Max", "x nought", "a"), node("Min", "six a", "y")],
    "pixels cut off": [node("Pad", "x pads", "y")],
    "a mean of values": [node("Relu", "x", "a"), node("Mean", "a x x", "y")],
    "powers": [node("Abs", "x", "a"), node("Pow", "a c", "b"), node("Sqrt", "b", "d"), node("Neg", "d", "y")],
    "leaky": [node("Greater", "x nought", "a"), node("Mul", "x slope", "b"), node("Where", "a x b", "y")],
    "deep pixels": [node("Concat", "x x x x", "a", axis=1), node("DepthToSpace", "a", "b", blocksize=2),
                    node("SpaceToDepth", "b", "y", blocksize=2)],
}  # fmt: skip
C |= {"hundred": 100.0, "rc": numbers(6, 5), "nought": 0.0, "six": 0.5, "slope": 0.1,
      "pads": [0, 0, -1, 2, 0, 1, 3, -2]}  # fmt: skip


def compare_both(path, *shape, **options):
    """The network's outputs against onnxruntime's, whichever axis of the graph's its channels are."""
    saved = import_onnx(path, **options)
    x = np.random.default_rng(5).normal(size=(2, *shape)).astype("float32")
    y, expected = host(saved.model, x), run(path, first(x))
    turned = last(expected) if expected.ndim > 2 else expected
    assert_near(y, expected if y.shape == expected.shape and np.allclose(y, expected, atol=1e-5) else turned)
    return saved.model


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(tmp_path, name):
    opset = 23 if "root mean" in name else 18
    model = compare_both(write(tmp_path / "m.onnx", GRAPHS[name], IMAGE, opset=opset, **C), 6, 5, 4)
    found = {
        "channels shuffled": ["ChannelShuffle", "Conv2d"],
        "groups normalised": ["GroupNorm"],
        "length of the channels": ["L2Normalize"],
        "length of the channels, expanded": ["L2Normalize"],
        "a bound": ["ReLU", "Clip"],
        "pixels cut off": ["Sequential"],
        "leaky": ["LeakyReLU"],
    }
    assert kinds(model) == found.get(name, kinds(model))


ALGEBRA = [([2, 3, 4], [0, 1, 2]), ([2, 3, 4], [2, 0, 1]), ([1, 5, 6], [2, 0, 1]), ([12], [0]), ([3, 1, 8], [1, 2, 0])]


@pytest.mark.parametrize(("shape", "order"), ALGEBRA)
def test_a_value_follows_any_reshaping_and_turning(rng, shape, order):
    """Random steps, done to the value and to numbers; the array that they are then arranged in has the numbers."""
    array = np.arange(math.prod(shape)).reshape(1, *shape)
    for _ in range(40):
        value, graph = Value.plain(tuple(shape), order), array[0].transpose(order)
        for _ in range(4):
            perm = rng.permutation(graph.ndim)
            value, graph = value.turned([0, *(perm + 1)]), graph.transpose(perm)
            sizes = [size for size in (2, 3, 4, 5, 6, 8, 12) if graph.size % size == 0]
            cut = int(rng.choice(sizes)) if sizes else 1
            to = (cut, graph.size // cut) if rng.random() < 0.5 else (1, graph.size, 1)
            if (changed := value.with_sizes(to)) is not None:
                value, graph = changed, graph.reshape(to)
        assert value.sizes == graph.shape
        assert math.prod(value.parts) == graph.size
        layers, made = arranged(value, value.axes)
        x = array.astype("float32")
        for layer in layers:
            x = layer(x)
        np.testing.assert_array_equal(x[0], graph)
        assert (made.shape, made.axes) == (graph.shape, made.own)
        np.testing.assert_array_equal(value.spread(graph).reshape(-1), array.reshape(-1))


RESIZE = [
    ({"mode": "nearest", "coordinate_transformation_mode": where, "nearest_mode": rounding}, scale)
    for where in ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners")
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    for scale in ("to", None)
] + [
    ({"mode": mode, "coordinate_transformation_mode": where, **more}, scale)
    for mode in ("linear", "cubic")
    for where in ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners", "half_pixel_symmetric")
    for more in ({}, {"exclude_outside": 1} if mode == "cubic" else {"antialias": 1})
    for scale in ("to", None)
]


@pytest.mark.parametrize(("options", "sizes"), RESIZE, ids=str)
def test_resizing(tmp_path, options, sizes):
    """Up and down, by sizes and by scales that make whole sizes."""
    by = {"to": [1, 4, 9, 3]} if sizes else {"s": [1.0, 1.0, 1.5, 0.6]}
    nodes = [node("Resize", "x - - to" if sizes else "x - s", "y", **options)]
    if options.get("antialias") and options["coordinate_transformation_mode"] != "half_pixel":
        pytest.skip("onnxruntime takes it for half_pixel")
    saved = import_onnx(path := write(tmp_path / "m.onnx", nodes, [1, 4, 6, 5], opset=19, **by))
    x = numbers(1, 6, 5, 4).astype("float32")
    assert_near(host(saved.model, x), last(run(path, first(x))))


def test_one_axis_before_the_channels(tmp_path):
    nodes = [
        node("Conv", "x w b", "a", strides=[2], pads=[1, 2]), node("BatchNormalization", "a g b m v", "n"),
        node("Relu", "n", "r"), node("MaxPool", "r", "p", kernel_shape=[2], strides=[2]),
        node("Conv", "p u", "c", pads=[1, 1]), node("Add", "c p", "d"), node("ConvTranspose", "d t", "e", strides=[2]),
        node("AveragePool", "e", "q", kernel_shape=[3]), node("ReduceMean", "q axis", "f", keepdims=0),
        node("Gemm", "f l", "y"),
    ]  # fmt: skip
    weights = {key: numbers(6, seed=i) for i, key in enumerate("bgm")} | {"v": numbers(6) ** 2, "axis": [2]}
    weights |= {"w": numbers(6, 3, 5), "u": numbers(6, 6, 3), "t": numbers(6, 4, 4), "l": numbers(4, 2)}
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 40], **weights), 40, 3)
    assert kinds(model)[:4] == ["Conv1d", "BatchNorm1d", "ReLU", "MaxPool1d"]


def test_several_inputs(tmp_path):
    import onnxruntime

    inputs = {"left": [4, 6, 5], "right": [4, 1, 1], "row": [3]}
    nodes = [node("Mul", "left right", "a"), node("GlobalAveragePool", "a", "p"), node("Flatten", "p", "f"),
             node("Tanh", "row", "row2"), node("Concat", "f row2", "y", axis=1)]  # fmt: skip
    kind = onnx.TensorProto.FLOAT
    given = [helper.make_tensor_value_info(name, kind, ["n", *sizes]) for name, sizes in inputs.items()]
    graph = helper.make_graph(nodes, "g", given, [helper.make_tensor_value_info("y", kind, None)])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    saved = import_onnx(path)
    assert saved.input_shape == ((6, 5, 4), (1, 1, 4), (3,))
    assert (saved.model.inputs, saved.model.arity) == (("left", "right", "row"), (3, 3))
    xs = {name: numbers(2, *sizes).astype("float32") for name, sizes in inputs.items()}
    expected = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, xs)[0]
    assert_near(saved.model(tuple(last(x) if x.ndim > 2 else x for x in xs.values())), expected)
    alone = import_onnx(path, output="row2", layout="NCHW")
    assert (alone.input_shape, kinds(alone.model)) == ((3,), ["Tanh"])
    with pytest.raises(OptionError, match="input_shape: one each of left, right, row"):
        import_onnx(path, input_shape=[(6, 5, 4)])


def test_boxes_stay_as_they_are_in_the_file(tmp_path):
    """(N, boxes, numbers of each), as a detector gives them."""
    nodes = [
        node("Conv", "x w18", "a"), node("Reshape", "a boxes", "b"), node("Transpose", "b", "q", perm=[0, 1, 3, 4, 2]),
        node("Slice", "q z4 big a4", "d"), node("Sigmoid", "d", "e"), node("Reshape", "e rows", "y"),
    ]  # fmt: skip
    weights = {"w18": numbers(18, 4, 1, 1), "boxes": [0, 3, 6, 6, 5], "rows": [0, 90, 4], "z4": [2], "a4": [4]}
    path = write(tmp_path / "m.onnx", nodes, IMAGE, **C | weights)
    x = numbers(2, 6, 5, 4).astype("float32")
    assert_near(host(import_onnx(path).model, x), run(path, first(x)))


def test_an_output_that_is_not_there(tmp_path):
    """The error says what there is: the outputs, and names that are near."""
    nodes = [node("Relu", "x", "features/relu"), node("GlobalAveragePool", "features/relu", "y")]
    path = write(tmp_path / "m.onnx", nodes, IMAGE)
    with pytest.raises(OptionError, match="output: features/relu, y, or another value, got 'feature/relu'"):
        import_onnx(path, output="feature/relu")
    with pytest.raises(OptionError, match="output: y, or another value, got 'nothing'"):
        import_onnx(path, output="nothing")
    assert kinds(import_onnx(path, output="features/relu").model) == ["ReLU"]


def test_a_layer_of_any_order_is_written_again(tmp_path):
    from .graphs import compare

    layers = [nn.Permute((2, 1, 3)), nn.Reshape((4, 30)), nn.Slice(1, 6, step=2, axis=1), nn.Slice(0, 4, axis=2)]
    for layer in (
        *layers,
        nn.Sequential(nn.Reshape((20, 6)), nn.Permute((2, 1)), nn.Linear(20, 3, rng=0)),
        nn.Resample((6, 5), (3, 7)),
    ):
        compare(tmp_path / "m.onnx", layer.to_backend(), numbers(2, 6, 5, 4).astype("float32"))
