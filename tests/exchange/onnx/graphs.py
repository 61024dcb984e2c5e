"""ONNX graphs for tests: written node by node, run by onnxruntime, and turned between the two layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import xpcnn
from xpcnn import nn
from xpcnn.exchange import export_onnx, import_onnx

INT = onnx.TensorProto.INT64


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    """A node; inputs in one string, "-" for one that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, output.split(), name=f"n_{output.split()[0]}", **attributes)


def write(
    path: Path,
    nodes: list[Any],
    sizes: list[Any],
    output: str = "y",
    *,
    opset: int = 18,
    dtype: int = onnx.TensorProto.FLOAT,
    **weights: Any,
) -> Path:
    """A file whose graph has the input "x" of these sizes; integer weights are int64, all others float32."""
    tensors = []
    for name, numbers in weights.items():
        array = np.asarray(numbers)
        kind = "int64" if array.dtype.kind == "i" else "float64" if dtype == onnx.TensorProto.DOUBLE else "float32"
        tensors.append(numpy_helper.from_array(array.astype(kind), name))
    x = helper.make_tensor_value_info("x", dtype, sizes)
    y = helper.make_tensor_value_info(output, dtype, None)
    operators = [helper.make_opsetid("", opset)]
    graph = helper.make_graph(nodes, "test", [x], [y], tensors)
    version = helper.find_min_ir_version_for(operators)
    path.write_bytes(helper.make_model(graph, opset_imports=operators, ir_version=version).SerializeToString())
    return path


def run(path: Path, x: np.ndarray) -> np.ndarray:
    """The outputs that onnxruntime computes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def first(x: np.ndarray) -> np.ndarray:
    """(N, …, C) → (N, C, …)."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def last(x: np.ndarray) -> np.ndarray:
    """(N, C, …) → (N, …, C)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def host(model: nn.Layer, x: np.ndarray) -> np.ndarray:
    """The network's outputs in inference, from and to the host."""
    return xpcnn.to_numpy(model(xpcnn.asarray(x)))


def randomize(model: nn.Layer, rng: np.random.Generator) -> nn.Layer:
    """Numbers that are not all 0 and 1 in every vector: biases, γ, β, slopes, means and variances.

    On the current backend, as tests are that take no `xp`: layers among a test's parameters may be from another.
    """
    for _, layer, key in model.to_backend().named_arrays(buffers=True):
        array = getattr(layer, key)
        if array.ndim == 1 or isinstance(layer, nn.LayerNorm):
            setattr(layer, key, xpcnn.asarray(rng.uniform(0.5, 1.5, array.shape), "float32"))
    return model


def assert_near(actual: np.ndarray, expected: np.ndarray, factor: float = 1.0) -> None:
    """Within 1e-5 of the largest number, which is at least 1."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert np.all(np.isfinite(expected))
    scale = max(1.0, float(np.max(np.abs(expected))))
    assert np.max(np.abs(actual - expected)) <= factor * 1e-5 * scale


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


def compare(path, model, x, *, back=True, **options):
    """The file in onnxruntime, and read back, against the network."""
    export_onnx(model, path, input_shape=x.shape[1:], **options)
    expected = host(model, x)
    assert_near(last(run(path, first(x))), expected)
    if back:
        saved = import_onnx(path)
        assert saved.input_shape == x.shape[1:]
        assert_near(host(saved.model, x), expected)
        return saved.model
    return None
