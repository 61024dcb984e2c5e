"""ONNX's own tests of single operators: which of them are imported, and whether the numbers are right.

    python -m ci.onnx_nodes FOLDER

FOLDER is backend/test/data/node of the wheel of onnx 1.18.0; later wheels do not have it. Each test is a model, inputs
and outputs. It is imported with `import_onnx`, as any file is, and its first output compared with the test's, or all of
them where all can be read. Right is a difference of at most 1e-5 of the largest number, which is at least 1; where the
test's own numbers are rounded to four digits after the point, of half of the last one.

A network has inputs that are batches of items, and weights. A test has inputs only, so that each test is tried in all
the ways in which it can be a network: the inputs after the first are initializers, or are inputs of a network of
several inputs; images have their channels first, or last; a vector of N numbers is N items of one. It is right if all
the ways that are imported are right, and wrong if one is wrong. Tests whose first input has no floats, and those of
other domains, are refused without a try.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import xpcnn
from xpcnn.errors import XpcnnError
from xpcnn.exchange import import_onnx
from xpcnn.table import columns
from xpcnn.typing import NDArray

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
RIGHT, FIRST = "right", "right, of several outputs the first"


def judge(test: Path, folder: Path) -> str:
    """Whether the test's network is right, or why there is none."""
    model = onnx.load(test / "model.onnx")
    if reason := _outside(model):
        return reason
    data = test / "test_data_set_0"
    inputs = [_tensor(data / f"input_{number}.pb") for number in range(len(model.graph.input))]
    vectors = inputs[0].ndim == 1
    if vectors and any(attribute.name in ("axis", "axes") for node in model.graph.node for attribute in node.attribute):
        return "no batch axis"
    if vectors:
        _as_items(model.graph)
        inputs = [x[:, None] if x.shape == inputs[0].shape else x for x in inputs]
    outputs = [_tensor(data / f"output_{number}.pb") for number in range(len(model.graph.output))]
    outputs = [y[:, None] if vectors and y.ndim == 1 else y for y in outputs]
    verdicts, reasons = set[str](), []
    for several in _ways(model, inputs):
        path = folder / "model.onnx"
        path.write_bytes(_with_initializers(model, inputs, several).SerializeToString())
        for layout in ("NCHW", "NHWC"):
            for output in dict.fromkeys((None, model.graph.output[0].name)):
                try:
                    network: Any = import_onnx(path, layout=layout, output=output).model
                    given = [np.moveaxis(x, 1, -1) if layout == "NCHW" and x.ndim > 2 else x for x in inputs[:several]]
                    arrays = tuple(xpcnn.asarray(np.ascontiguousarray(x)) for x in given)
                    made = network(arrays[0] if several == 1 else arrays)
                except XpcnnError as error:
                    reasons.append(error)
                    continue
                made = made if isinstance(made, tuple) else (made,)
                equal = all(_near(xpcnn.to_numpy(y), expected) for y, expected in zip(made, outputs, strict=False))
                verdicts.add((RIGHT if len(made) == len(outputs) else FIRST) if equal else "wrong")
    for verdict in ("wrong", RIGHT, FIRST):
        if verdict in verdicts:
            return verdict
    return _reason(reasons[0])


def _outside(model: Any) -> str:
    """Why the test is none of a network."""
    if any(each.domain not in ("", "ai.onnx") for each in model.opset_import):
        return "operators of another domain"
    ends = [*model.graph.input[:1], *model.graph.output[:1]]
    if not model.graph.input or any(each.type.WhichOneof("value") != "tensor_type" for each in model.graph.input):
        return "no input, sequences or optional values"
    if any(each.type.WhichOneof("value") != "tensor_type" for each in ends):
        return "no input, sequences or optional values"
    if any(each.type.tensor_type.elem_type not in FLOATS for each in ends):
        return "no floats of 32 or 64 bits"
    if any(len(each.type.tensor_type.shape.dim) < 1 for each in ends):
        return "no batch axis"
    return ""


def _tensor(path: Path) -> NDArray:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    array: NDArray = numpy_helper.to_array(tensor)
    return array


def _as_items(graph: Any) -> None:
    """Inputs that are vectors as batches of items of one number."""
    shapes = [value.type.tensor_type.shape for value in graph.input]
    for shape in [shape for shape in shapes if shape == shapes[0]]:
        shape.dim.add().dim_value = 1


def _ways(model: Any, inputs: list[NDArray]) -> Iterator[int]:
    """How many inputs the network has."""
    yield 1
    items = [x.ndim > 1 and x.dtype == inputs[0].dtype and len(x) == len(inputs[0]) for x in inputs]
    if len(inputs) > 1 and all(items):
        yield len(inputs)


def _with_initializers(model: Any, inputs: list[NDArray], several: int) -> Any:
    """The model, in which only so many inputs are left."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for value, array in zip(model.graph.input[several:], inputs[several:], strict=True):
        changed.graph.input.remove(value)
        if value.name:
            changed.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return changed


def _near(y: NDArray, expected: NDArray) -> bool:
    """Whether they are equal, channels last or first."""
    ways = [y, np.moveaxis(y, -1, 1)] if y.ndim > 2 else [y]
    limit = 1e-5 * max(1.0, float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))))
    if np.array_equal(np.round(expected, 4), expected):
        limit += 5e-5
    return any(way.shape == expected.shape and np.allclose(way, expected, 0, limit, True) for way in ways)


def _reason(error: XpcnnError) -> str:
    return f"{error.who.partition('(')[2].rstrip(')')}: expected {error.expected}"


def main() -> int:
    parser = argparse.ArgumentParser(description="ONNX's node tests, imported")
    parser.add_argument("folder", type=Path, help="backend/test/data/node of onnx 1.18.0")
    parser.add_argument("--list", action="store_true", help="also each test and what became of it")
    arguments = parser.parse_args()
    found = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for test in sorted(arguments.folder.iterdir()):
            verdict = judge(test, Path(folder))
            found[verdict] += 1
            if arguments.list:
                print(f"{test.name}: {verdict}")
    rows = [(verdict, str(count)) for verdict, count in found.most_common()]
    print(columns(("", "tests"), rows))
    return int("wrong" in found)


if __name__ == "__main__":
    sys.exit(main())
