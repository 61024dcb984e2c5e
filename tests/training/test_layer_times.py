"""A step's time is divided among the layers: each has its own, all add up, and the model is as before."""

from __future__ import annotations

import time

import numpy as np
import pytest

from xpcnn.errors import OptionError
from xpcnn.nn import Conv2d, Flatten, Linear, MSELoss, OpLayer, ReLU, Residual, Sequential
from xpcnn.training import profile

from .small import assert_same, batch, generators, host, network


class Slow(OpLayer):
    """The identity, which takes its time."""

    pair = (None, None)

    def __init__(self, forward, backward):
        self.seconds = forward, backward

    def forward(self, x):
        time.sleep(self.seconds[0])
        return x, None

    def backward(self, dy, cache, *, input_grad=True):
        time.sleep(self.seconds[1])
        return dy, {}


def test_rows_are_the_layers_with_their_outputs(xp):
    times = profile(network(), *batch(), repeats=2)
    assert [(row.name, row.kind, row.output_shape) for row in times.layers] == [
        ("0", "Conv2d", (6, 6, 4)),
        ("1", "BatchNorm2d", (6, 6, 4)),
        ("2", "ReLU", (6, 6, 4)),
        ("3", "MaxPool2d", (3, 3, 4)),
        ("4", "Flatten", (36,)),
        ("5", "Dropout", (36,)),
        ("6", "Linear", (3,)),
        ("", "CrossEntropyLoss", ()),
        ("", "between the layers", ()),
    ]
    assert all(row.forward >= 0 and row.backward >= 0 for row in times.layers)
    assert all(row.forward > 0 and row.backward > 0 for row in times.layers[:4])
    assert sum(row.share for row in times.layers) == pytest.approx(1)
    total = sum(row.forward + row.backward for row in times.layers)
    for row in times.layers:
        assert row.share == pytest.approx((row.forward + row.backward) / total)


def test_times_are_milliseconds_of_that_layer_and_direction():
    """Lower bounds are sure, however busy the machine is; what does not sleep takes less than what does."""
    model = Sequential(Flatten(), Linear(36, 3, rng=0), Slow(0.01, 0.1), Residual(Slow(0.1, 0.0)))
    times = profile(model, *batch(), repeats=3)
    rows = {row.name: row for row in times.layers[:-1]}
    assert 10 <= rows["2"].forward < 100 <= rows["2"].backward < 1000
    assert rows["3.body"].backward < 100 <= rows["3.body"].forward < 1000
    assert rows["1"].forward < 100
    assert rows[""].forward < 100
    between = times.layers[-1]
    assert between.forward < 100
    assert 210 <= times.step < 2000
    assert rows["2"].share > 0.3


def test_a_layer_that_stands_twice_has_one_row():
    slow = Slow(0.05, 0.0)
    times = profile(Sequential(Flatten(), Linear(36, 3, rng=0), slow, ReLU(), slow), *batch(), repeats=2)
    assert [row.name for row in times.layers] == ["0", "1", "2", "3", "", ""]
    assert 100 <= times.layers[2].forward < 1000


def test_what_needs_no_gradient_has_no_backward():
    times = profile(Sequential(ReLU(), Conv2d(1, 2, 3, rng=0), Flatten(), Linear(32, 3, rng=0)), *batch(), repeats=1)
    assert times.layers[0].backward == 0.0
    assert times.layers[1].backward > 0.0


def test_the_model_is_as_before(xp):
    model = network()
    before = host(model.state_dict()), generators(model)
    profile(model, *batch(), repeats=3)
    assert_same(host(model.state_dict()), before[0])
    assert generators(model) == before[1]


def test_it_is_printed_as_a_table():
    lines = str(profile(network(), *batch(), repeats=1)).splitlines()
    assert lines[0].split() == ["Layer", "Output", "Forward", "ms", "Backward", "ms", "Share"]
    assert lines[2].startswith("0 Conv2d")
    assert lines[-2].startswith("Total")
    assert lines[-2].endswith("100.0%")
    assert lines[-1].startswith("forward and backward of the network as it trains: ")
    assert len({len(line) for line in lines[:-1]}) == 1


def test_one_layer_and_another_criterion():
    x = np.ones((4, 3), "float32")
    times = profile(Linear(3, 2, rng=0), x, np.zeros((4, 2), "float32"), MSELoss(), repeats=1)
    assert [row.kind for row in times.layers] == ["Linear", "MSELoss", "between the layers"]


@pytest.mark.parametrize("repeats", [0, -1, 2.5])
def test_repeats_are_a_count(repeats):
    with pytest.raises(OptionError, match="profile: expected repeats"):
        profile(network(), *batch(), repeats=repeats)


def test_repeats_are_not_taken_for_another_argument():
    with pytest.raises(TypeError, match="positional"):
        profile(network(), *batch(), None, 3)
