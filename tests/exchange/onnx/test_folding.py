"""Sizes that a graph works out from constants come to what onnxruntime makes of them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import xpcnn
from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx

from .graphs import check, constant, node, numbers, write

SIZES = np.array([0, 2, 3, 4])  # of a Reshape of (n, 24)
FLOAT, INT = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
ZERO, AFTER = [0], [2, 3, 4]
WORKED_OUT = {
    "Concat": ([node("Concat", "a b", "s", axis=0)], {"a": ZERO, "b": AFTER}),
    "Concat along the last axis": (
        [node("Concat", "a b", "c", axis=1), node("Reshape", "c all", "s")],
        {"a": [[0], [3]], "b": [[2], [4]], "all": [-1]},
    ),
    "Add": ([node("Add", "a b", "s")], {"a": SIZES - 7, "b": [7]}),
    "Sub": ([node("Sub", "a b", "s")], {"a": SIZES + 7, "b": [7]}),
    "Mul and Div": (
        [node("Mul", "a b", "c"), node("Div", "c d", "s")],
        {"a": SIZES, "b": [3], "d": [7, 3, 3, 3]},
    ),
    "Mod": ([node("Mod", "a b", "s")], {"a": [5, 7, 8, -1], "b": [5]}),
    "Gather": ([node("Gather", "a b", "s")], {"a": SIZES[::-1], "b": [3, 2, 1, 0]}),
    "Gather along an axis": (
        [node("Gather", "a b", "s", axis=1)],
        {"a": np.stack([SIZES + 1, SIZES], axis=1), "b": np.int64(1)},
    ),
    "Slice": ([node("Slice", "a one five", "s")], {"a": [9, *SIZES, 9], "one": [1], "five": [5]}),
    "Slice along an axis": (
        [node("Slice", "a b c d", "e"), node("Squeeze", "e axis", "s")],
        {"a": [9 * (SIZES + 1), SIZES], "b": [1], "c": [2], "d": [0], "axis": [0]},
    ),
    "Slice backwards": (
        [node("Slice", "a b c d e", "s")],
        {"a": [4, 9, 3, 9, 2, 9, 0], "b": [-1], "c": [-8], "d": [0], "e": [-2]},
    ),
    "Squeeze": ([node("Squeeze", "a b", "s")], {"a": SIZES[:, None], "b": [1]}),
    "Squeeze of all axes": ([node("Squeeze", "a", "s")], {"a": SIZES[None, :, None]}),
    "Unsqueeze": (
        [node("Unsqueeze", "a b", "c"), node("Concat", "c d", "s", axis=0)],
        {"a": np.int64(0), "b": [0], "d": AFTER},
    ),
    "Reshape": ([node("Reshape", "a b", "s")], {"a": SIZES.reshape(2, 2), "b": [-1]}),
    "Reshape that keeps an axis": ([node("Reshape", "a b", "s")], {"a": SIZES, "b": [0]}),
    "Reshape that keeps the second axis": (
        [node("Reshape", "a b", "c"), node("Squeeze", "c axis", "s")],
        {"a": SIZES.reshape(1, 4, 1), "b": [1, 0], "axis": [0]},
    ),
    "Transpose": ([node("Transpose", "a", "c"), node("Reshape", "c b", "s")], {"a": [[0, 3], [2, 4]], "b": [4]}),
    "Transpose by perm": (
        [node("Transpose", "a", "c", perm=[1, 0, 2]), node("Reshape", "c b", "s")],
        {"a": SIZES.reshape(2, 2, 1).transpose(1, 0, 2), "b": [4]},
    ),
    "Cast": ([node("Cast", "a", "s", to=INT)], {"a": SIZES + 0.0}),
    "ConstantOfShape": (
        [
            node("ConstantOfShape", "a", "z", value=onnx.helper.make_tensor("", INT, [1], [3])),
            node("Add", "z b", "c"),
            node("Concat", "c d", "s", axis=0),
        ],
        {"a": [1], "b": [-3], "d": AFTER},
    ),
    "ConstantOfShape, 0": (
        [node("ConstantOfShape", "a", "z"), node("Cast", "z", "c", to=INT), node("Concat", "c d", "s", axis=0)],
        {"a": [1], "d": AFTER},
    ),
    "Shape of the batch": (
        [node("Shape", "x", "n", start=0, end=1), node("Concat", "n d", "s", axis=0)],
        {"d": AFTER},
    ),
    "Shape of a constant": (
        [node("Shape", "a", "c"), node("Concat", "z c", "s", axis=0)],
        {"a": numbers(2, 3, 4), "z": ZERO},
    ),
    "Shape of its end": (
        [node("Shape", "a", "c", start=1), node("Concat", "z c", "s", axis=0)],
        {"a": numbers(1, 2, 3, 4), "z": ZERO},
    ),
    "Constant": ([constant("s", SIZES)], {}),
    "Constant of a number": (
        [node("Constant", "", "c", value_int=2), node("Constant", "", "d", value_ints=[3, 4]),
         node("Unsqueeze", "c zero", "e"), node("Concat", "zero e d", "s", axis=0)],
        {"zero": ZERO},
    ),
    "Constant of a float": (
        [node("Constant", "", "c", value_float=2.0), node("Cast", "c", "d", to=INT), node("Unsqueeze", "d zero", "e"),
         node("Concat", "zero e f", "s", axis=0)],
        {"zero": ZERO, "f": [3, 4]},
    ),
    "Identity": ([node("Identity", "a", "s")], {"a": SIZES}),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKED_OUT)
def test_sizes_that_are_worked_out(tmp_path, name):
    nodes, constants = WORKED_OUT[name]
    nodes = [*nodes, node("Gemm", "x w", "h"), node("Reshape", "h s", "y")]
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 5], w=numbers(5, 24), **constants), 5)
    assert model(np.zeros((7, 5), "f4")).shape == (7, 3, 4, 2)


@pytest.mark.parametrize("scale", ["i g", "g i"])
@pytest.mark.parametrize("shift", ["p b", "b p"])
def test_group_norm_written_out_with_its_factors_on_either_side(tmp_path, scale, shift):
    nodes = [
        node("Reshape", "x groups", "r"), node("InstanceNormalization", "r one zero", "q"), node("Shape", "x", "shape"),
        node("Reshape", "q shape", "i"), node("Mul", scale, "p"), node("Add", shift, "y"),
    ]  # fmt: skip
    weights = {"groups": [0, 2, -1], "one": np.ones(2), "zero": np.zeros(2)}
    weights |= {"g": numbers(4, 1, 1), "b": numbers(4, 1, 1, seed=1)}
    check(write(tmp_path / "m.onnx", nodes, ["n", 4, 3, 2], **weights), 3, 2, 4)


@pytest.mark.parametrize("operator", ["Mul", "Sub", "Div"])
def test_what_depends_on_the_batch_s_size(tmp_path, operator):
    """The size is not known: −1 stands for it, and (−1)² is not 1."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s first", "n"), node(operator, "n n", "m"),
             node("Concat", "m rest", "to", axis=0), node("Reshape", "x to", "y")]  # fmt: skip
    with pytest.raises(FormatError, match="sizes that do not depend on the batch's"):
        import_onnx(write(tmp_path / "m.onnx", nodes, [1, 4], first=[0], rest=[4]))


def test_weights_that_are_one_number(tmp_path, monkeypatch):
    """As in files that show a topology alone; nothing of their size is made before a layer has them."""
    value = onnx.helper.make_tensor("", onnx.TensorProto.FLOAT, [1], [0.25])
    nodes = [node("ConstantOfShape", "s", "w", value=value), node("Conv", "x w", "y")]
    weights = import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], s=[4, 3, 3, 3])).model[0].weight
    np.testing.assert_array_equal(xpcnn.to_numpy(weights), np.full((4, 3, 3, 3), 0.25))
    check(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], s=[4, 3, 3, 3]), 5, 5, 3)
    with pytest.raises(FormatError, match="at most 268435456 numbers"):
        import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], s=[2**20, 2**20, 3, 3]))
    path = write(tmp_path / "m.onnx", nodes, ["n", 3, 5, 5], s=[4, 3, 3, 3])
    monkeypatch.setattr("xpcnn.exchange.onnx.graph_state.MOST_BYTES", 4 * 108)
    import_onnx(path)
    monkeypatch.setattr("xpcnn.exchange.onnx.graph_state.MOST_BYTES", 4 * 108 - 1)
    with pytest.raises(FormatError, match="weights of at most 431 bytes in all"):
        import_onnx(path)
