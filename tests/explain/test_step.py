"""A training step on one page: its numbers are the library's, its wiring the network's; its page is whole and small.

That the script of the page works out the same numbers, `test_step_browser.py` shows.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from xpcnn import models, nn, optim
from xpcnn.errors import OptionError
from xpcnn.explain import step
from xpcnn.explain.step_page import MOST_NUMBERS
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.optim.clip import clip_by_norm

from .page import Reader


def branched():
    """Chains, a shortcut, branches, a layer that is called twice, statistics and masks."""
    twice = nn.Conv2d(2, 2, 1, rng=4)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, rng=0),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, rng=1), twice)),
        twice,
        nn.Concat(nn.Conv2d(2, 1, 1, rng=2), nn.Identity()),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5, rng=5),
        nn.Linear(12, 3, rng=0),
    )


@pytest.fixture
def images(rng):
    return rng.random((2, 4, 4, 1)).astype("float32")


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "AdaGrad": lambda p: optim.AdaGrad(p, weight_decay=0.1),
    "RMSProp": lambda p: optim.RMSProp(p, momentum=0.5),
    "centered": lambda p: optim.RMSProp(p, centered=True),
    "Adadelta": lambda p: optim.Adadelta(p, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_number_is_what_its_rule_says(name, images):
    """Also after steps before this one, so that no average is 0; and clipped."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, rng=0))
    optimizer = OPTIMIZERS[name](model.parameters())
    for _ in range(2):
        dy, cache = model.forward(images)
        optimizer.step(model.backward(dy, cache)[1])
    kept = {key: array.copy() for key, array in (model.state_dict() | optimizer.state_dict()).items()}
    walk = step(model, images, np.array([1, 2]), optimizer=optimizer, clip_norm=0.05)
    for key, array in (model.state_dict() | optimizer.state_dict()).items():
        np.testing.assert_array_equal(array, kept[key])  # nothing is changed
    assert walk.check(1e-5) > 200
    y, cache = model.forward(images)
    _, loss = nn.CrossEntropyLoss().forward(y, np.array([1, 2]))
    grads, _ = clip_by_norm(model.backward(nn.CrossEntropyLoss().backward(loss), cache)[1], 0.05)
    optimizer.step(grads)
    after = {stop.place: stop.page.arrays["p′"].values for stop in walk.stops if stop.step.makes == "p′"}
    for key, array in model.parameters().items():
        np.testing.assert_allclose(after[key], array, rtol=1e-6)
    assert walk.check(1e-5) > 200  # nor does the walk change with the network
    assert walk.loss_after == pytest.approx(float(nn.CrossEntropyLoss()(model(images), np.array([1, 2]))), rel=1e-5)


def test_a_loss_says_where_its_formulas_are(images):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, rng=0))
    for criterion in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)):
        walk = step(model, images, np.array([1, 2]), criterion=criterion)
        (source,) = {stop.page.source for stop in walk.stops if stop.part == "loss"}
        assert source == "xpcnn.ops.loss_classification"


def test_the_numbers_flow_from_layer_to_layer(images):
    model = branched()
    walk = step(model, images, np.array([1, 2]))
    assert walk.check(1e-5) > 500
    assert [(node.title, node.reads) for node in walk.wiring.nodes] == [
        ("0 Conv2d", (0,)),
        ("1 BatchNorm2d", (1,)),
        ("2 ReLU", (2,)),
        ("3.body.0 Conv2d", (3,)),
        ("3.body.1 Conv2d", (4,)),
        ("3 Add", (5, 3)),
        ("3.body.1 Conv2d", (6,)),
        ("5.0 Conv2d", (7,)),
        ("5.1 Identity", (7,)),
        ("5 Concat", (8, 9)),
        ("6 MaxPool2d", (10,)),
        ("7 Flatten", (11,)),
        ("8 Dropout", (12,)),
        ("9 Linear", (13,)),
    ]
    made, given = set(), {("v", 0)} | {("p", name) for name in model.parameters()}
    for stop in walk.stops:  # each array is made before it is read, or it is the network's
        for name in stop.step.reads:
            key = stop.keys[name]
            assert key in made | given or key[0] in ("own", "loss", "update"), (stop.place, stop.step.title, key)
        made.add(stop.keys[stop.step.makes])
    arrays = {}
    for stop in walk.stops:  # and is the same wherever it stands
        for name, array in stop.page.arrays.items():
            if not array.of:
                first = arrays.setdefault(stop.keys[name], array.values)
                np.testing.assert_array_equal(array.values.ravel(), first.ravel())
    gradients = {stop.place: stop.page.arrays["g"].values for stop in walk.stops if stop.part == "update"}
    assert gradients.keys() == model.parameters().keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_has_its_place_in_a_walk(name):
    layer, x = EXAMPLES[name]()
    model = nn.Sequential(nn.Scale(x.shape[-1]), layer)
    x = x.astype("float32")
    walk = step(model, x, np.zeros(model(x).shape, "float32"), nn.MSELoss())
    source = walk.html()
    assert "loss" in repr(walk)
    for stop in walk.stops[:3]:
        if stop.step.work:
            stop.step.work(stop.step.focus)
    assert len(source) < 500_000


def test_the_page_is_small_well_formed_and_asks_for_nothing(rng):
    model = models.lenet5((28, 28, 1), 10, rng=0)
    image = rng.random((1, 28, 28, 1)).astype("float32")
    walk = step(model, image, 3, optimizer=optim.AdamW(model.parameters()), classes=["<b>"] * 10)
    source = walk.html(title="<i>")
    assert len(source.encode()) < 5e6
    reader = Reader(source)
    for _, name, value in reader.attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:", "#s")), value
        assert not name.startswith("on")
    assert "http" not in source.replace("http-equiv", "")
    assert "<i>" not in source
    assert "to keep this page small" not in source.lower()
    data = json.loads(re.search(r'id="data">(.*?)</script>', source, re.DOTALL)[1])
    assert len(data["stops"]) == len(walk.stops) == source.count('<section id="s')
    assert sum(size for written, size, *_ in data["arrays"] if "f" in written) < MOST_NUMBERS
    assert MOST_NUMBERS * 4 * 4 / 3 < 4.5e6  # bytes, as text; there is more on a page
    assert len(walk._repr_html_()) < 20_000


def test_a_frozen_part_and_rates_of_single_parameters(images):
    model = nn.freeze(branched(), ["0.*", "1.*"])
    optimizer = optim.AdamW(model.parameters(), lr=0.01).scale(lr={"9*": 0.1, "3*": 0}, weight_decay={"*bias": 0})
    walk = step(model, images, np.array([1, 2]), optimizer=optimizer)
    assert walk.check(1e-5) > 500
    updated = {stop.place for stop in walk.stops if stop.part == "update"}
    assert updated == model.parameters().keys()
    assert not any(stop.keys[stop.step.makes][0] == "g" for stop in walk.stops if stop.place.startswith(("0 ", "1 ")))
    assert "frozen" in walk.html()


def test_of_a_large_network_the_page_says_what_is_left_out(images, monkeypatch):
    monkeypatch.setattr("xpcnn.explain.step_page.MOST_NUMBERS", 100)
    walk = step(branched(), images)
    source = walk.html()
    assert re.search(r"To keep this page small, \d+ large arrays are not whole", source)
    data = json.loads(re.search(r'id="data">(.*?)</script>', source, re.DOTALL)[1])
    sparse = [(written["s"], size) for written, size, *_ in data["arrays"] if "s" in written]
    assert sparse
    assert all(len(places) < size for (places, _), size in sparse)


def test_what_cannot_be_a_step_is_refused(images):
    model = branched()
    with pytest.raises(OptionError, match="an optimizer of this model's parameters"):
        step(model, images, optimizer=optim.SGD(branched().parameters(), lr=0.1))
    two = nn.Graph({"a": (nn.Scale(1), "x"), "b": (nn.Scale(1), "x")}, outputs=("a", "b"))
    with pytest.raises(OptionError, match="one input and one output"):
        step(two, images)
