"""The trainer on augmented batches: what is made ahead, and a stop in the middle, change no bit of the run; and only
training sees them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import xpcnn
from xpcnn.cli import main
from xpcnn.data import Loader, augment, digits
from xpcnn.io import load_model
from xpcnn.models import mlp, normalized
from xpcnn.nn import MSELoss, Sequential
from xpcnn.optim import Adam
from xpcnn.training import Trainer, evaluate
from xpcnn.training.config import RunConfig
from xpcnn.training.run import start

from .small import assert_same, host, rows, split, stopped_at

TEXT = "flip,shift:1,rotate:20,brightness:0.2,cutout:2,mixup:0.4"


def loader(prefetch=0):
    return Loader(split(), 10, shuffle=True, seed=4, augment=augment.parse(TEXT, 3), prefetch=prefetch)


def trainer(folder=None):
    model = normalized(mlp((6, 6, 1), 3, hidden=(8,), rng=0), *split().statistics())
    return Trainer(model, Adam(model.parameters(), lr=0.01), folder=folder, verbose=False)


@pytest.mark.parametrize("stop_after", [3, 9])
def test_resume_continues_bit_for_bit(xp, tmp_path, stop_after):
    whole = trainer(tmp_path / "whole")
    whole.fit(loader(), split(30, seed=1), epochs=2)
    with stopped_at(stop_after, trainer(tmp_path / "stopped")) as stopped:
        stopped.fit(loader(prefetch=3), split(30, seed=1), epochs=2)
    again = trainer(tmp_path / "stopped")
    again.fit(loader(prefetch=1), split(30, seed=1), epochs=2, resume=True)
    assert_same(host(again.model.state_dict()), host(whole.model.state_dict()))
    assert rows(again) == rows(whole)
    for each in threading.enumerate():
        if each.name.startswith("xpcnn-prefetch"):
            each.join(10)
            assert not each.is_alive()


def test_digits_are_learnt_from_augmented_images():
    train, held = digits().train.split(0.2)
    model = normalized(mlp(train.input_shape, 10, hidden=(64,), rng=0), *train.statistics())
    run = Trainer(model, Adam(model.parameters(), lr=0.01), verbose=False)
    changes = augment.parse("rotate:10,contrast:0.2,mixup:0.2", 10)
    run.fit(Loader(train, 32, shuffle=True, augment=changes, prefetch=2), epochs=8)
    assert run.evaluate(held).accuracy > 0.9


def test_mixed_targets_of_a_regression():
    images = split(60)
    brightness = images.images.mean(axis=(1, 2, 3)).astype(np.float32)[:, None] / 255
    train = xpcnn.data.Split(images.images, brightness)
    model = mlp(train.input_shape, 1, hidden=(), rng=0)
    run = Trainer(model, Adam(model.parameters(), lr=0.01), MSELoss(), verbose=False)
    history = run.fit(Loader(train, 10, shuffle=True, augment=augment.Mixup(0.5)), epochs=150)
    assert history[-1].train_loss < 0.01 * history[0].train_loss


MARK = -5.0  # no image has it


def marked(x, y, rng):
    return 0 * x + MARK, y


@pytest.fixture
def seen(monkeypatch):
    """The batches of images that networks were trained on, and those that they were asked about in inference."""
    found: dict[str, list[np.ndarray]] = {"forward": [], "__call__": []}

    def recorded(verb):
        own = getattr(Sequential, verb)

        def run(self, x):
            found[verb].append(xpcnn.to_numpy(x))
            return own(self, x)

        return run

    for verb in found:
        monkeypatch.setattr(Sequential, verb, recorded(verb))
    monkeypatch.setattr("xpcnn.nn.predicting.MOST_NUMBERS", 0)  # a plan does not call the network
    return found


def judged(seen, shape):
    """All images of inference, those of inner networks left out."""
    return np.concatenate([x for x in seen["__call__"] if x.shape[1:] == shape])


def test_only_training_sees_augmented_images(seen, tmp_path):
    model = mlp((6, 6, 1), 3, hidden=(8,), rng=0)
    run = Trainer(model, Adam(model.parameters(), lr=0.01), ema=0.5, folder=tmp_path, verbose=False)
    validation, test = split(30, seed=1), split(20, seed=2)
    run.fit(Loader(split(), 10, shuffle=True, augment=marked), validation, epochs=2)
    assert all((x == MARK).all() for x in seen["forward"])
    run.evaluate(test)
    evaluate(model, test)
    load_model(tmp_path / "model.safetensors").model(xpcnn.asarray(test.images[:1] / np.float32(255)))
    expected = [validation.images[:1]] + [validation.images] * 2 + [test.images] * 2 + [test.images[:1]]
    np.testing.assert_allclose(judged(seen, (6, 6, 1)), np.concatenate(expected) / 255, atol=1e-6)


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_run_by_name_judges_images_as_they_are(seen, tmp_path, monkeypatch, ema):
    monkeypatch.setattr("xpcnn.data.augment.parse", lambda *args, **options: marked)
    config = RunConfig(model="mlp", epochs=1, augment="flip", ema=ema, options={})
    start(config, tmp_path / "run", verbose=False)
    assert any((x == MARK).all() for x in seen["forward"])
    assert judged(seen, (8, 8, 1)).min() >= 0
    assert len(judged(seen, (8, 8, 1))) >= len(digits().test)
    before = len(seen["__call__"])
    monkeypatch.setattr("sys.argv", ["xpcnn", "eval", str(tmp_path / "run"), "digits"])
    with pytest.raises(SystemExit):
        main()
    assert len(seen["__call__"]) > before
    assert judged(seen, (8, 8, 1)).min() >= 0
