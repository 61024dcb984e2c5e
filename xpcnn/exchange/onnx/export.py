"""Networks to ONNX files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from ... import __version__, nn
from ...errors import FormatError, OptionError
from ...extras import need
from ...io.atomic import write_atomically
from ...io.model_file import LABELS, REGRESSION, Estimator, of_estimator
from ...nn.container import with_layer_name
from ...nn.layer import check_layer, dotted
from ...nn.own_layers import standing_for
from ...options import as_choice, as_count, as_names, as_path, as_shape
from ...typing import Shape
from . import activations, moving, normalization, pooling, products, resizing  # noqa: F401  register their translators
from .graph import Graph, Tensor
from .joins import JOINS
from .layers import TRANSLATORS, Place, to_channels_first, to_channels_last

OLDEST_OPSET = 17  # the first with LayerNormalization
MOST_BYTES = 2**31 - 2**20  # a protocol buffer ends at 2 GiB


def export_onnx(
    model: nn.Layer | Estimator,
    path: str | os.PathLike[str],
    *,
    input_shape: Iterable[Any] | None = None,
    classes: Iterable[str] = (),
    opset: int = OLDEST_OPSET,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
    batch: int | None = None,
) -> None:
    """Write a network, as it is in inference, to an ONNX file; the file is there whole and checked, or not at all.

    The graph has one input, "input", and one output, "output"; several have their names in `nn.Graph`. All are float32,
    whatever dtype the parameters have. Its nodes and weights have the names of the network's layers and parameters.
    The file's properties hold the classes (as JSON), the layout, and the range of numbers that the input is expected
    to have.

    Parameters
        model : layers of `xpcnn.nn`, of which `xpcnn.exchange.onnx.layers` lists what becomes of each; and layers of
            your own that say by `composed` which of these compute the same. Or a fitted estimator of `xpcnn.sklearn`:
            the graph then takes what `predict` does, and returns probabilities, or the numbers that it predicts
        path : where to
        input_shape : one input's shape as the network has it, without the batch axis, such as (28, 28, 1); of several
            inputs, a shape each. An estimator has its own, and its own classes
        classes : the names of the one output's numbers
        opset : the version of ONNX's operators; more programs read the older ones
        layout : of images that go in and come out: "NCHW" is (N, C, H, W), which is usual in ONNX files, and "NHWC"
            is (N, H, W, C), as in xpcnn
        batch : N, where it is to be fixed; None for any
    Raises
        OptionError : a layer is none of these, an argument makes no sense, or the weights exceed 2 GiB
        ShapeError : the network does not take inputs of that shape
        FileError : the file cannot be written; an older one is untouched
        MissingExtraError : onnx is not installed

    >>> import tempfile, onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), folder + "/model.onnx", input_shape=(4,))
    ...     [node.op_type for node in onnx.load(folder + "/model.onnx").graph.node]
    ['Gemm', 'Relu']
    """
    who = "export_onnx"
    input_range = "[0, 1]"
    if isinstance(model, Estimator):
        model, input_shape, classes, extra = of_estimator(who, model, input_shape, classes, divided=False)
        last = (nn.Sigmoid(),) if extra.get(LABELS) else () if extra.get(REGRESSION) else (nn.Softmax(),)
        model, input_range = nn.Sequential(model, *last), "as the estimator was fitted with"
    check_layer(who, model)
    path = as_path("export_onnx", path)
    onnx = need("onnx", who, "for files in its format")
    shapes = _by_input(who, model, input_shape)
    newest = onnx.defs.onnx_opset_version()
    if as_count(who, "opset", opset) < OLDEST_OPSET or opset > newest:
        raise OptionError(who, f"opset: {OLDEST_OPSET} to {newest}", str(opset))
    as_choice(who, "layout", layout, ("NCHW", "NHWC"))
    size = "N" if batch is None else as_count(who, "batch", batch)
    graph = Graph(opset, shapes)
    xs = tuple(_begun(graph, name, shape, layout) for name, shape in shapes.items())
    made = _Translation(graph, model).network("", model, xs if len(xs) > 1 else xs[0])
    ys = [graph.in_own_order(y) for y in (made if isinstance(made, tuple) else (made,))]
    names = as_names(who, "classes", classes)
    scores = ys[0].shape[-1] if len(ys) == 1 else 0
    if not all(isinstance(name, str) for name in names) or len(names) not in (0, scores):
        raise OptionError(who, f"classes: a name for each of the {scores} outputs, or none", repr(names)[:80])
    outputs = dict(zip(_end_names(getattr(model, "outputs", ()), len(ys), "output"), ys, strict=True))
    turned = {name: layout == "NHWC" and len(y.shape) > 1 for name, y in outputs.items()}
    graph.finish({n: (y.name, to_channels_last(len(y.shape)) if turned[n] else None) for n, y in outputs.items()})
    properties = {"classes": json.dumps(names, ensure_ascii=False), "layout": layout, "input_range": input_range}
    begins = {name: [size, *_outside(shape, layout)] for name, shape in shapes.items()}
    ends = {name: [size, *_outside(y.shape, layout)] for name, y in outputs.items()}
    write_atomically(path, _document(onnx, graph, begins, ends, properties, str(path)))


def _by_input(who: str, model: nn.Layer, input_shape: Iterable[Any] | None) -> dict[str, Shape]:
    """The inputs' shapes by their names in the graph."""
    if model.arity == (1, 1):
        return {"input": as_shape(who, input_shape)}
    least, most = model.arity
    shapes = input_shape if isinstance(input_shape, tuple | list) else ()
    if len(shapes) < least or (most is not None and len(shapes) > most):
        raise OptionError(who, f"input_shape: a shape for each of {least} inputs", repr(input_shape)[:80])
    names = _end_names(getattr(model, "inputs", ()), len(shapes), "input")
    return {name: as_shape(who, shape) for name, shape in zip(names, shapes, strict=True)}


def _end_names(own: Sequence[str], number: int, word: str) -> list[str]:
    """The names of the graph's inputs, or outputs: a network's own, if it has several."""
    if number == 1:
        return [word]
    return list(own) if len(own) == number else [f"{word}.{i}" for i in range(number)]


def _begun(graph: Graph, name: str, shape: Shape, layout: str) -> Tensor:
    """The input with its channels first."""
    if layout == "NCHW" or len(shape) == 1:
        return Tensor(name, shape)
    return Tensor(graph.node("Transpose", [name], f"{name}/Transpose", perm=to_channels_first(len(shape))), shape)


class _Translation:
    """Layers to nodes, one after the other, in the order in which they run."""

    def __init__(self, graph: Graph, model: nn.Layer) -> None:
        self.graph = graph
        self.names = {id(layer): name for name, layer in model.named_layers()}
        self.composed: list[nn.Layer] = []  # so that their identities are not reused

    def network(self, name: str, layer: nn.Layer, x: Any) -> Any:
        """What the layer makes of x, under that dotted name: a Tensor of a Tensor, or a tuple of several."""
        kind, children = standing_for(type(layer)), layer.children()
        if kind is None and (composed := layer.composed()) is not None:
            return self.network(name, self.named(layer, composed), x)
        if isinstance(layer, nn.Graph) and kind is nn.Graph:
            return self.wired(name, layer, x)
        if kind is nn.Sequential:
            for key, child in children.items():
                x = self.child(name, key, child, x)
            return x
        if isinstance(x, tuple):
            if kind not in JOINS or children:
                raise self.refusal(layer)
            return self.join(name, kind, list(x))
        if kind not in (nn.Residual, nn.Concat):
            return self.layer(name, layer, x)
        branches = [self.child(name, key, child, x) for key, child in children.items()]
        if kind is nn.Residual and len(branches) == 1:
            branches.append(x)
        return self.join(name, nn.Add if kind is nn.Residual else nn.Concat, branches)

    def named(self, layer: nn.Layer, composed: nn.Layer) -> nn.Layer:
        """Layers that stand for a layer of one's own; their weights have its name, and theirs within it."""
        check_layer(f"{type(layer).__name__}.composed", composed)
        self.composed.append(composed)
        for name, each in composed.named_layers():
            self.names.setdefault(id(each), dotted(self.names[id(layer)], name))
        return composed

    def wired(self, name: str, layer: nn.Graph, x: Any) -> Any:
        """What a graph makes of x."""
        values = dict(zip(layer.inputs, x if len(layer.inputs) > 1 else (x,), strict=True))
        for key, child in layer.children().items():
            read = tuple(values[each] for each in layer.reads[key])
            values[key] = self.child(name, key, child, read if len(read) > 1 else read[0])
        made = tuple(values[each] for each in layer.outputs)
        return made if len(made) > 1 else made[0]

    def join(self, name: str, kind: type[nn.Layer], values: list[Tensor]) -> Tensor:
        """What a join makes of values; ONNX broadcasts channels first, so that all must have the same axes."""
        values = [self.graph.in_own_order(value) for value in values]
        shapes = [value.shape for value in values]
        if len({len(shape) for shape in shapes}) > 1:
            expected = f"{kind.__name__} of items with the same number of axes"
            raise OptionError(
                "export_onnx", expected, ", ".join(map(str, shapes)), "put Unflatten before the shorter one"
            )
        operator, name = JOINS[kind], name or kind.__name__
        if kind is nn.Concat:
            shape = (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
            return Tensor(self.graph.node(operator, [value.name for value in values], name, axis=1), shape)
        made, *rest = (value.name for value in values)
        for number, other in enumerate(rest, 2):
            made = self.graph.node(operator, [made, other], name if number == len(values) else f"{name}.{number}")
        return Tensor(made, np.broadcast_shapes(*shapes))

    def child(self, name: str, key: str, child: nn.Layer, x: Any) -> Any:
        return with_layer_name(key, self.network, dotted(name, key), child, x)

    def layer(self, name: str, layer: nn.Layer, x: Tensor) -> Tensor:
        kind = standing_for(type(layer))
        if kind is None or kind not in TRANSLATORS:
            raise self.refusal(layer)
        order = x.order if layer.elementwise else None
        if kind is nn.Flatten and len(x.shape) > 1 and math.prod(x.shape) not in (x.shape[-1], math.prod(x.shape[:-1])):
            order = x.shape
        elif order is None and kind is not nn.Linear:
            x = self.graph.in_own_order(x)
        shape = layer.output_shape(x.shape)
        weights = self.names[id(layer)]
        place = Place(self.graph, name or kind.__name__, f"{weights}." if weights else "", x, shape)
        return Tensor(TRANSLATORS[kind](place, layer), shape, order)

    @staticmethod
    def refusal(layer: nn.Layer) -> OptionError:
        remedy = "build it of layers of xpcnn.nn, or say by its method composed which ones compute the same"
        got = f"{type(layer).__module__}.{type(layer).__qualname__}"
        return OptionError("export_onnx", "a layer of xpcnn.nn, which ONNX has operators for", got, remedy)


def _outside(shape: Shape, layout: str) -> Shape:
    """One item's shape, as the graph takes or gives it."""
    return shape if layout == "NHWC" else (shape[-1], *shape[:-1])


def _document(
    onnx: Any,
    graph: Graph,
    begins: dict[str, list[Any]],
    ends: dict[str, list[Any]],
    properties: dict[str, str],
    who: str,
) -> bytes:
    """The file's contents, once ONNX's own checker has found no fault in them.

    Parameters
        begins, ends : sizes of the graph's inputs and outputs, by name
    """
    total = sum(array.nbytes for array in graph.constants.values())
    if total > MOST_BYTES:
        raise OptionError(who, f"weights of at most {MOST_BYTES} bytes in an ONNX file", str(total))
    kind = onnx.TensorProto.FLOAT
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, kind, sizes) for name, sizes in given.items()]
        for given in (begins, ends)
    )
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    operators = [onnx.helper.make_opsetid("", graph.opset)]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "network", inputs, outputs, weights),
        producer_name="xpcnn",
        producer_version=__version__,
        opset_imports=operators,
        ir_version=onnx.helper.find_min_ir_version_for(operators),
    )
    onnx.helper.set_model_props(model, properties)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # of its own kinds, several
        raise FormatError(who, "a graph that ONNX's checker passes", " ".join(str(error).split())[:300]) from error
    data: bytes = model.SerializeToString()
    return data
