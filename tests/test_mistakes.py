"""Everything public refuses wrong arguments in one line, and never misinterprets one.

Each argument of a small call is replaced, in turn, by values that users pass by mistake. A class or function without
such a call fails here.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from xpcnn import data, exchange, io, nn, ops, optim, plot
from xpcnn.errors import XpcnnError
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.loss_examples import EXAMPLES as LOSSES
from xpcnn.ops import Window

from .arrays import Library
from .calls import CALLS, IDS, MODULES, SCORES, f, network, split

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is allowed, such as an unusual learning rate


def generator():
    yield 1


# Values that no argument accepts, and values that only some arguments accept.
NEVER = {"an object": object(), "a generator function": generator, "bytes": b"x", "complex": 1j, "a type": dict}
JUNK = NEVER | {
    "NaN": float("nan"), "infinity": float("inf"), "-1": -1, "0": 0, "1.5": 1.5, "True": True,
    "None": None, "a text": "nonsense", "a number as text": "3", "a list": [], "a mapping": {},
    "5 numbers": (1, 2, 3, 4, 5),
    "rows of two lengths": [[1, 2], [3]], "texts and numbers": ["a", 3], "an array": np.array([1.0, 2.0]),
    "a number as array": np.array(2), "a layer": nn.Flatten(), "a batch": f(2, 4, 4, 1),
    "a model's method": network().parameters,
}  # fmt: skip
# Values that have a special meaning there.
TAKEN = {
    ("training.Trainer", "on_step"), ("training.Trainer", "on_epoch"), ("data.Dataset", 0), ("nn.Sequential", 1),
    ("nn.Slice", "axis"),
    ("optim.Plateau", "patience"), ("data.Loader", "augment"), ("data.array_file", "most_bytes"),
    ("explain.html", "title"), ("io.save_model", "extra"),
}  # fmt: skip
# Refused according to the annotation: of a parameter for …
WRONG = {
    "bool": ["None", "a text", "a number as text", "a list", "an array", "1.5", "NaN", "-1"],
    "float": ["a text", "a number as text", "a list", "an array", "NaN", "a mapping", "True"],
    "int": ["a text", "a number as text", "a list", "an array", "NaN", "1.5", "-1", "infinity"],
    "Pair": ["a text", "a number as text", "a list", "an array", "NaN", "1.5", "-1", "5 numbers", "None", "True"],
    "str": ["0", "1.5", "an array", "a list", "None"],
    "str | os.PathLike[str]": ["0", "None", "a list", "an array", "a layer", "True"],
    "Layer": ["0", "None", "a text", "an array", "a mapping"],
    "Split": ["0", "None", "a text", "an array", "a batch", "a layer"],
    "Array": ["0", "None", "a text", "a list", "a layer"],
    "Mapping[str, Array]": ["0", "None", "a text", "an array", "a layer", "a model's method"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    io.save_model(network(), folder / "model.safetensors", input_shape=(4, 4, 1))
    exchange.save_pytorch(network(), folder / "pytorch.safetensors", input_shape=(4, 4, 1))
    exchange.save_mlx(network(), folder / "mlx.npz")
    np.savez(folder / "all.npz", x=split(12).images, y=split(12).labels)
    return folder


def slots(made):
    return [*range(len(made.args)), *made.options]


def tried(make, folder, slot, value):
    """The error in one line, or None if the value was accepted; any other exception is a fault."""
    made = make(folder)
    args, options = list(made.args), dict(made.options)
    if isinstance(slot, int):
        args[slot] = value
    else:
        options[slot] = value
    try:
        made.function(*args, **options)
    except XpcnnError as error:
        said = str(error)
    else:
        return None
    assert "\n" not in said
    assert 10 < len(said) < 1200
    return said


def parameter(made, slot):
    """The parameter's annotation."""
    found = list(inspect.signature(made.function).parameters.values())
    if isinstance(slot, int):
        return found[min(slot, len(found) - 1)].annotation
    return {each.name: each.annotation for each in found}.get(slot, "")


@pytest.mark.parametrize("name", CALLS)
def test_no_argument_is_taken_for_what_it_is_not(name, folder, monkeypatch):
    monkeypatch.chdir(folder)  # "nonsense" may be a name to write to
    made = CALLS[name](folder)
    made.function(*made.args, **made.options)  # the call itself is right
    for slot in slots(made):
        refused = {key: tried(CALLS[name], folder, slot, value) for key, value in JUNK.items()}
        if (name, slot) not in TAKEN:
            for key in NEVER:
                assert refused[key], f"{name} takes {key} for {slot}"
        for key in WRONG.get(str(parameter(made, slot)), ()):
            assert refused[key] or (name, slot) in TAKEN, f"{name} takes {key} for {slot}"


# No arguments; base classes; objects that xpcnn makes; functions that download or read whole data sets, which are
# tested with their files.
OTHERS = {
    "nn.Layer", "nn.Loss", "nn.OpLayer", "nn.Hooks", "nn.Inference", "nn.Plan", "nn.PartsPlan",
    "optim.Schedule", "training.Epoch",
    "training.Evaluation",
    "training.Finding", "training.GradientStatistics", "training.LayerTime", "training.ParameterStatistics",
    "training.Profile", "training.RateSweep", "training.Step", "training.StepResult", "data.Parts",
    "training.STOP", "io.SavedModel", "plot.TopLosses",
    "explain.Drawing", "explain.TrainingStep",
    "explain.Explanation", "data.names", *(f"data.{name}" for name in data.names()), "data.csv_file",
    "data.hdf5_file", "data.image_folder", "data.mask_folder", "data.picture_table", "data.tar_shards",
    "exchange.import_onnx",
    "exchange.load_keras", "plot.curves", "plot.learning_rates", "training.replay", "models.MODELS", "models.vgg",
    "models.Facts", "models.Preprocessing",
    "training.TensorBoardLog",
    "models.vgg11",
    "models.vgg13", "models.vgg16", "models.vgg19", "models.convnext_tiny", "models.densenet121",
    "models.efficientnet_b0", "models.fcn_resnet50", "models.googlenet", "models.inception_v3", "models.mobilenet_v2",
    "models.mobilenet_v3_large", "models.mobilenet_v3_small", "models.regnet_y_400mf", "models.resnet18",
    "models.resnet34", "models.resnet50", "models.shufflenet_v2_x1_0",
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_call(name):
    module = MODULES[name]
    for each in module.__all__:
        thing = getattr(module, each)
        if not callable(thing) or name == "ops" or f"{name}.{each}" in OTHERS:
            continue
        alone = not inspect.signature(thing).parameters
        assert alone or f"{name}.{each}" in CALLS, f"{name}.{each}: write a call of it into tests/calls.py"


X = f(9, 4, 4, 2)
WINDOW = Window(2)
JOINS = {"add", "subtract", "multiply", "maximum", "minimum", "concat"}  # they take tuples; see tests/ops/test_join.py
FORWARD = {  # of every operation of xpcnn.ops: its arrays, and its options
    "adaptive_avg_pool2d": ((X,), {"output_size": (2, 2)}),
    "avg_pool2d": ((X,), {"window": WINDOW}),
    "batch_norm": ((X, f(2), f(2)), {}),
    "batch_norm_relu": ((X, f(2), f(2)), {}),
    "batch_norm_add": ((X, X, f(2), f(2)), {}),
    "bce_with_logits": ((SCORES, np.abs(np.tanh(SCORES))), {}),
    "conv2d": ((X, f(3, 2, 2, 2), f(3)), {"window": WINDOW}),
    "conv_transpose2d": ((X, f(2, 2, 2, 3), f(3)), {"window": WINDOW}),
    "cross_entropy": ((SCORES, IDS), {}),
    "dice": ((SCORES[:, None], IDS[:, None]), {}),
    "dropout": ((X, X > 0), {"p": 0.5}),
    "focal": ((SCORES, IDS), {}),
    "group_norm": ((X, f(2), f(2)), {"groups": 1}),
    "hinge": ((SCORES, IDS), {}),
    "huber": ((SCORES, SCORES), {}),
    "layer_norm": ((X, f(2), f(2)), {}),
    "linear": ((SCORES, f(5, 4), f(5)), {}),
    "mae": ((SCORES, SCORES), {}),
    "max_pool2d": ((X,), {"window": WINDOW}),
    "mse": ((SCORES, SCORES), {}),
    "nll": ((SCORES, IDS), {}),
    "normalize": ((X, f(2), np.abs(f(2))), {}),
    "prelu": ((X, f(2)), {}),
    "scale": ((X, f(2), f(2)), {}),
    "bilinear2d": ((X,), {"scale_factor": (2, 1.5)}),
    "reflection_pad": ((X,), {"widths": ((1, 1), (1, 1))}),
    "replication_pad": ((X,), {"widths": ((1, 1), (1, 1))}),
    "pixel_shuffle": ((f(9, 4, 4, 4),), {"upscale_factor": 2}),
    "pixel_unshuffle": ((X,), {"downscale_factor": 2}),
    "channel_shuffle": ((X,), {"groups": 2}),
    "slice": ((X,), {"start": 1, "stop": 2}),
    "permute": ((X,), {"axes": (3, 1, 2)}),
    "power": ((X,), {"exponent": 2.0}),
    "resample2d": ((X, f(3, X.shape[1]), f(2, X.shape[2])), {}),
    "local_response_norm": ((X,), {"size": 3}),
    "mean": ((X,), {"axes": (1,)}),
    "max": ((X,), {"axes": (1,)}),
    "sum": ((X,), {"axes": (1,)}),
    "min": ((X,), {"axes": (1,)}),
    "upsample2d": ((X,), {"scale_factor": (2, 2)}),
    "zero_pad": ((X,), {"widths": ((1, 1), (1, 1), (0, 0))}),
}
INFERENCE = {
    "add": ((X, X), {}),
    "batch_norm_inference": ((X, f(2), f(2), f(2), np.abs(f(2))), {}),
    "clip": ((X,), {"low": -1.0}),
    "conv2d_inference": ((X, f(3, 2, 2, 2), f(3)), {"window": WINDOW}),
    "max_pool2d_inference": ((X,), {"window": WINDOW}),
    "sign": ((X,), {}),
}
NO_ARRAY = {"None": None, "a list": [[1.0]], "a text": "x", "a number": 1.0, "a mapping": {}, "a tuple": (X, {}),
            "a layer": nn.Flatten()}  # fmt: skip


def operations():
    for name in ops.__all__:
        if name.endswith("_forward"):
            op = name.removesuffix("_forward")
            if op not in JOINS:
                yield name, *FORWARD.get(op, ((X if "softmax" not in op else SCORES,), {}))
        elif not name.endswith("_backward") and name != "Window":
            yield name, *INFERENCE[name]


def refused(function, *args, **options):
    with pytest.raises(XpcnnError) as raised:
        function(*args, **options)
    assert "\n" not in str(raised.value)


OPERATIONS = list(operations())


@pytest.mark.parametrize(("name", "args", "options"), OPERATIONS, ids=[name for name, *_ in OPERATIONS])
def test_operations_refuse_what_is_no_array(name, args, options):
    function = getattr(ops, name)
    result = function(*args, **options)
    optional = [
        p.default is None or "None" in str(p.annotation) for p in inspect.signature(function).parameters.values()
    ]
    for position in range(len(args)):
        for key, wrong in NO_ARRAY.items():
            if not (key == "None" and optional[position]):
                refused(function, *args[:position], wrong, *args[position + 1 :], **options)
    refused(function, args[0].astype("int64"), *args[1:], **options)
    if not name.endswith("_forward"):
        return
    y, cache, *_ = result
    backward = getattr(ops, name.replace("_forward", "_backward"))
    if "dy" not in inspect.signature(backward).parameters:  # a loss
        backward(cache)
        return
    dy = np.ones_like(y)
    backward(dy, cache)
    for wrong in [*NO_ARRAY.values(), dy[:-1], dy[..., None], dy.astype("int64")]:
        refused(backward, wrong, cache)


@pytest.mark.parametrize("name", EXAMPLES)
def test_layers_refuse_what_is_no_batch(name):
    layer, x = EXAMPLES[name]()
    x = x.astype("float32")
    _, cache = layer.forward(x)
    for key, wrong in NO_ARRAY.items():
        for run in (layer, layer.forward):
            refused(run, wrong)
        if key != "None":
            refused(layer.backward, wrong, cache)
    for wrong in (x.astype("int64"), x.astype("uint8") if name not in ("Flatten", "Unflatten") else np.ones(3, "f4")):
        if not isinstance(layer, nn.Identity | nn.Flatten | nn.Unflatten):
            refused(layer.forward, wrong)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse_other_targets(name):
    loss, y, target = LOSSES[name]()
    y, target = (each.astype("float32") if each.dtype.kind == "f" else each for each in (y, target))
    loss(y, target)
    wrong = [*NO_ARRAY.values(), target[:-1], target.astype("uint8").astype("float16"), target[None], y[..., :3]]
    if loss.classifies:
        one_hot = np.eye(4, dtype="float32")[target]
        wrong += [
            target + 1,
            target - 1,
            target.astype("float32"),
            one_hot[:-1],
            one_hot[None],
            one_hot.astype("int64"),
            target[:, None],
        ]
        if name not in ("CrossEntropyLoss", "DiceLoss"):
            wrong += [one_hot]
    else:
        wrong += [np.arange(len(y)), y.astype("float64"), y.astype("int64"), y[:, 0]]
    for each in wrong:
        refused(loss.forward, y, each)
        refused(loss, y, each)
    for each in [*NO_ARRAY.values(), y[0], y.astype("int64"), y[None]]:
        refused(loss.forward, each, target)
    weights = np.ones(len(y))
    for each in [*(wrong for key, wrong in NO_ARRAY.items() if key != "None"), weights[1:], weights[None], -weights]:
        for call in (loss, loss.forward, loss.items):
            refused(call, y, target, item_weight=each)


OPTIMIZERS = [name for name in optim.__all__ if inspect.isclass(getattr(optim, name))
              and issubclass(getattr(optim, name), optim.Optimizer) and name != "Optimizer"]  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_refuses_what_is_no_gradients_of_its_parameters(name):
    model = network()
    optimizer = CALLS[f"optim.{name}"](None).function(model.parameters(), lr=0.1)
    grads = {key: np.ones_like(p) for key, p in model.parameters().items()}
    optimizer.step(grads)
    before = {key: p.copy() for key, p in (model.parameters() | optimizer.state_dict()).items()}
    first, *rest = grads
    other = Library("torch").array(np.ones_like(grads[first]))
    for wrong in (
        None, (f(3), grads), list(grads.values()), [*grads], "grads", model, model.parameters, iter(grads.items()),
        {}, grads | {"another": f(2)}, {key: grads[key] for key in rest}, dict.fromkeys(grads),
        grads | {first: grads[first].tolist()}, grads | {first: grads[first][:1]}, grads | {first: grads[first].T},
        grads | {first: grads[first].astype("float64")}, grads | {first: grads[first].astype("int32")},
        grads | {first: 0.0}, grads | {first: None}, grads | {first: other},
    ):  # fmt: skip
        refused(optimizer.step, wrong)
    assert optimizer.steps == 1
    for key, p in (model.parameters() | optimizer.state_dict()).items():
        np.testing.assert_array_equal(p, before[key])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_refuses_what_are_no_parameters(name):
    make = getattr(optim, name)
    model = network()
    for wrong in (
        model, model.parameters, list(model.parameters().values()), iter(model.parameters().items()), {}, None, f(3),
        set(model.parameters()), {"w": [1.0]}, {"w": 1.0}, {"w": None}, {"w": np.ones(3, int)}, {"w": "weights"},
        {"w": model}, model.config(),
    ):  # fmt: skip
        refused(make, wrong, lr=0.1)
    optimizer = make(model.parameters(), lr=0.1)
    for wrong in ("0.1", None, [0.1], np.array([0.1]), -0.1, float("nan"), float("inf"), True, 1j):
        with pytest.raises(XpcnnError):
            optimizer.lr = wrong
    assert optimizer.lr == 0.1


def test_loaders_and_parts_of_data_refuse_arrays_and_other_programs_loaders():
    images, labels = split().images, split().labels
    for wrong in (
        (images, labels),
        [images],
        zip(images, labels, strict=True),
        {"x": images},
        data.Loader(split(), 2),
        images,
    ):
        refused(data.Loader, wrong, 2)
        refused(data.Dataset, "mine", wrong, split(), "abc")
        refused(plot.top_losses, network(), wrong, 2)
