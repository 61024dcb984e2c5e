"""A saved network is the network, and a model file from a stranger gives a network or a FormatError."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

import xpcnn
from xpcnn import nn
from xpcnn import random as xpcnn_random
from xpcnn.errors import FileError, FormatError, OptionError
from xpcnn.io.known_layers import registry
from xpcnn.io.model_file import load_model, save_model
from xpcnn.io.tensors import read_tensors, write_tensors

from ..arrays import assert_close

SHAPE = (8, 8, 1)


def network() -> nn.Layer:
    """Layers of several kinds, one of them twice, with whatever else `xpcnn.nn` has by now."""
    known = registry()
    more = {"BatchNorm2d": (4,), "ReLU": (), "Dropout": (0.5,), "MaxPool2d": (2,), "PReLU": (4,)}
    shared = nn.Conv2d(4, 4, 3, padding="same")
    return nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), stride=(1, 2), padding=(1, 1, 0, 1)),
        nn.Residual(shared),
        *(known[name](*arguments) for name, arguments in more.items() if name in known),
        nn.Concat(shared, nn.Conv2d(4, 2, 1, bias=False)),
    )


def values(model: nn.Layer) -> dict[str, np.ndarray]:
    return {name: xpcnn.to_numpy(array).copy() for name, array in model.state_dict().items()}


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_comes_back(tmp_path, xp, rng, dtype):
    model = network().astype(dtype)
    extra, names = {"normalisation": [0.5, 0.25], "trained on": "digits"}, ("null", "één", *"cdef")
    save_model(model, tmp_path / "model", input_shape=SHAPE, classes=names, extra=extra)
    saved = load_model(tmp_path / "model")
    assert (saved.input_shape, saved.classes, saved.extra) == (SHAPE, names, extra)
    assert repr(saved.model) == repr(model)
    assert_same(values(saved.model), values(model))
    _, x = xp.normal(rng, 2, *SHAPE, dtype=dtype)
    assert_close(saved.model(x), xpcnn.to_numpy(model(x)))


def test_what_is_loaded_is_what_is_saved_next(tmp_path, xp):
    """The seeds' mistake: weights that were loaded into the layers, but not into what was saved afterwards."""
    model = network()
    save_model(model, tmp_path / "1", input_shape=SHAPE, classes="abcdef", extra={"b": 1})
    saved = load_model(tmp_path / "1")
    save_model(saved.model, tmp_path / "2", input_shape=saved.input_shape, classes=saved.classes, extra=saved.extra)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()

    other = network()  # other weights, then loaded into from the first
    other.load_state_dict(saved.model.state_dict())
    save_model(other, tmp_path / "3", input_shape=SHAPE)
    assert_same(values(load_model(tmp_path / "3").model), values(model))


def test_what_is_trained_after_loading_is_what_is_saved_next(tmp_path):
    save_model(network(), tmp_path / "model", input_shape=SHAPE)
    model = load_model(tmp_path / "model").model
    for array in model.parameters().values():
        array += 1  # as optimizers do, in place
    save_model(model, tmp_path / "model", input_shape=SHAPE)
    assert_same(values(load_model(tmp_path / "model").model), values(model))


def test_two_loaded_networks_share_nothing(tmp_path):
    save_model(network(), tmp_path / "model", input_shape=SHAPE)
    first, second = (load_model(tmp_path / "model").model for _ in range(2))
    before = values(second)
    for array in first.state_dict().values():
        array *= 0
    assert_same(values(second), before)


def test_saving_draws_no_random_numbers_and_changes_nothing(tmp_path):
    model = network()
    before = values(model)
    generator = xpcnn_random.generator()
    state, spawned = generator.bit_generator.state, generator.bit_generator.seed_seq.n_children_spawned
    own = {name: layer.rng.bit_generator.state for name, layer in model.named_layers() if hasattr(layer, "rng")}
    save_model(model, tmp_path / "model", input_shape=SHAPE)
    assert generator.bit_generator.state == state
    assert generator.bit_generator.seed_seq.n_children_spawned == spawned
    assert own == {name: layer.rng.bit_generator.state for name, layer in model.named_layers() if hasattr(layer, "rng")}
    assert_same(values(model), before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"input_shape": (0, 8)}, "each axis of input_shape: an integer ≥ 1"),
        ({"input_shape": ()}, "input_shape: one axis or more"),
        ({"input_shape": SHAPE, "classes": [1, 2]}, "classes: names"),
        ({"input_shape": SHAPE, "extra": {"a": np.zeros(1)}}, "not JSON serializable"),
        ({"input_shape": SHAPE, "extra": {"a": float("nan")}}, "JSON"),
    ],
)
def test_refuses_to_write_what_could_not_be_read(tmp_path, options, text):
    with pytest.raises(OptionError, match=text):
        save_model(nn.Linear(2, 2), tmp_path / "model", **options)
    assert not os.listdir(tmp_path)


def test_refuses_to_write_networks_deeper_than_it_reads(tmp_path):
    model: nn.Layer = nn.Linear(2, 2)
    for _ in range(70):
        model = nn.Sequential(model)
    with pytest.raises(OptionError, match="in at most 64 levels"):
        save_model(model, tmp_path / "model", input_shape=(2,))
    assert not os.listdir(tmp_path)


class Own(nn.Linear):
    pass


def test_layers_of_ones_own_keep_their_weights(tmp_path):
    with pytest.raises(OptionError, match=r"@nn.register .*, or save the weights alone: write_tensors\(path, "):
        save_model(Own(2, 2), tmp_path / "model", input_shape=(2,))
    assert not os.listdir(tmp_path)
    write_tensors(tmp_path / "weights", Own(2, 2).state_dict(), {})
    with pytest.raises(FormatError, match="expected a model, got a file of kind 'another file'"):
        load_model(tmp_path / "weights")


def test_missing_files(tmp_path):
    with pytest.raises(FileError, match="a readable file, got No such file"):
        load_model(tmp_path / "none")


def test_the_error_names_the_file_and_the_layer(tmp_path):
    save_model(nn.Sequential(nn.Linear(2, 3)), tmp_path / "model", input_shape=(2,))
    tensors, metadata = read_tensors(tmp_path / "model")
    metadata["architecture"]["children"]["0"]["in_features"] = 9
    write_tensors(tmp_path / "model", tensors, metadata)
    with pytest.raises(
        FormatError, match=r"model: architecture: expected array 0.weight: float32 \(3, 9\), got float32"
    ):
        load_model(tmp_path / "model")


def flip(data: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Random bytes, most of them in the header, and every fourth file cut off."""
    mutated = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        mutated[rng.integers(header if rng.random() < 0.9 else len(data))] = rng.integers(256)
    return bytes(mutated[: rng.integers(len(data))] if rng.random() < 0.25 else mutated)


STRANGE = [None, True, 0, -1, 1, 2, 3, 7, 2**31, 2**64, 10**400, 0.5, 1e308, "", "same", "Linear", "0", [], [1, 1], {}]
STRANGE += [[2**40, 2**40], ["a"], [[[]]], {"type": "ReLU"}, {"same_as": "0"}, {"same_as": "1.body"}, {"a": 1}]


def edit(data: bytes, header: int, rng: np.random.Generator) -> bytes:
    """A whole safetensors file whose document has other values, or lacks or repeats some."""
    document = json.loads(json.loads(data[8:header])["__metadata__"]["xpcnn"])
    for _ in range(rng.integers(1, 3)):
        at = document
        while True:
            key = list(at)[rng.integers(len(at))] if isinstance(at, dict) else int(rng.integers(len(at)))
            if isinstance(at[key], (dict, list)) and at[key] and rng.random() < 0.85:
                at = at[key]
            else:
                break
        if isinstance(at, dict) and rng.random() < 0.2:
            at[str(rng.choice(["0", "1", "bias", "type", "weight"]))] = at.pop(key)
        else:
            at[key] = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])
        if not document:
            break
    return save(load(data), {"xpcnn": json.dumps(document)})


@pytest.mark.parametrize("mutate", [flip, edit])
@pytest.mark.parametrize("files", [1000, pytest.param(15_000, marks=pytest.mark.slow)])
def test_mutated_files_give_nothing_but_format_errors(
    tmp_path: Path, files: int, mutate: Callable[[bytes, int, np.random.Generator], bytes]
):
    path = tmp_path / "model"
    save_model(network(), path, input_shape=SHAPE, classes="abcdef", extra={"c": [1]})
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(files):
        path.write_bytes(mutate(data, header, rng))
        try:
            load_model(path)
        except FormatError as error:
            errors.append(str(error))
    assert len(errors) > files / 2
    assert not any("\n" in error for error in errors)
