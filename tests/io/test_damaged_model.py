"""Every single wrong value in a model file is refused, or is what the network that comes of it says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import pytest

from xpcnn import nn, to_numpy
from xpcnn.errors import FormatError
from xpcnn.io import load_model, read_tensors, save_model
from xpcnn.io.architecture import to_config
from xpcnn.io.known_layers import registry

from ..damage import MISSING, write, wrong, wrong_arrays
from .test_architecture import example

EVERY = {name: partial(example, name) for name in sorted(registry())}


def said(model):
    return json.loads(json.dumps(to_config(model)))


def same(ours, theirs):
    """The file's value stands for ours: a number for both axes, a default that is missing, 1 for 1.0 and for true."""
    if isinstance(theirs, Mapping):
        ours = ours if isinstance(ours, Mapping) else {}
        return all(same(ours[key], value) if key in ours else value == {} for key, value in theirs.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs or (isinstance(ours, list) and set(ours) == {theirs})


@pytest.mark.parametrize("name", list(EVERY))
def test_every_wrong_argument(tmp_path, name):
    path, model = tmp_path / "model", EVERY[name]() if name == "Graph" else nn.Sequential(EVERY[name]())
    arrays = {key: to_numpy(array) for key, array in model.state_dict().items()}
    shape = [[4], [4]] if name == "Graph" else [4]  # which most layers do not take: that is no matter of reading
    document = {"input_shape": shape, "classes": [], "extra": {}, "architecture": to_config(model)}
    refused = 0
    for place, value, changed in wrong(document["architecture"]):
        write(path, arrays, document | {"architecture": changed})
        try:
            read = load_model(path).model
        except FormatError as error:
            refused += "\n" not in str(error)
        else:
            short = (place[-1], value) in [("stride", None), ("padding", [1, 2])]  # the kernel's; of height and width
            assert same(said(read), changed) or short, (place, value)
    assert refused > 20


def test_every_wrong_value_beside_the_network(tmp_path):
    path = tmp_path / "model"
    save_model(nn.Linear(4, 2), path, input_shape=(4,), classes=["a", "b"], extra={"x": 1})
    arrays, document = read_tensors(path)
    for place, value, changed in wrong({key: each for key, each in document.items() if key != "architecture"}):
        write(path, arrays, changed | {"architecture": document["architecture"]})
        try:
            saved = load_model(path)
        except FormatError:
            assert place[0] in ("input_shape", "classes", "extra")
        else:
            given = {"extra": saved.extra, "classes": list(saved.classes), "input_shape": list(saved.input_shape)}
            assert given == changed
            assert value is not MISSING or len(place) == 2


def test_every_wrong_array(tmp_path):
    path = tmp_path / "model"
    save_model(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), path, input_shape=(4,))
    arrays, document = read_tensors(path)
    taken = []
    for what, changed in wrong_arrays(arrays):
        write(path, changed, document)
        try:
            load_model(path)
        except FormatError:
            continue
        taken.append(what.partition(": ")[2])
    assert set(taken) == {"nan", "inf"}  # a network may have them, such as a bias of −∞
    write(path, {name: array.astype("f8") for name, array in arrays.items()}, document)
    assert load_model(path).model[0].weight.dtype == "f8"
