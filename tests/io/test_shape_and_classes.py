"""A model file states an input that its network takes, and a name for each of its outputs, or none."""

from __future__ import annotations

import pytest

from xpcnn import nn
from xpcnn.errors import FormatError, OptionError
from xpcnn.io import load_model, save_model
from xpcnn.io.tensors import read_tensors, write_tensors


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


@pytest.mark.parametrize("classes", ["ab", "abcd"])
def test_other_numbers_of_classes_are_refused(tmp_path, classes):
    path = tmp_path / "model"
    with pytest.raises(OptionError, match=f"a name for each of the 3 outputs, or none, got {len(classes)}, a"):
        save_model(network(), path, input_shape=(4, 4, 1), classes=classes)
    save_model(network(), path, input_shape=(4, 4, 1), classes="abc")
    arrays, document = read_tensors(path)
    write_tensors(path, arrays, document | {"classes": list(classes)})
    with pytest.raises(FormatError, match="a name for each of the 3 outputs"):
        load_model(path)


def test_one_name_for_two_classes_is_refused(tmp_path):
    with pytest.raises(OptionError, match="classes: names that differ, got 'a' twice"):
        save_model(network(), tmp_path / "model", input_shape=(4, 4, 1), classes="aba")


@pytest.mark.parametrize("shape", [(5, 4, 1), (4, 4, 2), (2, 2, 1), (4, 4), (16,)])
def test_a_shape_that_the_network_does_not_take_is_refused(tmp_path, shape):
    with pytest.raises(OptionError, match="input_shape: expected that of an item which the network takes"):
        save_model(network(), tmp_path / "model", input_shape=shape)


def test_an_item_that_is_one_number_passes(tmp_path):
    model = nn.Sequential(nn.Linear(4, 2), nn.Mean(1), nn.ReLU())
    save_model(model, tmp_path / "model", input_shape=(4,))
    assert load_model(tmp_path / "model").input_shape == (4,)
