"""Operators without a layer are refused, in one line that names the file, the node and the operator."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx

from .graphs import (
    check,
    kinds,
    node,
    numbers,
    write,
)

W = {"w": numbers(4, 3, 3, 3), "v": numbers(3), "one": 1.0, "m": np.ones((3, 1, 1))}
REFUSED = [
    ([node("Det", "x", "y")], r"n_y \(Det\): expected an operator that layers of xpcnn.nn stand for"),
    ([node("Gelu", "x", "y", approximate="sigmoid")], "expected approximate none or tanh, got sigmoid"),
    ([node("Erf", "x", "e"), node("Mul", "x e", "y")], "Erf"),
    ([node("Clip", "x six zero", "y")], "min ≤ max, got 6.0 and 0.0"),
    ([node("Div", "x zeros", "y")], "a divisor that is not 0"),
    ([node("Max", "x m", "y")], r"one number as a bound, got \(3, 1, 1\)"),
    ([node("Max", "x one x", "y")], "a value that is computed, and a constant, got 1 constants of 3 inputs"),
    ([node("Concat", "x x", "y", axis=0)], "an axis of items, got the batch's"),
    ([node("Softmax", "x", "y", axis=0)], "an axis of items, got the batch's"),
    ([node("Pow", "x v", "y")], "one exponent"),
    ([node("Gather", "x backwards", "y", axis=2)], "places in steps"),
    ([node("Gather", "x batch", "y", axis=0)], "an axis of items, got the batch's"),
    ([node("Split", "x one_and_one", "y z", axis=0)], "an axis of items, got the batch's"),
    ([node("Expand", "x wider", "y")], r"the sizes \[-1, 3, 5, 5\] as they are"),
    ([node("Gather", "x wrong", "y", axis=4)], "an axis of 4, got 4"),
    ([node("RMSNormalization", "x v", "y", axis=0)], "an axis of items, got the batch's"),
    ([node("ReduceLogSumExp", "x both", "y")], "one axis, got"),
    ([node("LpNormalization", "x", "y", p=1)], "expected p 2, got 1"),
    ([node("Resize", "x - odd", "y", mode="linear", coordinate_transformation_mode="align_corners")],
     "scales by which sizes are whole numbers, got 1.3; give sizes"),
    ([node("Resize", "x beyond s", "y", mode="linear", coordinate_transformation_mode="tf_crop_and_resize")],
     "within the image"),
    ([node("Resize", "x - s", "y", mode="linear", coordinate_transformation_mode="own")], "an interpolation of ONNX"),
    ([node("Resize", "x - s", "y", mode="cubical")], "an interpolation of ONNX"),
    ([node("Resize", "x - of_batch", "y")], "scales of height and width"),
    ([node("Mul", "x w", "y")], "a number for each of 3 channels"),
    ([node("DepthToSpace", "x", "y", blocksize=2)], "a blocksize that divides the image"),
    ([node("SpaceToDepth", "x", "y", blocksize=2)], "a blocksize that divides the image"),
    ([node("Slice", "x one_axis channel_and_height", "y")], "a start, an end and a step above 0 for each axis"),
    ([node("Slice", "x batch one_axis batch", "y")], "slices of items, and not of the batch"),
    ([node("Slice", "x one_axis batch one_axis1", "y")], "a slice of one number at least"),
    ([node("Split", "x channel_and_height", "y z", axis=2)], "5 in 2 parts"),
    ([node("Split", "x one_and_one", "y z", axis=1)], "3 in 2 parts"),
    ([node("Sub", "x m", "c"), node("Div", "c zeros", "y")], "a divisor that is not 0"),
    ([node("Relu", "-", "y")], "expected 1 inputs, got 1"),
    ([node("Conv", "x w", "y", group=3)], "weights for 3 channels, got for 9"),
    ([node("Conv", "x w", "y", strange=1)], "known attributes, got strange"),
    ([node("Conv", "x w", "y", pads=[-1, 0, 0, 0])], "padding"),
    ([node("Conv", "x w", "y", strides=[0, 1])], "stride"),
    ([node("Conv", "x w", "y", strides=[1.0, 1.0])], "attribute strides of type 7, got type 6"),
    ([node("Conv", "x w", "y", group="3")], "attribute group of type 2, got type 3"),
    ([node("Conv", "x w", "y", kernel_shape=[1, 1])], "as kernel_shape says"),
    ([node("Conv", "x w v", "y")], r"bias \(4,\), got \(3,\)"),
    ([node("Conv", "x x", "y")], "a constant as input 2, got a value that is computed"),
    ([node("Conv", "w x", "y")], "computed from the network's input, got a constant"),
    ([node("Conv", "x nan", "y")], "finite numbers as input 2, got NaN or infinity"),
    ([node("Conv", "x w", "y", dilations=[9, 9])], "height ≥ 19"),
    ([node("MaxPool", "x", "y", kernel_shape=[2])], "a kernel of 2 axes"),
    ([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[0, 0, 2, 2])], "under every window"),
    ([node("MaxPool", "x", "y i", kernel_shape=[2, 2]), node("Relu", "i", "z")], "got a use of its output 2"),
    ([node("MaxPool", "x", "y", kernel_shape=[2**40, 1], pads=[2**40] * 4)], "windows of at most 1024"),
    ([node("Reshape", "x row", "y")], "a shape for 75 numbers an item, got .-1."),
    ([node("Reshape", "x one_row", "y")], "whose first axis is the batch, got .1, -1."),
    ([node("Reshape", "x wrong", "y")], "a shape for 75 numbers an item"),
    ([node("Reshape", "x below_0", "y")], "a shape for 75 numbers an item"),
    ([node("GlobalAveragePool", "x", "a"), node("Flatten", "a", "f"), node("Mul", "x f", "y")],
     r"the same axes, of one shape, .* got \(3, 5, 5\) and \(3,\); bring them to the same number of axes"),
    ([node("MaxPool", "x", "a", kernel_shape=[2, 2]), node("Max", "x a", "y")], "of length 1 where they differ"),
    ([node("Sub", "x x x", "y")], "two inputs, got 3"),
    ([node("Add", "x x x", "y")], "two inputs, got 3"),
    ([node("Mul", "x", "y")], "two inputs, got 1"),
    ([node("Div", "x", "y")], "two inputs, got 1"),
    ([node("Flatten", "x", "y", axis=2)], "axis 1, got another"),
    ([node("Squeeze", "x one_axis", "y")], r"axes of length 1, and not the batch's, got \(2,\)"),
    ([node("Flatten", "x", "f"), node("Gemm", "f column", "g"), node("Squeeze", "g one_axis1", "y")],
     "an output with an axis besides the batch's"),
    ([node("Squeeze", "x batch", "y")], "axes of length 1, and not the batch's"),
    ([node("GlobalAveragePool", "x", "a"), node("Squeeze", "a axis_6", "y")], "an axis of 4, got 6"),
    ([node("Unsqueeze", "x axis_6", "y")], "an axis of 5, got 6"),
    ([node("ReduceL2", "x axis_6", "n"), node("Max", "n one", "k"), node("Div", "x k", "y")], "an axis of 4, got 6"),
    ([node("Flatten", "x", "f"), node("Gather", "f backwards", "y", axis=1)], "the order of flattened images"),
    ([node("Transpose", "", "y")], r"n_y \(Transpose\): expected 1 inputs, got 0"),
    ([node("Transpose", "x", "y", perm=[1, 0, 2, 3])], "leaves the batch axis"),
    ([node("Transpose", "x", "z", perm=[0, 2, 1, 3]), node("Conv", "z w", "y")], "weights for 5 channels, got for 3"),
    ([node("Selu", "x", "y", alpha=2.0)], "the constants of Klambauer et al."),
    ([node("Pad", "x p", "y", mode="wrap")], "zeros, reflect or edge, got mode wrap"),
    ([node("Pad", "x wide", "y", mode="reflect")], "sides below the image's"),
    ([node("Pad", "x of_channels", "y", mode="edge")], "height and width, or channels, got axes"),
    ([node("LRN", "x", "y", size=4)], "an odd size, got 4"),
    ([node("ReduceMax", "x batch", "y")], "axes of an item"),
    ([node("ReduceMean", "x all_axes", "y", keepdims=0)], "an output with an axis besides the batch's"),
    ([node("Pad", "x p one", "y")], "zeros, reflect or edge, got mode constant, 1"),
    ([node("Greater", "x six", "a"), node("Softplus", "x", "b"), node("Where", "a x b", "y")], "Greater"),
    ([node("MatMul", "bins x", "y")], "weights for 5 features"),
    ([node("Flatten", "x", "f"), node("MatMul", "bins f", "y")], "weights as the second factor"),
    ([node("BatchNormalization", "x v v v v", "y", training_mode=1)], "inference, a mean for each channel"),
    ([node("Dropout", "x half0 yes", "y")], "inference, got training_mode"),
    ([node("MaxPool", "x", "y", kernel_shape=[2, 2], dilations=[1, 2], auto_pad="SAME_UPPER")],
     "a window without gaps"),
    ([node("MaxPool", "x", "y", kernel_shape=[1, 2], strides=[3, 1], auto_pad="SAME_LOWER")],
     "reaches over the stride"),
    ([node("AveragePool", "x", "y", kernel_shape=[1, 1], strides=[3, 3], auto_pad="SAME_UPPER")],
     "for auto_pad, got 1×1; write pads as numbers"),
    ([node("ConvTranspose", "x tw", "y", strides=[4, 4], auto_pad="SAME_UPPER")], "an output of at most 19, got 20"),
    ([node("ConvTranspose", "x tw", "y", output_shape=[9, 7])], "an output of at most 7, got 9"),
    ([node("ConvTranspose", "x tw", "y", output_shape=[1, 3, 7, 7])], "a number an axis as output_shape"),
    ([node("GatherND", "x row", "y")], "GatherND"),
    ([node("Relu", "x", "a"), node("Sin", "a", "b"), node("Relu", "b", "y")], r"n_b \(Sin\)"),
    ([node("Relu", "x", "y", domain="com.own")], r"com.own::Relu"),
]  # fmt: skip
CONSTANTS = W | {
    "zero": 0.0, "six": 6.0, "nan": np.full((4, 3, 3, 3), np.nan), "row": [-1], "one_row": [1, -1],
    "wrong": [-1, 7], "below_0": [0, -3, -25], "one_axis": [2], "axis_6": [6],
    "channel_and_height": [1, 2], "batch": [0],
    "tw": np.ones((3, 2, 3, 3)),
    "bins": np.full((1, 4), 0.2), "wider": [1, 3, 5, 10], "both": [1, 2], "beyond": [0, 0, -0.5, 0, 1, 1, 1, 1.5],
    "of_batch": [2.0, 1.0, 2.0, 2.0],
    "backwards": np.arange(75)[::-1], "p": [0, 0, 1, 1, 0, 0, 0, 0], "s": [1.0, 1.0, 2.0, 2.0],
    "column": np.ones((75, 1)),
    "half0": 0.5, "yes": 1.0, "zeros": np.zeros((3, 1, 1)),
    "wide": [0, 0, 5, 0, 0, 0, 0, 0], "of_channels": [0, 1, 0, 0, 0, 0, 0, 0], "all_axes": [1, 2, 3],
    "odd": [1.0, 1.0, 1.3, 2.0],
    "one_axis1": [1], "one_and_one": [1, 1],
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "text"), REFUSED)
def test_what_no_layer_stands_for(tmp_path, nodes, text):
    path = write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], nodes[-1].output[0], **CONSTANTS)
    with pytest.raises(FormatError, match=text) as caught:
        import_onnx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_batch_norm_that_was_exported_in_training(tmp_path):
    """Until opset 14, its five outputs alone say so: the batch's own statistics are subtracted."""
    for opset in (7, 9, 13):
        nodes = [node("BatchNormalization", "x v v v v", "y m s sm sv")]
        path = write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], opset=opset, v=np.ones(3))
        with pytest.raises(FormatError, match="inference, a mean for each channel, got another mode"):
            import_onnx(path)


def test_constants_that_are_not_read_are_refused(tmp_path):
    """Not taken for 0."""
    nodes = [node("Constant", "", "k", value_floats=[1.0, 2.0]), node("Flatten", "x", "f"), node("Gemm", "f w k", "y")]
    path = write(tmp_path / "m.onnx", nodes, ["n", 3, 1, 1], w=np.ones((3, 2)))
    with pytest.raises(FormatError, match="known attributes, got value_floats"):
        import_onnx(path)


def test_what_is_not_used_is_not_read(tmp_path):
    nodes = [node("Relu", "x", "y"), node("Sin", "x", "z"), node("Conv", "z w", "q")]
    assert kinds(check(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], **CONSTANTS), 5, 5, 3)) == ["ReLU"]


@pytest.mark.parametrize(
    ("pad", "pool", "text"),
    [
        ([0, 0, 1, 0, 0, 0, 0, 2], {"pads": [0, 1, 0, 0]}, "no padding after a Pad of -inf"),
        ([0, 1, 1, 0, 0, 0, 0, 2], {}, "zeros, reflect or edge, got mode constant, -inf"),
        ([1, 0, 0, 0, 0, 0, 0, 2], {}, "zeros, reflect or edge, got mode constant, -inf"),
        ([0, 0, -1, 0, 0, 0, 0, 2], {}, "zeros, reflect or edge, got mode constant, -inf"),
        ([0, 0, 0, 0, 0, 0, 2**20, 2], {}, "zeros, reflect or edge, got mode constant, -inf"),
        ([0, 0, 1, 2], {}, "zeros, reflect or edge, got mode constant, -inf"),
        ([0, 0, 0, 0, 0, 0, 3, 0], {}, "under every window"),
    ],
)
def test_lowest_numbers_around_images_are_padding_of_a_maximum_alone(tmp_path, pad, pool, text):
    nodes = [node("Pad", "x pads lowest", "p"), node("MaxPool", "p", "y", kernel_shape=[2, 2], **pool)]
    path = write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], pads=pad, lowest=-np.inf)
    with pytest.raises(FormatError, match=text):
        import_onnx(path)
    relu = [nodes[0], node("Relu", "p", "y")]
    with pytest.raises(FormatError, match="zeros, reflect or edge, got mode constant, -inf"):
        import_onnx(write(tmp_path / "m.onnx", relu, ["n", 3, 5, 5], pads=[0, 0, 1, 0, 0, 0, 0, 2], lowest=-np.inf))
