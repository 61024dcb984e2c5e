"""Networks as PyTorch and TensorFlow write them are read, and compute what onnxruntime computes of the same files.

The graphs have the structure of what PyTorch 2.13 writes, by its older exporter (with Constant, Shape and Gather) and
by its newer one, and of what TensorFlow's converter writes (channels last, with Transpose around convolutions).
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from .graphs import (
    INT,
    check,
    constant,
    kinds,
    node,
    numbers,
    write,
)

WINDOW = {"dilations": [1, 1], "auto_pad": "NOTSET"}
BATCH = [
    constant("zero", 0),
    node("Gather", "shape zero", "n", axis=0),
    constant("0", [0]),
    node("Unsqueeze", "n 0", "N"),
]
FLATTENED = {
    "older": [node("Shape", "p", "shape"), *BATCH, constant("-1", [-1]), node("Concat", "N -1", "to", axis=0),
              node("Reshape", "p to", "f", allowzero=0)],
    "newer": [constant("to", [-1, 48]), node("Reshape", "p to", "f", allowzero=1)],
    "fixed": [constant("to", [2, -1]), node("Reshape", "p to", "f")],
    "fixed whole": [constant("to", [2, 48]), node("Reshape", "p to", "f")],
    "copied": [constant("to", [0, -1]), node("Reshape", "p to", "f")],
    "Flatten": [node("Flatten", "p", "f", axis=1)],
    "Flatten, counted from the end": [node("Flatten", "p", "f", axis=-3)],
    "in two steps": [constant("a", [-1, 12, 4]), node("Reshape", "p a", "q"), constant("to", [0, 48]),
                     node("Reshape", "q to", "f")],
}  # fmt: skip


@pytest.mark.parametrize("how", FLATTENED)
@pytest.mark.parametrize("product", ["Gemm", "MatMul"])
def test_lenet(tmp_path, how, product):
    dense = {
        "Gemm": [node("Gemm", "f w2 b2", "l", alpha=1.0, beta=1.0, transA=0, transB=1)],
        "MatMul": [node("Transpose", "w2", "wt", perm=[1, 0]), node("MatMul", "f wt", "m"), node("Add", "b2 m", "l")],
    }[product]
    nodes = [
        node("Conv", "x w1 b1", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], group=1, **WINDOW),
        node("Tanh", "c", "t"),
        node("MaxPool", "t", "p", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0], ceil_mode=0, storage_order=0),
        *FLATTENED[how],
        *dense,
        node("LogSoftmax", "l", "y", axis=1),
    ]
    weights = {"w1": numbers(12, 3, 3, 3), "b1": numbers(12), "w2": numbers(5, 48), "b2": numbers(5)}
    n = 2 if "fixed" in how else "n"
    model = check(write(tmp_path / "m.onnx", nodes, [n, 3, 4, 5], **weights), 4, 5, 3)
    assert kinds(model) == ["Conv2d", "Tanh", "MaxPool2d", "Flatten", "Linear", "LogSoftmax"]


def block(x, y, weights, seed, stride):
    """conv, relu, conv, and a convolution around them where there is a stride, as batch norm's merging leaves them."""
    names = [f"{y}_{i}" for i in range(4)]
    cin, cout = (4, 6) if stride == 2 else (4, 4)
    weights |= {f"w{names[0]}": numbers(cout, cin, 3, 3, seed=seed), f"b{names[0]}": numbers(cout, seed=seed)}
    weights |= {f"w{names[2]}": numbers(cout, cout, 3, 3, seed=seed + 1), f"b{names[2]}": numbers(cout, seed=seed + 1)}
    nodes = [
        node("Conv", f"{x} w{names[0]} b{names[0]}", names[0], strides=[stride] * 2, pads=[1] * 4),
        node("Relu", names[0], names[1]),
        node("Conv", f"{names[1]} w{names[2]} b{names[2]}", names[2], pads=[1] * 4),
    ]
    if stride == 1:
        return [*nodes, node("Add", f"{names[2]} {x}", f"{y}_sum"), node("Relu", f"{y}_sum", y)]
    weights |= {f"w{names[3]}": numbers(cout, cin, 1, 1, seed=seed + 2)}
    around = node("Conv", f"{x} w{names[3]}", names[3], strides=[2, 2])
    return [around, *nodes, node("Add", f"{names[3]} {names[2]}", f"{y}_sum"), node("Relu", f"{y}_sum", y)]


POOLED = {
    "older": [node("GlobalAveragePool", "b", "p"), node("Flatten", "p", "f", axis=1)],
    "newer": [constant("axes", [-1, -2]), node("ReduceMean", "b axes", "p", keepdims=1, noop_with_empty_axes=0),
              constant("to", [-1, 6]), node("Reshape", "p to", "f", allowzero=1)],
    "mean": [constant("axes", [2, 3]), node("ReduceMean", "b axes", "f", keepdims=0)],
    "squeezed": [node("GlobalAveragePool", "b", "p"), constant("axes", [2, 3]), node("Squeeze", "p axes", "f")],
    "squeezed twice": [node("GlobalAveragePool", "b", "p"), constant("axis", [-1]), node("Squeeze", "p axis", "q"),
                       node("Squeeze", "q axis", "f")],
}  # fmt: skip


@pytest.mark.parametrize("how", POOLED)
def test_resnet(tmp_path, how):
    weights = {"w": numbers(4, 3, 3, 3), "v": numbers(3, 6), "c": numbers(3)}
    nodes = [
        node("Conv", "x w", "s", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("MaxPool", "s", "m", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=0),
        *block("m", "a", weights, 1, 1),
        *block("a", "b", weights, 7, 2),
        *POOLED[how],
        node("Gemm", "f v c", "y", transB=1),
    ]
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 16, 13], **weights), 16, 13, 3)
    one = ["Conv2d", "ReLU", "Conv2d", "Add", "ReLU"]
    assert kinds(model) == ["Conv2d", "MaxPool2d", *one, "Conv2d", *one, "GlobalAvgPool2d", "Linear"]
    assert [model.reads[name] for name in ("n_a_sum", "n_b_sum")] == [("n_a_2", "n_m"), ("n_b_3", "n_b_2")]


@pytest.mark.parametrize("operator", ["GlobalMaxPool", "ReduceMax", "ReduceMax without axes"])
def test_global_maximum(tmp_path, operator):
    nodes = {
        "GlobalMaxPool": [node("GlobalMaxPool", "x", "p"), node("Flatten", "p", "y")],
        "ReduceMax": [node("ReduceMax", "x axes", "p", keepdims=1), node("Flatten", "p", "y")],
        "ReduceMax without axes": [node("ReduceMax", "x axes", "y", keepdims=0)],
    }[operator]
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], axes=[2, 3]), 4, 5, 3)
    assert kinds(model) == ["GlobalMaxPool2d"]


def test_pooled_images_that_stay_images(tmp_path):
    for operator in ("GlobalAveragePool", "GlobalMaxPool"):
        nodes = [node(operator, "x", "p"), node("Conv", "p w", "y")]
        check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], w=numbers(2, 3, 1, 1)), 4, 5, 3)


def gelu(x, y, form):
    """½ x (1 + tanh(a (x + b x³))), in the orders in which it is written."""
    if form == "operator":
        return [node("Gelu", x, y, approximate="tanh")]
    cube = [node("Pow", f"{x} three", "cube")]
    if form == "older":
        cube = [node("Mul", f"{x} {x}", "square"), node("Mul", f"{x} square", "cube")]
    scaled = [node("Mul", "b_ cube", "g1"), node("Add", f"{x} g1", "g2"), node("Mul", "a_ g2", "g3")]
    gate = [node("Tanh", "g3", "g4"), node("Add", "g4 one" if form == "newer" else "one g4", "g5")]
    end = {
        "older": [node("Mul", f"{x} g5", "g6"), node("Mul", "half g6", y)],
        "newer": [node("Mul", "half g5", "g6"), node("Mul", f"{x} g6", y)],
        "keras": [node("Mul", f"half {x}", "g6"), node("Mul", "g6 g5", y)],
    }[form]
    return [*cube, *scaled, *gate, *end]


@pytest.mark.parametrize("form", ["older", "newer", "keras", "operator"])
def test_mobilenet(tmp_path, form):
    """Depthwise convolution, SiLU, GroupNorm, GELU, PReLU."""
    shape = [node("Shape", "d", "back", start=0)] if form == "newer" else [constant("back", [0, 8, 8, 6])]
    nodes = [
        node("Conv", "x w1 b1", "c", strides=[2, 2], pads=[1, 1, 1, 1], group=1),
        node("Sigmoid", "c", "s"),
        node("Mul", "s c" if form == "keras" else "c s", "m"),
        node("Conv", "m w2", "d", pads=[1, 1, 1, 1], group=8),
        constant("groups", [0, 4, -1]),
        node("Reshape", "d groups", "r"),
        node("InstanceNormalization", "r ones zeros", "i", epsilon=1e-3),
        *shape,
        node("Reshape", "i back", "j"),
        node("Mul", "j gamma", "k"),
        node("Add", "k beta", "l"),
        *gelu("l", "g", form),
        node("PRelu", "g slope", "p"),
        node("LeakyRelu", "p", "q", alpha=0.1),
        node("ReduceMean", "q axes", "f", keepdims=0),
        node("MatMul", "f w3", "y"),
    ]
    weights = {"w1": numbers(8, 3, 3, 3), "b1": numbers(8), "w2": numbers(8, 1, 3, 3), "w3": numbers(8, 5)}
    weights |= {"ones": np.ones(4), "zeros": np.zeros(4), "gamma": numbers(8, 1, 1, seed=1), "beta": numbers(8, 1, 1)}
    weights |= {"a_": 0.7978845834732056, "b_": 0.044715, "one": 1.0, "three": 3.0, "half": 0.5, "axes": [2, 3]}
    weights |= {"slope": numbers(1, 8, 1, 1) if form == "newer" else numbers(8, 1, 1)}
    opset = 20 if form == "operator" else 18
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 16, 12], opset=opset, **weights), 16, 12, 3)
    expected = ["Conv2d", "SiLU", "Conv2d", "GroupNorm", "GELU", "PReLU", "LeakyReLU", "GlobalAvgPool2d", "Linear"]
    assert kinds(model) == expected
    assert (model[2].groups, model[3].num_groups, model[3].eps, model[6].negative_slope) == (8, 4, 0.001, 0.1)


def test_squeezenet(tmp_path):
    """Branches that begin and end together, one with a branch of its own, and channels in order."""
    nodes = [
        node("Conv", "x w1", "s"),
        node("Relu", "s", "r"),
        node("Conv", "r w2", "a"),
        node("Conv", "r w3", "b", pads=[1, 1, 1, 1]),
        node("Add", "b r", "c"),
        node("AveragePool", "r", "d", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        node("Concat", "a c r d", "e", axis=1),
        node("Dropout", "e ratio", "f"),
        node("Conv", "f w4 b4", "y"),
    ]
    weights = {"w1": numbers(4, 3, 1, 1), "w2": numbers(2, 4, 1, 1), "w3": numbers(4, 4, 3, 3)}
    weights |= {"w4": numbers(3, 14, 1, 1), "b4": numbers(3), "ratio": 0.25}
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 4], **weights), 5, 4, 3)
    expected = ["Conv2d", "ReLU", "Conv2d", "Conv2d", "Add", "AvgPool2d", "Concat", "Dropout", "Conv2d"]
    assert kinds(model) == expected
    assert model.reads["n_e"] == ("n_a", "n_c", "n_r", "n_d")
    assert model.children()["n_f"].p == 0.25


def test_an_autoencoder(tmp_path):
    """Padding as the older exporter writes it, transposed convolution, upsampling, PyTorch's softplus."""
    nodes = [
        constant("four", [4]),
        constant("own", [1, 2, 0, 1]),
        node("ConstantOfShape", "four", "rest", value=onnx.helper.make_tensor("v", INT, [1], [0])),
        node("Concat", "own rest", "all", axis=0),
        constant("pairs", [-1, 2]),
        node("Reshape", "all pairs", "paired"),
        constant("first", [0]),
        constant("back", [-1]),
        constant("end", [-9223372036854775807]),
        node("Slice", "paired back end first back", "reversed"),
        node("Transpose", "reversed", "turned", perm=[1, 0]),
        node("Reshape", "turned back", "flat"),
        node("Cast", "flat", "pads", to=7),
        node("Pad", "x pads zero", "p", mode="constant"),
        node("Elu", "p", "e", alpha=0.5),
        node("ConvTranspose", "e w1 b1", "t", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1], group=1),
        node("Selu", "t", "s"),
        node("Resize", "s - scales", "u", mode="nearest", coordinate_transformation_mode="asymmetric",
             nearest_mode="floor"),
        node("Softplus", "u", "tmp"),
        node("Greater", "u limit", "above"),
        node("Where", "above u tmp", "o"),
        node("InstanceNormalization", "o gamma beta", "y", epsilon=0.01),
    ]  # fmt: skip
    weights = {"zero": 0.0, "w1": numbers(2, 3, 3, 3), "b1": numbers(3), "scales": [1.0, 1.0, 2.0, 3.0], "limit": 20.0}
    weights |= {"gamma": numbers(3), "beta": numbers(3)}
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 2, 4, 3], **weights), 4, 3, 2)
    assert kinds(model) == ["ZeroPad2d", "ELU", "ConvTranspose2d", "SELU", "Upsample", "Softplus", "GroupNorm"]
    assert model[0].padding == (0, 1, 1, 2)


def channels_last_nodes():
    return [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w1", "c", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Add", "c b1", "d"),
        node("Clip", "d low", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "p", "u", perm=[0, 2, 3, 1]),
        constant("to", [-1, 24]),
        node("Reshape", "u to", "f"),
        node("MatMul", "f w2", "m"),
        node("Add", "m b2", "l"),
        node("Softmax", "l", "y"),
    ]


def test_a_graph_from_tensorflow(tmp_path):
    """Channels last: the input is transposed, and rows are flattened in the order that xpcnn has as well."""
    weights = {"w1": numbers(4, 3, 3, 3), "b1": numbers(1, 4, 1, 1), "w2": numbers(24, 5), "b2": numbers(5), "low": 0.0}
    path = write(tmp_path / "m.onnx", channels_last_nodes(), ["n", 9, 13, 3], **weights)
    model = check(path, 9, 13, 3, turned=False)
    assert kinds(model) == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear", "Softmax"]


def test_reductions_of_channels_last_images(tmp_path):
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("ReduceMean", "t axes", "y", keepdims=0)]
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], axes=[1, 2]), 4, 5, 3)
    assert kinds(model) == ["GlobalAvgPool2d"]
