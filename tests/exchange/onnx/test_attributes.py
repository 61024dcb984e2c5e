"""Every attribute of every operator that is read, at values other than its default: onnxruntime's numbers, or refused.

The operators and their attributes are those of onnx's own schemas, in each version, so that none can be left out.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx
from xpcnn.exchange.onnx.constants import _FOLDERS
from xpcnn.exchange.onnx.file import OLDEST_OPSET
from xpcnn.exchange.onnx.operators import READERS

from .graphs import assert_near, first, host, last, node, numbers, run, write

CHANNELS, HEIGHT, WIDTH = IMAGE = (4, 6, 7)
TENSOR = helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [2.0])
REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
              "ReduceLogSum")  # fmt: skip
WINDOW = {
    "auto_pad": ["VALID", "SAME_UPPER", "SAME_LOWER"],
    "pads": [[1, 0, 0, 1], [0, 2, 1, 0], [-1, 0, 0, 0]],
    "strides": [[2, 1], [3, 3]],
    "dilations": [[2, 1], [1, 3]],
    "kernel_shape": [[2, 2], [3, 2]],
    "ceil_mode": [1],
}
VALUES: dict[str, dict[str, list]] = {  # the first one is honoured, unless it is among REFUSED
    "Conv": WINDOW | {"group": [2]},
    "ConvTranspose": WINDOW
    | {"group": [2], "output_padding": [[1, 0], [0, 1]], "output_shape": [[6, 7], [7, 8], [9, 9]]},
    "MaxPool": WINDOW | {"storage_order": [1]},
    "AveragePool": WINDOW | {"count_include_pad": [1]},
    "BatchNormalization": {"epsilon": [0.1], "momentum": [0.5], "training_mode": [1], "spatial": [0]},
    "LayerNormalization": {"epsilon": [0.1], "axis": [1, 2, -1], "stash_type": [11]},
    "InstanceNormalization": {"epsilon": [0.1]},
    "GroupNormalization": {"epsilon": [0.1], "num_groups": [1, 4], "stash_type": [11]},
    "Gemm": {"alpha": [0.5], "beta": [2.0, 0.0], "transA": [1], "transB": [1]},
    "Softmax": {"axis": [1, 0, 2, -1]},
    "LogSoftmax": {"axis": [1, 0, 2, -1]},
    "LeakyRelu": {"alpha": [0.5, -0.5]},
    "Elu": {"alpha": [2.0, 0.0]},
    "Celu": {"alpha": [2.0, 0.5]},
    "HardSigmoid": {"alpha": [0.3, 1 / 6], "beta": [0.1]},
    "Selu": {"alpha": [1.0], "gamma": [2.0]},
    "Gelu": {"approximate": ["tanh", "none"]},
    "LRN": {"size": [3, 5, 2], "alpha": [0.5], "beta": [0.3], "bias": [2.0]},
    "DepthToSpace": {"blocksize": [2, 3], "mode": ["DCR", "CRD", "XYZ"]},
    "SpaceToDepth": {"blocksize": [2, 4], "mode": ["DCR", "CRD", "XYZ"]},
    "Split": {"axis": [1, 2], "num_outputs": [2], "split": [[1, 3], [2, 1]]},
    "Clip": {"min": [0.0, -1.0], "max": [1.0]},
    "Dropout": {"ratio": [0.9], "seed": [3]},
    "Flatten": {"axis": [0, 2, -1, -4]},
    "Concat": {"axis": [1, 2, -1]},
    "Transpose": {"perm": [[0, 2, 3, 1], [0, 1, 3, 2], [1, 0, 2, 3]]},
    "Squeeze": {"axes": [[2, 3], [1]]},
    "Unsqueeze": {"axes": [[1], [4]]},
    "Reshape": {"allowzero": [1]},
    **{key: {"axes": [[2, 3], [1], [-1, -2]], "keepdims": [0], "noop_with_empty_axes": [1]} for key in REDUCTIONS},
    "ReduceLogSumExp": {"axes": [[2], [1], [-1, -2]], "keepdims": [0], "noop_with_empty_axes": [1]},
    "CastLike": {"saturate": [0], "round_mode": ["down"]},
    "LpNormalization": {"axis": [1, 2, -1], "p": [1]},
    "RMSNormalization": {"epsilon": [0.1], "axis": [1, 2, -1], "stash_type": [11]},
    "Pad": {"mode": ["reflect", "edge", "wrap"], "pads": [[0, 0, 1, 0, 0, 0, 0, 2]], "value": [1.0]},
    "Resize": {
        "mode": ["nearest", "linear", "cubic"],
        "nearest_mode": ["round_prefer_ceil", "floor", "ceil"],
        "coordinate_transformation_mode": [
            "asymmetric", "align_corners", "pytorch_half_pixel", "tf_half_pixel_for_nn", "half_pixel_symmetric",
            "tf_crop_and_resize",
        ],
        "antialias": [1],
        "axes": [[2, 3]],
        "cubic_coeff_a": [-0.5],
        "exclude_outside": [1],
        "extrapolation_value": [5.0],
        "keep_aspect_ratio_policy": ["not_larger", "not_smaller"],
    },
    "Upsample": {"mode": ["linear"], "scales": [[1.0, 1.0, 3.0, 2.0]]},
    "Cast": {"to": [11, 6, 10, 9], "saturate": [0], "round_mode": ["down"]},
    "Gather": {"axis": [1, -1]},
    "Mod": {"fmod": [1]},
    "Range": {"stash_type": [1]},
    "Shape": {"start": [1, -3], "end": [3, -1]},
    "Slice": {"starts": [[0]], "ends": [[1]], "axes": [[0]]},
    "Constant": {
        "value": [TENSOR], "value_float": [2.0], "value_floats": [[2.0], [2.0] * 4], "value_int": [2],
        "value_ints": [[2]], "value_string": ["2"], "value_strings": [["2"]], "sparse_value": [],
    },
    "ConstantOfShape": {"value": [TENSOR]},
}  # fmt: skip
REFUSED = {
    "AveragePool": {"dilations"},
    "BatchNormalization": {"training_mode", "spatial"},
    "Constant": {"value_floats", "value_int", "value_ints", "value_string", "value_strings"},
    "Flatten": {"axis"},
    "Gemm": {"transA"},
    "Mod": {"fmod"},
    "Range": {"stash_type"},
    "Pad": {"value"},
    "LpNormalization": {"p"},
    "ReduceLogSumExp": {"noop_with_empty_axes"},
    "Reshape": {"allowzero"},
    "Selu": {"alpha", "gamma"},
    "Slice": {"starts", "ends", "axes"},
}


def schemas():
    """(operator, opset) for each version that a file can have of what is read, or computed with."""
    newest = onnx.defs.onnx_opset_version()
    for operator in sorted({*READERS, *_FOLDERS, "Constant", "Shape"}):
        opsets = [opset for opset in range(OLDEST_OPSET, newest + 1) if onnx.defs.has(operator, opset)]
        since = {max(onnx.defs.get_schema(operator, opset).since_version, OLDEST_OPSET) for opset in opsets}
        yield from ((operator, opset) for opset in sorted(since))


def cases():
    for operator, opset in schemas():
        for name in onnx.defs.get_schema(operator, opset).attributes:
            for number in range(len(VALUES[operator][name])):
                yield operator, opset, name, number


def graph(operator, opset, name, value):
    """Nodes, the input's sizes, and weights, for an operator whose attribute of that name has the value."""
    sizes, inputs, weights, options = list(IMAGE), "x", {}, {}
    vectors = {key: numbers(CHANNELS, seed=i) for i, key in enumerate("gbm")} | {"v": numbers(CHANNELS) ** 2}
    if operator in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
        options = {"kernel_shape": [3, 2]} | ({"strides": [2, 2]} if name == "output_padding" else {})
        kernel = value if name == "kernel_shape" else options["kernel_shape"]
        if operator == "Conv":
            inputs, weights = "x w", {"w": numbers(6, CHANNELS // (value if name == "group" else 1), *kernel)}
        elif operator == "ConvTranspose":
            inputs, weights = "x w", {"w": numbers(CHANNELS, 3, *kernel)}
    elif operator == "BatchNormalization":
        inputs, weights = "x g b m v", vectors
    elif operator == "InstanceNormalization":
        inputs, weights = "x g b", {key: vectors[key] for key in "gb"}
    elif operator == "GroupNormalization":
        count = CHANNELS if opset >= 21 else value if name == "num_groups" else 2
        inputs, options = "x g b", {"num_groups": 2}
        weights = {key: numbers(count, seed=i) for i, key in enumerate("gb")}
    elif operator in ("LayerNormalization", "RMSNormalization"):
        inputs, options = "x g b" if operator == "LayerNormalization" else "x g", {"axis": 1}
        shape = IMAGE[{1: 0, 2: 1, -1: 2}[value if name == "axis" else 1] :]
        weights = {"g": numbers(*shape), "b": numbers(*shape, seed=1)}
    elif operator == "Gemm":
        sizes, inputs = [5], "x w b"
        weights = {"w": numbers(3, 5) if name == "transB" else numbers(5, 3), "b": numbers(3)}
    elif operator in ("Softmax", "LogSoftmax") and value == 1 and opset < 13:
        sizes = [5]
    elif operator == "Squeeze":
        sizes = [CHANNELS, 1, 1] if value == [2, 3] else [1, HEIGHT, WIDTH]
    elif operator == "CastLike":
        inputs, weights = "x k", {"k": numbers(1)}
    elif operator.startswith("Reduce") and name != "axes":
        axes = [2] if operator == "ReduceLogSumExp" else [2, 3]
        if opset < (13 if operator == "ReduceSum" else 18):
            options = {"axes": axes}
        else:
            inputs, weights = "x a", {"a": axes if name == "keepdims" else np.zeros(0, int)}
    elif operator == "Pad":
        pads = [0, 0, 1, 1, 0, 0, 1, 1]
        inputs, weights, options = ("x", {}, {"pads": pads}) if opset < 11 else ("x p", {"p": pads}, {})
    elif operator == "Upsample":
        scales = [1.0, 1.0, 2.0, 2.0]
        inputs, weights, options = ("x", {}, {"scales": scales}) if opset < 9 else ("x s", {"s": scales}, {})
    elif operator == "Resize":
        scales = [2.0, 2.0] if name == "axes" else [1.0, 1.0, 2.0, 2.0]
        inputs, weights = ("x s", {"s": scales}) if opset < 11 else ("x r s", {"r": np.zeros(0), "s": scales})
    elif operator == "Reshape":
        inputs, weights = "x s", {"s": [0, -1]}
    elif operator == "Concat":
        inputs = "x x"
    elif operator in ("DepthToSpace", "SpaceToDepth"):
        sizes, options = [CHANNELS, HEIGHT, 8], {"blocksize": 2}
    elif operator == "LRN":
        options = {"size": 3}
    elif operator == "Split":
        options = {"axis": 1} | ({"num_outputs": 2} if opset >= 18 and name != "num_outputs" else {})
        return [node(operator, inputs, "a b", **options | {name: value}), node("Sub", "a b", "y")], sizes, weights
    elif operator == "Cast":
        options = {"to": 1}
    elif operator == "Gather":
        inputs, weights = "x i", {"i": [0]}
    elif operator in ("Constant", "ConstantOfShape"):  # a bias
        made = node(operator, "" if operator == "Constant" else "n", "k", **{name: value})
        weights = {"w": numbers(CHANNELS * HEIGHT * WIDTH, 4)} | ({} if operator == "Constant" else {"n": [4]})
        return [made, node("Flatten", "x", "f"), node("Gemm", "f w k", "y")], sizes, weights
    elif operator in ("Shape", "Mod", "Slice", "Range"):  # part of a shape
        made = node(
            operator, {"Shape": "x", "Mod": "i j", "Slice": "i", "Range": "i j j"}[operator], "k", **{name: value}
        )
        parts = "k rest" if name == "end" else "batch k" if name == "start" else "batch k rest"
        weights = {"w": numbers(CHANNELS * HEIGHT * WIDTH, 3), "i": [WIDTH], "j": [10], "batch": [0]}
        weights["rest"] = [WIDTH] if name == "end" else [-1]
        after = [node("Reshape", "x s", "r"), node("Flatten", "r", "f"), node("Gemm", "f w", "y")]
        return [made, node("Concat", parts, "s", axis=0), *after], sizes, weights
    return [node(operator, inputs, "y", **options | {name: value})], sizes, weights


def test_no_attribute_is_left_out():
    for operator, opset in schemas():
        missing = onnx.defs.get_schema(operator, opset).attributes.keys() - VALUES.get(operator, {}).keys()
        assert not missing, (operator, opset, missing)


@pytest.mark.parametrize(("operator", "opset", "name", "number"), list(cases()))
def test_it_is_honoured_or_refused(tmp_path, operator, opset, name, number):
    nodes, sizes, weights = graph(operator, opset, name, VALUES[operator][name][number])
    path = write(tmp_path / "m.onnx", nodes, ["n", *sizes], opset=opset, **weights)
    try:
        saved = import_onnx(path)
    except FormatError:
        saved = None
    if number == 0:
        assert (saved is None) == (name in REFUSED.get(operator, ()))
    if saved is None:
        return
    x = np.random.default_rng(5).normal(size=(2, *saved.input_shape)).astype("float32")
    x = np.abs(x) if operator == "ReduceLogSum" else x
    try:
        expected = run(path, first(x) if x.ndim == 4 else x)
    except Exception as error:  # it does not know every version, and every way to say it
        pytest.skip(f"onnxruntime: {error}"[:100])
    ours = host(saved.model, x)
    same = ours.shape == expected.shape and np.allclose(ours, expected, atol=3e-5)  # or its channels are last
    assert_near(ours, expected if same or expected.ndim < 3 else last(expected), factor=3)
