"""Networks come back from their documents as they were, and documents from strangers can do no harm."""

from __future__ import annotations

import json
import time
import tracemalloc

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import FormatError, OptionError
from xpcnn.io import architecture
from xpcnn.io.architecture import from_config, to_config
from xpcnn.io.known_layers import registry
from xpcnn.nn import layer_examples

from ..arrays import assert_close
from ..limits import at_most

# Layers with arguments that differ from the defaults.
EXAMPLES = {
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d((2, 3)),
    "AvgPool2d": lambda: nn.AvgPool2d((3, 2), stride=(1, 2), padding=(1, 0), ceil_mode=True, count_include_pad=False),
    "BatchNorm1d": lambda: nn.BatchNorm1d(5, eps=0.1, momentum=0.3),
    "BatchNorm2d": lambda: nn.BatchNorm2d(5, affine=False),
    "Concat": lambda: nn.Concat(nn.Linear(3, 2), nn.Linear(3, 4)),
    "Conv2d": lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), dilation=2, groups=2, bias=False),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(
        4, 6, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2), groups=2
    ),
    "Dropout": lambda: nn.Dropout(0.25),
    "Dropout2d": lambda: nn.Dropout2d(0.75),
    "StochasticDepth": lambda: nn.StochasticDepth(0.75),
    "ELU": lambda: nn.ELU(0.5),
    "Graph": lambda: nn.Graph(
        {
            "a": (nn.Linear(3, 2), "u"),
            "b": (nn.Linear(4, 2), "v"),
            "c": (nn.Add(), "a", "b", "b"),
            "d": (nn.Concat(), "c", "a"),
        },
        inputs=("v", "u"),
        outputs=("d", "c"),
    ),
    "GroupNorm": lambda: nn.GroupNorm(2, 6, eps=0.1),
    "LayerNorm": lambda: nn.LayerNorm((4, 5), eps=0.1, bias=False),
    "LeakyReLU": lambda: nn.LeakyReLU(0.3),
    "Linear": lambda: nn.Linear(3, 2, bias=False),
    "MaxPool2d": lambda: nn.MaxPool2d(3, stride=2, padding=1, dilation=2, ceil_mode=True),
    "Normalize": lambda: nn.Normalize((0.5, 0.1), (0.25, 1 / 3)),
    "PReLU": lambda: nn.PReLU(5, 0.5),
    "Residual": lambda: nn.Residual(nn.Linear(3, 2), nn.Linear(3, 2, bias=False)),
    "Sequential": lambda: nn.Sequential(nn.Linear(3, 2), nn.Sequential(), nn.Residual(nn.Linear(2, 2))),
    "Unflatten": lambda: nn.Unflatten((2, 3, 4)),
    "Upsample": lambda: nn.Upsample((2, 3)),
    "ZeroPad2d": lambda: nn.ZeroPad2d((1, 2, 3, 4)),
    "ZeroPadChannels": lambda: nn.ZeroPadChannels(1, 2),
}


def through_json(model: nn.Layer) -> dict:
    return json.loads(json.dumps(to_config(model)))


def state(model: nn.Layer) -> dict[str, np.ndarray]:
    return {name: xpcnn.to_numpy(array) for name, array in model.state_dict().items()}


def wired(**changes) -> dict:
    entries = {"reads": {"a": ["x"]}, "inputs": ["x"], "outputs": ["a"], "children": {"a": linear()}}
    return {"type": "Graph"} | entries | changes


def example(name: str) -> nn.Layer:
    """With other arguments than those of the library's own examples, where there is one here."""
    return EXAMPLES[name]() if name in EXAMPLES else layer_examples.EXAMPLES[name]()[0]


def linear(inputs: object = 4, outputs: object = 2, **more: object) -> dict:
    return {"type": "Linear", "in_features": inputs, "out_features": outputs, **more}


def test_the_registry_holds_all_layers_and_nothing_else():
    assert registry().keys() >= {"Conv2d", "Linear", "Sequential", "Residual", "Concat"}
    for name, kind in registry().items():
        assert getattr(nn, name) is kind
        assert issubclass(kind, nn.Layer)
    assert "Layer" not in registry()


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_layer_comes_back(xp, name):
    model = example(name)
    again = from_config(through_json(model), {name: array + 1 for name, array in state(model).items()})
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert to_config(again) == to_config(model)
    assert again.state_dict().keys() == model.state_dict().keys()
    for key, array in state(model).items():
        assert_close(again.state_dict()[key], array + 1)
    assert repr(from_config(through_json(model))) == repr(model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_computes_the_same(xp, rng, dtype):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.Concat(nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1)))
    model.astype(dtype)
    again = from_config(through_json(model), {name: array.copy() for name, array in state(model).items()})
    _, x = xp.normal(rng, 2, 5, 6, 3, dtype=dtype)
    assert_close(again(x), xpcnn.to_numpy(model(x)))


def test_a_layer_that_stands_twice_is_one_again():
    shared = nn.Sequential(nn.Linear(3, 3))
    model = nn.Sequential(nn.Residual(shared), nn.Linear(3, 3), shared, nn.Concat(shared, nn.Linear(3, 1)))
    config = through_json(model)
    assert config["children"]["2"] == {"same_as": "0.body"}
    again = from_config(config, state(model))
    assert again[0].children()["body"] is again[2] is again[3].children()["0"]
    assert again[1] is not again[2]
    assert again.parameters().keys() == model.parameters().keys()


def test_new_weights_are_drawn_where_none_are_given():
    config = to_config(nn.Linear(30, 20))
    first, again, other = (from_config(config, rng=seed).weight for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_numbers_of_numpy_are_saved_as_numbers():
    config = through_json(nn.Conv2d(np.int64(1), 2, 3, padding=(np.int64(1), np.int64(2))))
    assert config["padding"] == [1, 2]


class Doubled(nn.Linear):
    """A layer of a user's own; its name is not in the registry."""


class Linear(nn.Linear):
    """One that bears a registered name."""


@pytest.mark.parametrize("layer", [Doubled(2, 2), Linear(2, 2)])
def test_layers_of_ones_own_are_refused_with_a_way_out(layer):
    with pytest.raises(OptionError, match=r"layer 1: expected a layer of xpcnn.nn.*test_architecture.*write_tensors"):
        to_config(nn.Sequential(nn.Linear(2, 2), layer))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ([], "an object"),
        ({}, "the type of a layer in xpcnn.nn, got None"),
        ({"type": "os.system"}, "the type of a layer in xpcnn.nn, got 'os.system'"),
        ({"type": "Layer"}, "the type of a layer"),
        ({"type": "Container"}, "the type of a layer"),
        ({"type": "init"}, "the type of a layer"),
        ({"type": ["Linear"]}, "the type of a layer"),
        ({"type": "Linear"}, "arguments that Linear takes"),
        (linear(0), "arguments that Linear takes.*in_features"),
        (linear("4"), "arguments that Linear takes"),
        (linear(2.5), "arguments that Linear takes"),
        (linear(None), "arguments that Linear takes"),
        (linear([4]), "arguments that Linear takes"),
        (linear([[4]]), "arguments that Linear takes"),
        (linear(weight_init="zeros"), "arguments of Linear, got weight_init"),
        (linear(rng=1), "arguments of Linear, got rng"),
        (linear(**dict.fromkeys("gcafbed")), "arguments of Linear, got a, b, c, d, e, f, g"),
        (linear(__class__=1), "arguments of Linear, got __class__"),
        (linear(children={"0": linear()}), "architecture"),
        (linear(children=[linear()]), "children: an object"),
        (linear(children={"x" * 100: linear()}), "names of at most 64 letters"),
        ({"type": "Sequential", "children": {"1": linear()}}, "arguments that Sequential takes"),
        ({"type": "Sequential", "children": {"0": linear(), "2": linear()}}, "arguments that Sequential takes"),
        ({"type": "Sequential", "children": {"0": None}}, "layer '0': expected an object"),
        ({"type": "Residual"}, "arguments that Residual takes"),
        ({"type": "Residual", "children": {"shortcut": linear(), "body": linear()}}, "the children of Residual"),
        ({"type": "Graph"}, "arguments that Graph takes"),
        (wired(children={}), "reads: what each of its children reads"),
        (wired(reads={"a": ["b"]}), "names of entries and inputs: x, a"),
        (wired(outputs=None), "outputs: names without a dot, got None"),
        (wired(reads={"a": 1}), "what a reads: names without a dot, got 1"),
        (wired(inputs=3), "inputs: names without a dot, got 3"),
        ({"same_as": "0"}, "same_as: the place of an earlier layer, got '0'"),
        ({"same_as": 0}, "same_as"),
        ({"type": "Sequential", "children": {"0": {"same_as": ""}}}, "same_as: the place of an earlier layer, got ''"),
        ({"type": "Sequential", "children": {"0": linear(), "1": {"same_as": "0", "type": "Linear"}}}, "same_as"),
    ],
)
def test_broken_documents(config, text):
    for tensors in (None, {}):
        with pytest.raises(FormatError, match=text if tensors is None else "architecture"):
            from_config(config, tensors)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"weight": np.zeros((4, 2), "f4")}, r"array weight: float32 \(2, 4\), got float32 \(4, 2\)"),
        ({"weight": np.zeros((2, 4), "i8")}, r"array weight: float32 \(2, 4\), got int64"),
        ({"weight": np.zeros((2, 4), "f2")}, "got float16"),
        ({"bias": np.zeros((1,), "f4")}, r"array bias: float32 \(2,\), got float32 \(1,\)"),
        ({"bias": None}, r"array bias: float32 \(2,\), got none"),
        ({"other": np.zeros(1, "f4")}, "arrays of its layers only, got also other"),
    ],
)
def test_arrays_of_another_network(change, text):
    model = nn.Linear(4, 2)
    tensors = {name: array for name, array in (state(model) | change).items() if array is not None}
    with pytest.raises(FormatError, match=text):
        from_config(to_config(model), tensors)
    with pytest.raises(FormatError, match="array bias: none, got float32"):
        from_config(linear(bias=False), state(model))


def nested(depth: int) -> dict:
    config: dict = {"type": "Sequential"}
    for _ in range(depth):
        config = {"type": "Sequential", "children": {"0": config}}
    return config


def test_deep_documents():
    assert from_config(nested(architecture.MOST_DEPTH))
    for depth in (architecture.MOST_DEPTH + 1, 5000):
        with pytest.raises(FormatError, match="at most 64 levels, got deeper ones"):
            from_config(nested(depth))


def test_a_document_that_doubles_at_every_level():
    """50 levels of "the same twice" would be 2⁵⁰ layers."""
    config: dict = {"type": "Sequential"}
    for _ in range(50):
        config = {"type": "Sequential", "children": {"0": config, "1": {"same_as": "0"}}}

    def name_places(config: dict, path: str) -> None:
        if "children" in config:
            first = f"{path}.0" if path else "0"
            config["children"]["1"]["same_as"] = first
            name_places(config["children"]["0"], first)

    name_places(config, "")
    start = time.perf_counter()
    with pytest.raises(FormatError, match="at most 10000 layers"):
        from_config(config, {})
    assert time.perf_counter() - start < 2


def test_many_layers():
    config = {"type": "Sequential", "children": {str(i): {"type": "Sequential"} for i in range(10_000)}}
    with pytest.raises(FormatError, match="at most 10000 layers"):
        from_config(config)


def enlarged(value: object, size: int) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, list)):
        return value
    return [enlarged(each, size) for each in value] if isinstance(value, list) else size


@pytest.mark.parametrize("size", [10**6, 10**9, 10**30])
@pytest.mark.parametrize("name", sorted(registry()))
def test_nothing_large_is_allocated_that_the_arrays_do_not_bear_out(name, size):
    """Whatever sizes a small file claims for any layer, alone or together, memory stays small."""
    model = example(name)
    config, tensors = through_json(model), state(model)
    leaf = next(iter(config["children"].values())) if "children" in config else config
    numbers = [key for key in leaf if enlarged(leaf[key], size) != leaf[key]]
    tracemalloc.start()
    try:
        for chosen in [*([key] for key in numbers), numbers]:
            original = {key: leaf[key] for key in chosen}
            leaf |= {key: enlarged(leaf[key], size) for key in chosen}
            try:
                again = from_config(config, tensors)
                assert again.state_dict().keys() == tensors.keys()  # arguments that no array depends on
            except FormatError:
                pass
            leaf |= original
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_large_layers_that_are_there_are_read():
    """The limits are on what a file does not bear out."""
    tensors = {"weight": np.zeros((1, 2**22), "f4"), "bias": np.zeros(1, "f4")}
    assert from_config(linear(2**22, 1), tensors).weight is tensors["weight"]
    with at_most(2**20), pytest.raises(FormatError, match=r"array weight: float32 \(60000, 60000\), got none"):
        from_config(linear(60_000, 60_000), {})


@pytest.mark.parametrize("same", [{"type": "ReLU"}, {"same_as": "0.0"}, {"same_as": "0"}])
def test_too_many_layers_are_counted_before_the_first_is_built(monkeypatch, same):
    """A hundred groups of five thousand: a file of megabytes, and minutes if each were built."""
    monkeypatch.setattr(architecture._Builder, "build", lambda *_: pytest.fail("a layer was built"))
    first = {"type": "Sequential", "children": {str(i): {"type": "ReLU"} for i in range(5000)}}
    groups = {"0": first} | {str(i): {"type": "Sequential", "children": {"0": same}} for i in range(1, 10_000)}
    with pytest.raises(FormatError, match="at most 10000 layers"):
        from_config({"type": "Sequential", "children": groups})


def test_what_is_true_or_false_is_nothing_else():
    for value in ("no", 2, [], None, 0.5):
        with pytest.raises(FormatError, match="bias: a value that Linear takes"):
            from_config(linear(bias=value))
    with pytest.raises(FormatError, match="in_features: a value that Linear takes, got True"):
        from_config(linear(True, 1))
    assert from_config(linear(bias=0)).bias is None  # as a number, which Python takes for the same


def test_a_file_of_version_0_1_means_the_gelu_that_there_was():
    """It says nothing of `approximate`; a new file does."""
    assert from_config({"type": "GELU"}).approximate == "tanh"
    for layer in (nn.GELU(), nn.GELU("tanh")):
        assert to_config(layer) == {"type": "GELU", "approximate": layer.approximate}
        assert from_config(to_config(layer)).approximate == layer.approximate
