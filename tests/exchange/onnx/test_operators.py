"""Operators that layers stand for, in all the ways in which files have them, against onnxruntime."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx

from .graphs import (
    check,
    kinds,
    node,
    numbers,
    write,
)


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


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"dilations": [2, 1]}, {"output_padding": [1, 0]}, {"pads": [1, 0, 0, 1]}])
def test_automatic_padding_of_a_transposed_convolution(tmp_path, auto, stride, options):
    """The output is `stride` times the input; an odd row goes at the end, or at the beginning."""
    options = options if stride > 1 else {name: value for name, value in options.items() if name != "output_padding"}
    if auto != "NOTSET" and "pads" in options:
        options = {}
    for kernel in ([3, 4], [4, 5]):
        nodes = [node("ConvTranspose", "x w b", "y", auto_pad=auto, strides=[stride, stride], **options)]
        path = write(tmp_path / "m.onnx", nodes, ["n", 2, 5, 6], w=numbers(2, 3, *kernel), b=numbers(3))
        model = check(path, 5, 6, 2)
        if auto.startswith("SAME"):
            assert model.output_shape((5, 6, 2)) == (5 * stride, 6 * stride, 3)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "NOTSET"])
@pytest.mark.parametrize("size", [[11, 13], [10, 12], [9, 9]])
def test_a_transposed_convolution_to_a_size(tmp_path, auto, size):
    """Pads are not looked at then."""
    options = {"strides": [2, 2], "output_shape": size} | ({"pads": [1, 1, 1, 1]} if auto == "NOTSET" else {})
    nodes = [node("ConvTranspose", "x w", "y", auto_pad=auto, **options)]
    path = write(tmp_path / "m.onnx", nodes, ["n", 2, 5, 6], w=numbers(2, 3, 4, 3))
    assert check(path, 5, 6, 2).output_shape((5, 6, 2)) == (*size, 3)


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


def test_a_softmax_of_old_is_over_all_axes_from_one_on(tmp_path):
    path = write(tmp_path / "m.onnx", [node("Softmax", "x", "y", axis=1)], ["n", 3, 5, 5], opset=11)
    with pytest.raises(FormatError, match="the channels"):
        import_onnx(path)
    check(write(path, [node("Softmax", "x", "y", axis=1)], ["n", 3, 5, 5], opset=13), 5, 5, 3)
    check(write(path, [node("Softmax", "x", "y", axis=1)], ["n", 3], opset=11), 3)


@pytest.mark.parametrize("sizes", [(3, 1, 1), (3, 1, 4), (1, 1, 5)])
def test_squeeze_without_axes_drops_every_axis_of_one(tmp_path, sizes):
    """Of images, and of the numbers that shapes are made of."""
    file, after = tmp_path / "m.onnx", [axis for axis, size in enumerate(sizes, 1) if size == 1]
    nodes = [node("Squeeze", "x", "s"), node("Unsqueeze", "s", "y", axes=after)]
    check(write(file, nodes, ["n", *sizes], opset=11), *sizes[1:], sizes[0])
    nodes = [node("Shape", "x", "all"), node("Gather", "all i", "one"), node("Squeeze", "one", "n0"),
             node("Unsqueeze", "n0", "n1", axes=[0]), node("Concat", "n1 rest", "to", axis=0),
             node("Reshape", "x to", "row"), node("Gemm", "row w", "y")]  # fmt: skip
    weights = {"i": [0], "rest": [-1], "w": numbers(math.prod(sizes), 2)}
    check(write(file, nodes, ["n", *sizes], opset=11, **weights), *sizes[1:], sizes[0])


@pytest.mark.parametrize("scale", ["divided", "multiplied"])
@pytest.mark.parametrize("order", ["x (gate ½)", "(x gate) ½", "½ x gate"])
def test_gelu_written_with_erf(tmp_path, scale, order):
    """As torch.onnx.export, tf2onnx and others write it before opset 20."""
    inner = node("Div", "x root", "r") if scale == "divided" else node("Mul", "x inverse", "r")
    last = {
        "x (gate ½)": [node("Mul", "g half", "h"), node("Mul", "x h", "y")],
        "(x gate) ½": [node("Mul", "x g", "h"), node("Mul", "h half", "y")],
        "½ x gate": [node("Mul", "half x", "h"), node("Mul", "h g", "y")],
    }[order]
    nodes = [inner, node("Erf", "r", "e"), node("Add", "e one", "g"), *last]
    constants = {"root": np.sqrt(2), "inverse": np.sqrt(0.5), "one": 1.0, "half": 0.5}
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], **constants), 5, 5, 3)
    assert [each.approximate for _, each in model.named_layers() if isinstance(each, nn.GELU)] == ["none"]


@pytest.mark.parametrize("product", ["Conv", "Gemm"])
def test_a_sum_after_a_bias(tmp_path, product):
    """As in hard sigmoids written out: relu6(conv(x) + 3)."""
    sizes, weight = (["n", 3, 5, 4], (2, 3, 1, 1)) if product == "Conv" else (["n", 3], (3, 2))
    nodes = [node(product, "x w b", "p"), node("Add", "p three", "y")]
    path = write(tmp_path / "m.onnx", nodes, sizes, w=numbers(*weight), b=numbers(2), three=3.0)
    model = check(path, *([5, 4, 3] if product == "Conv" else [3]))
    assert kinds(model) == ["Conv2d" if product == "Conv" else "Linear", "Scale"]


def test_older_softmax_of_pooled_images(tmp_path):
    """It is over all axes from the given one on, of which one is longer than 1."""
    nodes = [node("GlobalAveragePool", "x", "p"), node("Softmax", "p", "y")]
    check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], opset=9), 4, 5, 3)
    for path, axis in ((tmp_path / "a.onnx", 0), (tmp_path / "b.onnx", 2)):
        write(
            path, [node("GlobalAveragePool", "x", "p"), node("Softmax", "p", "y", axis=axis)], ["n", 3, 4, 5], opset=9
        )
        with pytest.raises(FormatError, match="the channels, got axis"):
            import_onnx(path)
