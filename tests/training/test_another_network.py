"""A checkpoint is taken up by the network that made it: by none that is larger or smaller, and whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import XpcnnError
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn import BatchNorm1d, Dropout, Flatten, LayerNorm, Linear, ReLU, Sequential
from xpcnn.training.checkpoint import CHECKPOINT

from .small import everything, loader, split, trainer


def network(hidden=8, bias=True, more=(), ends=()):
    return Sequential(Flatten(), Linear(36, hidden, rng=0, bias=bias), *more, Linear(hidden, 3, rng=1), *ends)


NETWORKS = {
    "the same": network,
    "wider": lambda: network(16),
    "narrower": lambda: network(4),
    "deeper": lambda: network(more=[ReLU(), Linear(8, 8, rng=2)]),
    "with a layer at its end": lambda: network(ends=[Linear(3, 3, rng=3)]),
    "with dropout": lambda: network(more=[Dropout(0.5, rng=0)]),
    "with batch norm": lambda: network(more=[BatchNorm1d(8)]),
    "without a bias": lambda: network(bias=False),
    "with layer norm": lambda: network(more=[LayerNorm(8)]),
    "with layer norm that learns no bias": lambda: network(more=[LayerNorm(8, bias=False)]),
}


def state(run):
    generators = {name: repr(rng.bit_generator.state) for name, rng in run.model.generators().items()}
    return everything(run), generators, run.optimizer.scalars(), run.schedule.state_dict(), list(run.history)


def refused(run, folder):
    """No run is taken up from the folder, and the trainer is as it was."""
    arrays, *others = state(run)
    before = (folder / CHECKPOINT).read_bytes()
    with pytest.raises(XpcnnError) as raised:
        run.fit(loader(), split(30, seed=1), epochs=3, resume=True)
    assert "\n" not in str(raised.value)
    now, *other = state(run)
    assert other == others
    for name, array in arrays.items():
        np.testing.assert_array_equal(now[name], array)
    assert (folder / CHECKPOINT).read_bytes() == before


OTHERS = [name for name in NETWORKS if name != "the same"]


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize(
    ("saved", "resumed"),
    [("the same", other) for other in OTHERS] + [(other, "the same") for other in OTHERS]
    + [("with layer norm", OTHERS[-1]), (OTHERS[-1], "with layer norm")],
)  # fmt: skip
def test_no_other_network_goes_on(folders, saved, resumed, ema):
    folder = folders(saved, ema)
    refused(trainer(folder, NETWORKS[resumed](), ema=ema), folder)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_network_goes_on(folders, name):
    run = trainer(folders(name, None), NETWORKS[name]())
    assert len(run.fit(loader(), split(30, seed=1), epochs=1, resume=True)) == 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder with a run of each network that has begun."""
    made = {}

    def folder(name, ema):
        if (name, ema) not in made:
            made[name, ema] = tmp_path_factory.mktemp("run")
            trainer(made[name, ema], NETWORKS[name](), ema=ema).fit(loader(), split(30, seed=1), epochs=1)
        return made[name, ema]

    return folder


def spoilt(folder, change):
    tensors, metadata = read_tensors(folder / CHECKPOINT)
    metadata.pop("format", None)
    change(metadata)
    write_tensors(folder / CHECKPOINT, tensors, metadata)


DAMAGE = {
    "no generator": lambda data: data["generators"].clear(),
    "another generator": lambda data: data["generators"].update(other=data["generators"]["5"]),
    "a generator that is nothing": lambda data: data["generators"].update({"5": None}),
    "a generator of another kind": lambda data: data["generators"]["5"].update(bit_generator="MT19937"),
    "a generator without its state": lambda data: data["generators"]["5"].pop("state"),
    "a generator with a text for a number": lambda data: data["generators"]["5"]["state"].update(state="x"),
    "a position with one thing more": lambda data: data["position"].update(more=1),
    "steps that are a text": lambda data: data["optimizer"].update(steps="many"),
    "no rate": lambda data: data["optimizer"].pop("lr"),
    "another schedule": lambda data: data["run"].update(schedule="Cosine"),
    "a schedule without its state": lambda data: data["schedule"].clear(),
    "a history that is none": lambda data: data.update(history=[{"epoch": 1}]),
    "no run": lambda data: data.pop("run"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_before_anything_is_changed(tmp_path, damage):
    trainer(tmp_path).fit(loader(), split(30, seed=1), epochs=1)
    spoilt(tmp_path, DAMAGE[damage])
    refused(trainer(tmp_path), tmp_path)
