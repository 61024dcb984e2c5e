"""A batch in shards gives the loss, gradients and running statistics of the whole batch, and says what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import data, nn, optim, training
from xpcnn.distributed import Group
from xpcnn.errors import FormatError, OptionError
from xpcnn.training.gradients import batch_gradients
from xpcnn.training.sharded_gradients import Sharding, sharded_gradients

CRITERIA = [
    nn.CrossEntropyLoss(label_smoothing=0.1),
    nn.CrossEntropyLoss(weight=[0.5, 2.0, 0.0, 1.0], label_smoothing=0.1),
    nn.CrossEntropyLoss(reduction="sum"),
]


def network():
    rng = np.random.default_rng(0)
    again = nn.BatchNorm2d(4)  # twice
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, rng=rng), again, nn.ReLU(), nn.MaxPool2d(2),
        nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, rng=rng), again, nn.ReLU())),
        nn.Flatten(), nn.Linear(36, 4, rng=rng), nn.BatchNorm1d(4),
    ).astype("float64")  # fmt: skip


@pytest.mark.parametrize("criterion", CRITERIA, ids=["plain", "weights", "sum"])
@pytest.mark.parametrize(("items", "shards"), [(24, 3), (21, 8), (3, 8), (5, 1)])
def test_it_is_the_whole_batch(xp, criterion, items, shards):
    rng = np.random.default_rng(items)
    x, y = xp.array(rng.normal(size=(items, 6, 6, 2)), "float64"), xp.array(rng.integers(0, 4, items), "int64")
    one, other = network().to_backend(), network().to_backend()
    expected = batch_gradients(one, criterion, x, y)
    sharding = Sharding(Group(), shards)
    got = sharded_gradients(other, criterion, sharding.of(x, y), sharding)
    assert float(got.items) == pytest.approx(float(expected.items))
    assert int(got.correct) == int(expected.correct)
    pairs = [(got.loss, expected.loss), *((got.grads[name], g) for name, g in expected.grads.items())]
    pairs += [(a, one.state_dict()[name]) for name, a in other.state_dict().items()]
    for a, b in pairs:
        np.testing.assert_allclose(xpcnn.to_numpy(a), xpcnn.to_numpy(b), rtol=1e-9, atol=1e-9)


def test_masks_depend_on_the_shard_and_a_failure_changes_nothing():
    model = nn.Sequential(nn.Dropout(0.5, rng=0), nn.Linear(8, 3, rng=0))
    x, y = np.ones((8, 8), np.float32), np.zeros(8, np.int64)
    trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=0.1), shards=4)
    rng, before = model[0].rng, model[0].rng.bit_generator.state
    with pytest.raises(xpcnn.errors.DataError, match="labels"):
        trainer.train_step(x, y + 9)
    assert model[0].rng is rng
    assert rng.bit_generator.state == before
    first = trainer.train_step(x, y).loss
    assert first != trainer.train_step(x, y).loss
    assert model[0].rng is rng


def test_what_does_not_fit_is_refused(tmp_path):
    split = data.Split(np.zeros((8, 4, 4, 1), np.uint8), np.arange(8) % 2)
    loader = data.Loader(split, 4)

    def trainer(kind=training.Trainer, **options):
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, rng=0))
        return kind(model, optim.SGD(model.parameters(), lr=0.1), folder=tmp_path / "a", verbose=False, **options)

    class Own(training.Trainer):
        def train_step(self, x, y, *more):
            return super().train_step(x, y, *more)

    with pytest.raises(OptionError, match="own train_step"):
        trainer(Own, shards=2).fit(loader, epochs=1)
    trainer(shards=2).fit(loader, epochs=1)
    with pytest.raises(FormatError, match="a run with shards 4, got 2"):
        trainer(shards=4).fit(loader, epochs=2, resume=True)
    with pytest.raises(OptionError, match="group"):
        trainer(group=2)


def test_each_shard_needs_no_variance_of_its_own_but_the_batch_does():
    layer, sharding = nn.BatchNorm1d(2), Sharding(Group(), 2)
    x, y = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32), np.array([0, 1])
    sharded_gradients(layer, nn.CrossEntropyLoss(), sharding.of(x, y), sharding)
    np.testing.assert_allclose(layer.running_mean, [0.2, 0.35], rtol=1e-6)
    with pytest.raises(xpcnn.errors.ShapeError, match="more than one value a channel"):
        sharded_gradients(layer, nn.CrossEntropyLoss(), sharding.of(x[:1], y[:1]), sharding)
