"""Fine-tuning: what is trained becomes the same, bit for bit, as if the frozen gradients were dropped; a run that
unfreezes resumes bit for bit; and what was learned before helps."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import data, models, nn, optim
from xpcnn.errors import FormatError, NonFiniteError, OptionError
from xpcnn.exchange import export_onnx, import_onnx, load_weights, save_pytorch
from xpcnn.io.model_file import load_model
from xpcnn.nn import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from xpcnn.training import Trainer, gradient_statistics, keep_features, lr_find

from .small import assert_same, everything, host, loader, rows, split, stopped_at

BODY = ["0.*", "1.*"]


def network():
    return Sequential(
        Conv2d(1, 4, 3, padding=1, rng=0), BatchNorm2d(4), ReLU(), MaxPool2d(2), Flatten(),
        Linear(36, 8, rng=1), Dropout(0.3, rng=2), Linear(8, 3, rng=3),
    )  # fmt: skip


def plain():
    return Sequential(Conv2d(1, 4, 3, padding=1, rng=0), ReLU(), MaxPool2d(2), Flatten(), Linear(36, 3, rng=1))


def tuned(folder=None, model=None, *, lr=0.01, frozen=BODY, **options):
    model = nn.freeze(network() if model is None else model, frozen)
    names = nn.all_parameters(model)
    optimizer = optim.AdamW(model.parameters(), lr=lr).scale(lr={"0.*": 0.1}, weight_decay={"*.bias": 0}, names=names)
    options = {"schedule": optim.Plateau(lr, factor=0.5, patience=1), "verbose": False} | options
    return Trainer(model, optimizer, folder=folder, **options)


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"clip_norm": 0.1}, {"ema": 0.9}], ids=str)
def test_it_is_training_with_the_frozen_gradients_dropped(xp, options):
    frozen, dropped = nn.freeze(plain(), "0.*"), plain()
    head = {name: p for name, p in dropped.parameters().items() if name[0] == "4"}
    one = Trainer(frozen, optim.Adam(frozen.parameters(), lr=0.01), verbose=False, **options)
    other = Trainer(dropped, optim.Adam(head, lr=0.01), verbose=False, **options)
    for each in (one, other):
        each.fit(loader(), split(12, seed=1), epochs=2)
    assert_same(host(frozen.state_dict()), host(dropped.state_dict()))
    assert rows(one) == rows(other)
    assert_same(host(one.kept_model.state_dict()), host(other.kept_model.state_dict()))


def test_nothing_of_the_frozen_part_changes(xp):
    run = tuned(ema=0.9)
    before = host(run.model.state_dict())
    run.fit(loader(), epochs=1)
    for model in (run.model, run.kept_model):
        same = [name for name, array in host(model.state_dict()).items() if np.array_equal(array, before[name])]
        assert same == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]


OPTIONS = {"unfreeze_at": 3, "ema": 0.9, "accumulate": 2}


def test_unfreezing_trains_all_and_a_run_across_it_resumes_bit_for_bit(tmp_path):
    whole = tuned(tmp_path / "whole", **OPTIONS)
    frozen = host(whole.model.state_dict())
    whole.fit(loader(), split(6, seed=1), epochs=2)
    assert host(whole.model.state_dict())["0.weight"].tobytes() == frozen["0.weight"].tobytes()
    whole.fit(loader(), split(6, seed=1), epochs=4)
    assert not [n for n, p in host(whole.model.state_dict()).items() if np.array_equal(p, frozen[n])]
    names = ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert whole.optimizer.scalars()["begun"] == dict.fromkeys(names, 8)
    assert whole.model.parameters().keys() == whole.optimizer.parameters.keys()
    for epochs in (1, 2, 3):
        tuned(tmp_path / f"{epochs}", **OPTIONS).fit(loader(), split(6, seed=1), epochs=epochs)
    for step in (7, 10):  # the last of epoch 2 is step 8
        with stopped_at(step, tuned(tmp_path / f"step {step}", **OPTIONS)) as run:
            run.fit(loader(), split(6, seed=1), epochs=4)
    for part in ("1", "2", "3", "step 7", "step 10"):
        rest = tuned(tmp_path / part, **OPTIONS)
        rest.fit(loader(), split(6, seed=1), epochs=4, resume=True)
        assert_same(everything(rest), everything(whole))
        assert rest.optimizer.scalars() == whole.optimizer.scalars()
        assert rows(rest) == rows(whole)
    best = load_model(tmp_path / "whole" / "model.safetensors").model
    assert_same(host(best.state_dict()), host(whole.best_model.state_dict()))


def test_a_run_that_unfreezes_at_another_epoch_is_another_run(tmp_path):
    tuned(tmp_path, unfreeze_at=2).fit(loader(), epochs=1)
    for other in ({"unfreeze_at": 3}, {}):
        with pytest.raises(FormatError, match="a run with unfreeze_at"):
            tuned(tmp_path, **other).fit(loader(), epochs=2, resume=True)
    with pytest.raises(FormatError, match="arrays of this model and run"):
        tuned(tmp_path, frozen="0.*", unfreeze_at=2).fit(loader(), epochs=2, resume=True)


def test_a_trial_sweep_statistics_and_the_search_for_a_nan_take_a_frozen_network(tmp_path):
    run = tuned(tmp_path, unfreeze_at=2)
    before = everything(run)
    assert len(lr_find(run.model, run.optimizer, loader(), steps=5).rates) == 5
    x, y = next(loader().epoch(0))
    found = gradient_statistics(run.model, x, y, optimizer=run.optimizer)
    assert [row.name for row in found.parameters] == ["5.weight", "5.bias", "7.weight", "7.bias"]
    run.fast_dev_run = True
    run.fit(loader(), split(6, seed=1), epochs=3)
    assert_same(everything(run), before)
    x = np.array(x)
    x[0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="input"):
        run.train_step(x, y)
    run.model.state_dict()["0.weight"][0, 0, 0, 0] = np.inf
    with pytest.raises(NonFiniteError, match=r"layer 0 \(Conv2d\)"):
        run.train_step(*next(loader().epoch(0)))


def test_kept_features_give_the_same_training(tmp_path):
    parts = loader().split, split(12, seed=1)
    plainly, kept = tuned(), tuned(unfreeze_at=3)
    calls = []
    kept.model = keep_features(kept.model, *parts)
    known = kept.model.divided.output
    known.frozen = lambda x: calls.append(len(x)) or kept.model.divided.frozen(x)
    for each, epochs in ((plainly, 2), (kept, 2)):
        each.fit(loader(), parts[1], epochs=epochs)
    assert not calls
    for name, array in host(kept.model.state_dict()).items():
        np.testing.assert_allclose(array, host(plainly.model.state_dict())[name], rtol=1e-4, atol=1e-6)
    kept.fit(loader(), parts[1], epochs=4)  # unfrozen, it computes them
    assert kept.model.divided is None
    other = keep_features(tuned().model, parts[1])
    x, _ = next(loader().epoch(0))
    np.testing.assert_array_equal(other(x), tuned().model(x))  # images that it does not know


def test_a_run_with_kept_features_resumes_bit_for_bit(tmp_path):
    def run(folder):
        model = keep_features(nn.freeze(network(), BODY), loader().split)
        return Trainer(model, optim.Adam(model.parameters(), lr=0.01), folder=tmp_path / folder, ema=0.9, verbose=False)

    whole, half, rest = run("whole"), run("half"), run("half")
    whole.fit(loader(), epochs=3)
    half.fit(loader(), epochs=1)
    rest.fit(loader(), epochs=3, resume=True)
    assert_same(everything(rest), everything(whole))


def test_features_are_kept_within_a_part_that_is_partly_frozen(rng):
    body = nn.Graph({"a": (Conv2d(1, 4, 3, rng=0), "x"), "b": (Conv2d(4, 2, 3, rng=1), "a")})
    model = models.normalized(Sequential(body, Flatten(), Linear(8, 3, rng=2)), [0.5], [0.2])
    frozen = nn.freeze(model, "1.a.*")
    kept = keep_features(frozen, loader().split)
    assert kept[1].divided.output is not kept[1].divided.frozen
    x, _ = next(loader().epoch(0))
    np.testing.assert_allclose(kept(x), frozen(x), rtol=1e-5)
    np.testing.assert_allclose(kept.forward(x)[0], frozen.forward(x)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: tuned(unfreeze_at=1), "unfreeze_at: an integer ≥ 2, got 1"),
        (lambda: Trainer(plain(), optim.SGD(plain().parameters(), lr=1), unfreeze_at=2), "optimizer of this model's"),
        (lambda: tuned(frozen="*"), "at least one parameter, got none"),
        (lambda: keep_features(plain(), split()), "that begins with frozen layers, got none"),
        (lambda: keep_features(nn.freeze(plain(), "4.*"), split()), "that begins with frozen layers, got none"),
        (lambda: keep_features(nn.freeze(plain(), "0.*")), "one Split or more"),
    ],
)
def test_wrong_turns(make, said):
    with pytest.raises(OptionError, match=said):
        make()
    model = plain()
    with pytest.raises(OptionError, match="unfreeze_at: a network with frozen parameters, got none"):
        Trainer(model, optim.SGD(model.parameters(), lr=0.1), unfreeze_at=2)


def test_it_beats_training_from_scratch(tmp_path):
    """What has learned the ten digits learns from 60 of them, in 30 steps, how far each is from 0 or 5."""
    pytest.importorskip("onnx")
    digits, model = data.digits(), models.mnist_cnn((8, 8, 1), 10, rng=0)
    whole = data.Loader(digits.train, 32, shuffle=True, seed=0)
    Trainer(model, optim.Adam(model.parameters(), lr=0.003), verbose=False).fit(whole, epochs=4)
    export_onnx(model, tmp_path / "digits.onnx", input_shape=(8, 8, 1))
    save_pytorch(model, tmp_path / "digits.safetensors", input_shape=(8, 8, 1))
    few, test = (data.Split(each.images, each.labels % 5) for each in (digits.train.take(60), digits.test))

    def accuracy(model):
        trainer = Trainer(model, optim.Adam(model.parameters(), lr=0.003), verbose=False)
        trainer.fit(data.Loader(few, 20, shuffle=True, seed=0), epochs=10)
        return trainer.evaluate(test).accuracy

    by_onnx = nn.freeze(models.new_head(import_onnx(tmp_path / "digits.onnx").model, 5, rng=1), "0.*")
    by_weights = models.mnist_cnn((8, 8, 1), 5, rng=1)
    load_weights(by_weights, tmp_path / "digits.safetensors", new="9.*", input_shape=(8, 8, 1))
    tuned = [accuracy(by_onnx), accuracy(nn.freeze(by_weights, "0.*"))]
    scratch = [accuracy(models.mnist_cnn((8, 8, 1), 5, rng=seed)) for seed in (0, 1)]
    assert min(tuned) > max(scratch) + 0.04, (tuned, scratch)
