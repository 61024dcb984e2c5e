"""A network that `import_onnx` reads computes what onnxruntime computes of the same file, and trains.

The graphs have the structure of what PyTorch 2.13 writes, by its older exporter (with Constant, Shape and Gather) and
by its newer one, and of what TensorFlow's converter writes (channels last, with Transpose around convolutions).
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import xpcnn
from xpcnn import models, nn
from xpcnn.errors import FileError, FormatError, OptionError
from xpcnn.exchange import export_onnx, import_onnx
from xpcnn.io import load_model, save_model
from xpcnn.nn import CrossEntropyLoss
from xpcnn.optim import SGD

from .graphs import assert_near, first, host, last, node, randomize, run, write

INT = onnx.TensorProto.INT64


def constant(output, value, kind=INT):
    array = np.asarray(value)
    return node("Constant", "", output, value=onnx.helper.make_tensor(output, kind, array.shape, array.ravel()))


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def check(path, *shape, turned=True, **options):
    """The network of the file, once it has given what onnxruntime gives for a batch of 2."""
    saved = import_onnx(path, **options)
    assert saved.input_shape == shape
    x = np.random.default_rng(5).normal(size=(2, *shape)).astype("float32")
    y = run(path, first(x) if turned else x)
    assert_near(host(saved.model, x), last(y) if turned else y)
    return saved.model


def kinds(model):
    return [type(layer).__name__ for layer in model.children().values()]


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
    assert kinds(model) == ["Conv2d", "MaxPool2d", "Residual", "ReLU", "Residual", "ReLU", "GlobalAvgPool2d", "Linear"]
    assert list(model[2].children()) == ["body"]
    assert [len(model[4].children()["body"]), type(model[4].children()["shortcut"]).__name__] == [3, "Conv2d"]


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
    assert kinds(model) == ["Conv2d", "ReLU", "Concat", "Dropout", "Conv2d"]
    assert kinds(model[2]) == ["Conv2d", "Residual", "Identity", "AvgPool2d"]
    assert model[3].p == 0.25


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


@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 3, 0], [0, 2, 0, 0, 0, 1, 0, 0], [0] * 8])
def test_padding(tmp_path, pads):
    check(write(tmp_path / "m.onnx", [node("Pad", "x p", "y")], ["n", 2, 4, 3], p=pads), 4, 3, 2)
    nodes = [node("Pad", "x p - axes", "y")]
    check(write(tmp_path / "m.onnx", nodes, ["n", 2, 4, 3], p=[1, 2, 3, 4], axes=[-1, 2]), 4, 3, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"},
        {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
    ],
)
def test_upsampling(tmp_path, options):
    for a, b in ((2, 2), (3, 1), (1, 5)):
        nodes = [node("Resize", "x - s", "y", mode="nearest", **options)]
        check(write(tmp_path / "m.onnx", nodes, ["n", 2, 4, 3], s=[1.0, 1.0, float(a), float(b)]), 4, 3, 2)
        nodes = [node("Shape", "x", "all"), node("Slice", "all i j", "two"), node("Concat", "two to", "sizes", axis=0),
                 node("Resize", "x - - sizes", "y", mode="nearest", **options)]  # fmt: skip
        check(write(tmp_path / "m.onnx", nodes, ["n", 2, 4, 3], i=[0], j=[2], to=[4 * a, 3 * b]), 4, 3, 2)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_automatic_padding(tmp_path, auto, stride):
    w = numbers(3, 2, 2, 3)
    for operator, inputs in (("Conv", "x w"), ("MaxPool", "x"), ("AveragePool", "x")):
        options = {"auto_pad": auto, "strides": [stride, stride], "kernel_shape": [2, 3]}
        nodes = [node(operator, inputs, "y", **options)]
        check(write(tmp_path / "m.onnx", nodes, ["n", 2, 5, 6], w=w), 5, 6, 2)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 1, 2]])
def test_windows_that_reach_past_the_end(tmp_path, operator, pads):
    for size in ((6, 7), (5, 8)):
        options = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": pads, "ceil_mode": 1}
        check(write(tmp_path / "m.onnx", [node(operator, "x", "y", **options)], ["n", 2, *size]), *size, 2)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 1, 1), (1,), ()])
def test_normalisation_as_the_first_layer(tmp_path, shape):
    nodes = [node("Sub", "x mean", "c"), node("Div", "c std", "y")]
    mean, std = np.full(shape, 0.45), np.full(shape, 0.225)
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], mean=mean, std=std), 4, 5, 3)
    assert (model[0].mean, model[0].std) == ((0.45,) * 3, (0.225,) * 3)


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_batch_norm_and_what_it_can_follow(tmp_path, rank):
    sizes = {2: [6], 3: [6, 4], 4: [6, 4, 5]}[rank]
    weights = {key: numbers(6, seed=i) for i, key in enumerate("gbm")} | {"v": numbers(6) ** 2}
    nodes = [node("BatchNormalization", "x g b m v", "y", epsilon=1e-3, momentum=0.9)]
    model = check(write(tmp_path / "m.onnx", nodes, ["n", *sizes], **weights), *sizes[1:], 6)
    assert (model[0].eps, model[0].momentum) == (0.001, 0.1)


def test_weights_follow_a_flattened_row_through_everything(tmp_path):
    """PReLU, batch norm, layer norm and branches, between Flatten and a product."""
    nodes = [
        node("Flatten", "x", "f"),
        node("PRelu", "f slope", "p"),
        node("BatchNormalization", "p g b m v", "n"),
        node("LayerNormalization", "n g b", "l", axis=-1),
        node("Softmax", "l", "s", axis=-1),
        node("Add", "s n", "a"),
        node("Gemm", "a w c", "y", alpha=0.5, beta=2.0),
    ]
    weights = {key: numbers(24, seed=i) for i, key in enumerate(["g", "b", "m", "slope"])}
    weights |= {"v": numbers(24) ** 2, "w": numbers(24, 3), "c": numbers(1, 3)}
    check(write(tmp_path / "m.onnx", nodes, ["n", 2, 3, 4], **weights), 3, 4, 2)


@pytest.mark.parametrize(("axis", "sizes"), [(-3, (2, 3, 4)), (1, (2, 3, 4))])
def test_layer_norm_over_images(tmp_path, axis, sizes):
    nodes = [node("LayerNormalization", "x g b", "y", axis=axis, epsilon=1e-3)]
    weights = {"g": numbers(*sizes), "b": numbers(*sizes, seed=1)}
    check(write(tmp_path / "m.onnx", nodes, ["n", 2, 3, 4], **weights), 3, 4, 2)


def test_group_normalization(tmp_path):
    nodes = [node("GroupNormalization", "x g b", "y", num_groups=2, epsilon=1e-3)]
    for opset, size in ((18, 2), (21, 4)):
        weights = {"g": numbers(size), "b": numbers(size, seed=1)}
        check(write(tmp_path / "m.onnx", nodes, ["n", 4, 3, 2], opset=opset, **weights), 3, 2, 4)


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


@pytest.mark.parametrize("opset", [9, 11])
def test_attributes_that_are_inputs_today(tmp_path, opset):
    nodes = [
        node("Conv", "x w", "c"),
        node("Clip", "c" if opset < 11 else "c low", "r", **({"min": 0.0} if opset < 11 else {})),
        node("Dropout", "r", "d", ratio=0.3),
        node("ReduceMean", "d", "m", axes=[2, 3], keepdims=1),
        node("Squeeze", "m", "f", axes=[2, 3]),
        node("Unsqueeze", "b", "b2", axes=[0]),
        node("Gemm", "f v b2", "y"),
    ]
    weights = {"w": numbers(4, 3, 1, 1), "v": numbers(4, 2), "b": numbers(2)} | ({"low": 0.0} if opset == 11 else {})
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], opset=opset, **weights), 4, 5, 3)
    assert kinds(model) == ["Conv2d", "ReLU", "Dropout", "GlobalAvgPool2d", "Linear"]
    assert model[2].p == 0.3


def test_what_the_file_leaves_open(tmp_path):
    nodes = [node("Conv", "x w", "y", pads=[1, 1, 1, 1])]
    path = write(tmp_path / "m.onnx", nodes, ["n", 2, "h", "w"], w=numbers(3, 2, 3, 3))
    check(path, 5, 7, 2, input_shape=(5, 7, 2))
    with pytest.raises(OptionError, match=r"m.onnx: expected input_shape, which the file leaves open, got none; pass"):
        import_onnx(path)
    for shape in ((5, 7, 3), (5, 7)):
        with pytest.raises(OptionError, match=r"expected input_shape \(any, any, 2\), got \(5, 7"):
            import_onnx(path, input_shape=shape)
    with pytest.raises(OptionError, match=r"each axis of input_shape: .*got 0"):
        import_onnx(path, input_shape=(0, 7, 2))
    with pytest.raises(OptionError, match=r"layout: .*got 'HWC'"):
        import_onnx(path, layout="HWC")


def test_a_layout_that_cannot_be_seen(tmp_path):
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w", "y")]
    path = write(tmp_path / "m.onnx", nodes, ["n", 4, 5, 3], w=numbers(60, 2))
    check(path, 4, 5, 3, turned=False, layout="NHWC")
    check(path, 5, 3, 4)


def test_double_precision(tmp_path):
    nodes = [node("Gemm", "x w", "l"), node("BatchNormalization", "l g g g g", "y")]
    double = onnx.TensorProto.DOUBLE
    path = write(tmp_path / "m.onnx", nodes, ["n", 3], dtype=double, w=numbers(3, 4), g=numbers(4) ** 2)
    saved = import_onnx(path)
    assert {str(array.dtype) for array in saved.model.state_dict().values()} == {"float64"}
    x = numbers(2, 3)
    np.testing.assert_allclose(saved.model(x), run(path, x), atol=1e-11)  # the file has ε in float32


def test_on_every_backend(tmp_path, xp, rng):
    model = models.build("lenet5", (12, 12, 2), 3, rng=0)
    export_onnx(tmp_path / "m.onnx", model, input_shape=(12, 12, 2))
    x = rng.random((2, 12, 12, 2), dtype="float32")
    read = import_onnx(tmp_path / "m.onnx").model
    kind = type(xp.array([0.0]))
    assert all(isinstance(array, kind) for array in read.state_dict().values())
    assert_near(host(read, x), host(model, x))


@pytest.mark.parametrize("name", ["lenet5", "vgg_small", "resnet20"])
def test_a_network_trains_on_from_where_it_was(tmp_path, rng, name):
    """Two steps after a round trip give what two steps without one give."""
    shape = (12, 13, 2)
    model = randomize(models.build(name, shape, 3, rng=0), rng)
    export_onnx(tmp_path / "m.onnx", model, input_shape=shape, classes=["a", "b", "c"])
    saved = import_onnx(tmp_path / "m.onnx")
    assert saved.classes == ("a", "b", "c")
    assert repr(saved.model).count("\n") == repr(model).count("\n")
    x, target, losses = rng.random((6, *shape), dtype="float32"), np.array([0, 1, 2, 0, 1, 2]), []
    for each in (model, saved.model):
        criterion, optimizer, own = CrossEntropyLoss(), SGD(each.parameters(), lr=1e-4), []
        for _ in range(3):
            y, cache = each.forward(x)
            loss, loss_cache = criterion.forward(y, target)
            optimizer.step(each.backward(criterion.backward(loss_cache), cache)[1])
            own.append(float(loss))
        losses.append(own)
    assert losses[0][0] > losses[0][1] > losses[0][2]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_what_is_read_can_be_saved_and_written_again(tmp_path, rng):
    model = models.build("resnet20", (8, 9, 1), 3, rng=0)
    export_onnx(tmp_path / "1.onnx", model, input_shape=(8, 9, 1), layout="NHWC")
    saved = import_onnx(tmp_path / "1.onnx")
    save_model(tmp_path / "model", saved.model, input_shape=saved.input_shape, extra=saved.extra)
    again = load_model(tmp_path / "model")
    assert again.extra == {"producer": f"xpcnn {xpcnn.__version__}"}
    x = rng.random((2, 8, 9, 1), dtype="float32")
    assert_near(host(again.model, x), host(model, x))
    export_onnx(tmp_path / "2.onnx", again.model, input_shape=(8, 9, 1), layout="NHWC")
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "2.onnx").read_bytes()


def test_reading_changes_no_file_and_shares_nothing(tmp_path):
    export_onnx(tmp_path / "m.onnx", nn.Linear(3, 2), input_shape=(3,))
    one, other = (import_onnx(tmp_path / "m.onnx").model for _ in range(2))
    before = other[0].weight.copy()
    one[0].weight *= 0  # as optimizers do, in place
    np.testing.assert_array_equal(other[0].weight, before)
    assert np.any(import_onnx(tmp_path / "m.onnx").model[0].weight)


def test_missing_files(tmp_path):
    with pytest.raises(FileError, match="a readable file, got No such file"):
        import_onnx(tmp_path / "none.onnx")
    with pytest.raises(FileError, match="a readable file"):
        import_onnx(tmp_path)


W = {"w": numbers(4, 3, 3, 3), "v": numbers(3), "one": 1.0, "m": np.ones((3, 1, 1))}
REFUSED = [
    ([node("HardSwish", "x", "y")], r"n_y \(HardSwish\): expected an operator that layers of xpcnn.nn stand for"),
    ([node("Gelu", "x", "y")], "expected the tanh form of GELU, got none; export it with approximate='tanh'"),
    ([node("Erf", "x", "e"), node("Mul", "x e", "y")], "Erf"),
    ([node("Clip", "x zero six", "y")], "min 0 and no max, which is ReLU, got min 0, max 6"),
    ([node("Mul", "x m", "y")], r"n_y \(Mul\): expected an operator of SiLU, GELU, Softplus or GroupNorm"),
    ([node("Sub", "x m", "y")], r"n_y \(Sub\): expected an operator that"),
    ([node("Div", "x m", "y")], r"\(x − mean\) / std, got a quotient by itself"),
    ([node("Sub", "x m", "c"), node("Div", "c zeros", "y")], r"std: a number in \(0, inf\)"),
    ([node("Add", "x m", "y")], "a bias after a product, or branches that end, got a sum with a constant"),
    ([node("Add", "x x", "a"), node("Sigmoid", "x", "b"), node("Mul", "a b", "y")], "expected an operator of SiLU"),
    ([node("Conv", "x w", "y", group=3)], "weights for 3 channels, got for 9"),
    ([node("Conv", "x w", "y", strange=1)], "known attributes, got strange"),
    ([node("Conv", "x w", "y", pads=[-1, 0, 0, 0])], "padding"),
    ([node("Conv", "x w", "y", strides=[0, 1])], "stride"),
    ([node("Conv", "x w", "y", strides=[1.0, 1.0])], "attribute strides of type 7, got type 6"),
    ([node("Conv", "x w", "y", group="3")], "attribute group of type 2, got type 3"),
    ([node("Conv", "x w", "y", kernel_shape=[1, 1])], "as kernel_shape says"),
    ([node("Conv", "x w v", "y")], "a number for each of 4 channels"),
    ([node("Conv", "x x", "y")], "a constant as input 2, got a value that is computed"),
    ([node("Conv", "w x", "y")], "computed from the network's input, got a constant"),
    ([node("Conv", "x nan", "y")], "finite numbers as input 2"),
    ([node("Conv", "x w", "y", dilations=[9, 9])], "height ≥ 19"),
    ([node("MaxPool", "x", "y", kernel_shape=[2])], "a kernel of two axes"),
    ([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[0, 0, 2, 2])], "under every window"),
    ([node("MaxPool", "x", "y i", kernel_shape=[2, 2]), node("Relu", "i", "z")], "got a use of its output 2"),
    ([node("MaxPool", "x", "y", kernel_shape=[2**40, 1], pads=[2**40] * 4)], "windows of at most 1024"),
    ([node("Reshape", "x row", "y")], "whose first axis is the batch, got .-1."),
    ([node("Reshape", "x one_row", "y")], "whose first axis is the batch, got .1, -1."),
    ([node("Reshape", "x threes", "y")], "an output in rows or images"),
    ([node("Reshape", "x threes", "z"), node("Relu", "z", "y")], "images, or rows with one axis"),
    ([node("Reshape", "x wrong", "y")], "a shape for 75 numbers an item"),
    ([node("Flatten", "x", "y")], "an image's numbers in the graph's order"),
    ([node("Flatten", "x", "y", axis=2)], "axis 1, got another"),
    ([node("Squeeze", "x one_axis", "y")], r"axes of length 1, and not the batch's, got \(2,\)"),
    ([node("Squeeze", "x batch", "y")], "axes of length 1, and not the batch's"),
    ([node("Flatten", "x", "f"), node("Gather", "f backwards", "y", axis=1)], "the order of flattened images"),
    ([node("Transpose", "x", "y", perm=[1, 0, 2, 3])], "leaves the batch axis"),
    ([node("Transpose", "x", "z", perm=[0, 2, 1, 3]), node("Conv", "z w", "y")], r"images \(N, C, H, W\)"),
    ([node("Softmax", "x", "y", axis=2)], "axis 1, the channels, got axis 2"),
    ([node("Selu", "x", "y", alpha=2.0)], "the constants of Klambauer et al."),
    ([node("ReduceMean", "x channel_and_height", "y")], r"axes of height and width, got \(1, 2\)"),
    ([node("ReduceMean", "x one_axis", "y")], "axes of height and width"),
    ([node("Concat", "x x", "y", axis=2)], "values that differ in their channels"),
    ([node("Pad", "x p", "y", mode="reflect")], "zeros, got mode reflect"),
    ([node("Pad", "x p one", "y")], "zeros, got mode constant, 1"),
    ([node("Resize", "x - s", "y", mode="linear")], "nearest neighbours"),
    ([node("Resize", "x - half", "y", nearest_mode="floor", coordinate_transformation_mode="asymmetric")],
     "whole numbers as scales"),
    ([node("Resize", "x - s", "y", nearest_mode="floor")], "nearest, half_pixel, floor"),
    ([node("Resize", "x - s", "y", coordinate_transformation_mode="asymmetric")], "asymmetric, round_prefer_floor"),
    ([node("Reshape", "x groups", "r"), node("InstanceNormalization", "r m1 m0", "i"), node("Reshape", "i flat", "y")],
     "from before the normalisation, got"),
    ([node("Reshape", "x groups", "r"), node("InstanceNormalization", "r v v", "i"), node("Reshape", "i back", "y")],
     "with scale 1 and B 0"),
    ([node("Greater", "x six", "a"), node("Softplus", "x", "b"), node("Where", "a x b", "y")], "Greater"),
    ([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Add", "x t", "y")], "branches of one shape"),
    ([node("Flatten", "x", "f"), node("Concat", "f f", "c"), node("Gemm", "c big", "y")],
     "that differ in their channels"),
    ([node("MatMul", "x others", "a"), node("MatMul", "bins a", "y")], "the bins of adaptive average pooling"),
    ([node("MatMul", "x turned", "a"), node("MatMul", "rows a", "y")], "the bins of adaptive average pooling"),
    ([node("BatchNormalization", "x v v v v", "y", training_mode=1)], "inference, a mean for each channel"),
    ([node("Dropout", "x half0 yes", "y")], "inference, got training_mode"),
    ([node("GatherND", "x row", "y")], "GatherND"),
    ([node("Relu", "x", "a"), node("Sin", "a", "b"), node("Relu", "b", "y")], r"n_b \(Sin\)"),
    ([node("Relu", "x", "y", domain="com.own")], r"com.own::Relu"),
    ([node("Relu", "x", "a"), node("Tanh", "a", "b"), node("Add", "a b", "c"), node("Elu", "b", "d"),
      node("Add", "c d", "y")], "one use of .b., within its branch, got several"),
]  # fmt: skip
CONSTANTS = W | {
    "zero": 0.0, "six": 6.0, "nan": np.full((4, 3, 3, 3), np.nan), "row": [-1], "one_row": [1, -1],
    "threes": [-1, 3, 25], "wrong": [-1, 7], "one_axis": [2], "channel_and_height": [1, 2], "batch": [0],
    "groups": [0, 3, -1],
    "m1": np.ones(3), "m0": np.zeros(3), "flat": [0, 3, 25], "back": [0, 3, 5, 5], "big": np.ones((150, 2)),
    "bins": np.full((1, 5), 0.2), "others": np.arange(5).reshape(5, 1), "turned": np.full((5, 1), 0.2),
    "rows": np.arange(5).reshape(1, 5),
    "backwards": np.arange(75)[::-1], "p": [0, 0, 1, 1, 0, 0, 0, 0], "s": [1.0, 1.0, 2.0, 2.0],
    "half": [1.0, 1.0, 0.5, 0.5], "half0": 0.5, "yes": 1.0, "zeros": np.zeros((3, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "text"), REFUSED)
def test_what_no_layer_stands_for(tmp_path, nodes, text):
    path = write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], nodes[-1].output[0], **CONSTANTS)
    with pytest.raises(FormatError, match=text) as caught:
        import_onnx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_softmax_of_old_is_over_all_axes_from_one_on(tmp_path):
    path = write(tmp_path / "m.onnx", [node("Softmax", "x", "y", axis=1)], ["n", 3, 5, 5], opset=11)
    with pytest.raises(FormatError, match="the channels"):
        import_onnx(path)
    check(write(path, [node("Softmax", "x", "y", axis=1)], ["n", 3, 5, 5], opset=13), 5, 5, 3)
    check(write(path, [node("Softmax", "x", "y", axis=1)], ["n", 3], opset=11), 3)


def test_what_is_not_used_is_not_read(tmp_path):
    nodes = [node("Relu", "x", "y"), node("Sin", "x", "z"), node("Conv", "z w", "q")]
    assert kinds(check(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], **CONSTANTS), 5, 5, 3)) == ["ReLU"]
