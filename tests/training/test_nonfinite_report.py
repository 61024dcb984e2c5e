"""NaN ends a training before it is written, and names its layer; the file that is kept shows it again."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import asarray
from xpcnn.data import Loader, Split
from xpcnn.errors import FileError, FormatError, NonFiniteError
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn import (
    Add,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    Graph,
    HuberLoss,
    Identity,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
)
from xpcnn.optim import SGD
from xpcnn.training import Trainer, replay
from xpcnn.training.gradients import Gradients
from xpcnn.training.nonfinite_report import keep, together

from .small import assert_same, everything, generators, loader, network, split, trainer
from .spoil import Spoil


def failing(folder, at=9, direction="forward", accumulate=1, **options):
    """A run whose batch of that number (from 1) gives NaN in a layer of its own."""
    count = [0]

    def when():
        count[0] += 1
        return count[0] >= at

    model = network()
    model = Sequential(*[model[i] for i in range(6)], Spoil(direction, when), model[6])
    return trainer(folder, model, accumulate=accumulate, **options)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_nothing_is_written_and_the_error_says_where(xp, tmp_path, direction, accumulate):
    run = failing(tmp_path, direction=direction, accumulate=accumulate, read_every=1, ema=0.9)
    kept = []
    step = run.train_step

    def keeps(*arguments):
        kept.append((everything(run), generators(run.model), run.optimizer.scalars()))
        return step(*arguments)

    run.train_step = keeps
    with pytest.raises(NonFiniteError) as caught:
        run.fit(loader(), epochs=2)
    steps = len(kept)
    assert steps == (9 if accumulate == 1 else 5)
    arrays, states, scalars = kept[-1]
    assert_same(everything(run), arrays)
    assert (generators(run.model), run.optimizer.scalars()) == (states, scalars)
    text = str(caught.value)
    given = "the output" if direction == "forward" else "the gradient of the input"
    indices = ", ".join(map(str, loader().indices(1, 1)[:8]))
    assert (
        f"got 1 NaN of 360 numbers in {given} of layer 6 (Spoil), {direction}, in step {steps}, epoch 2, batch 2, "
        in text
    )
    assert f"images {indices} … (10) of the split; lower the learning rate" in text
    assert f"training.replay({str(tmp_path / f'nonfinite-{steps}.safetensors')!r})" in text
    assert "\n" not in text


def test_the_file_holds_what_was_trained_on(tmp_path):
    run = failing(tmp_path)
    with pytest.raises(NonFiniteError):
        run.fit(loader(), epochs=2)
    tensors, metadata = read_tensors(tmp_path / "nonfinite-9.safetensors")
    np.testing.assert_array_equal(tensors["batch.indices"], loader().indices(1, 1))
    expected = list(loader().epoch(1))[1]
    np.testing.assert_array_equal(tensors["batch.x"], expected[0])
    np.testing.assert_array_equal(tensors["batch.y"], expected[1])
    assert metadata["run"] == {"step": 9, "epoch": 2, "batch": 2}
    assert metadata["generators"] == {"5": run.model[5].rng.bit_generator.state}
    for name, array in run.model.state_dict().items():
        np.testing.assert_array_equal(tensors[f"model.{name}"], array)


def exploding(folder, **options):
    """A run of xpcnn's own layers that overflows in its second step, whatever dropout does."""
    model = Sequential(Flatten(), Linear(36, 36, rng=0), ReLU(), Dropout(0.4, rng=3), Linear(36, 3, rng=1))
    return Trainer(model, SGD(model.parameters(), lr=1e25), folder=folder, verbose=False, **options)


def broken(folder, **options):
    with pytest.raises(NonFiniteError) as caught:
        exploding(folder, **options).fit(loader(), epochs=1)
    return folder / "nonfinite-2.safetensors", str(caught.value)


def test_a_replay_finds_the_same(xp, tmp_path, capsys):
    path, text = broken(tmp_path, read_every=1)
    finding = replay(path)
    assert finding.layer == "4"
    assert finding.text in text
    printed = capsys.readouterr().out
    assert printed == f"{finding}\n(step 2, epoch 1, batch 2 of the run)\n"
    assert [line.split()[:3] for line in printed.splitlines()[2:7]] == [
        ["forward", str(i), kind] for i, kind in enumerate(("Flatten", "Linear", "ReLU", "Dropout", "Linear"))
    ]
    assert replay(str(path)) == finding  # dropout draws what it drew, each time


def test_a_replay_draws_the_masks_of_the_step(tmp_path):
    """NaN comes only where dropout keeps one certain number: the rest of the file alone would not show it."""
    model = Sequential(Flatten(), Dropout(0.5, rng=3), Linear(36, 3, rng=1))
    keeps = [Dropout(0.5, rng=3).rng.random((64, 36), dtype="float32")[0, 0] >= 0.5]
    assert keeps  # of the first step
    run = Trainer(model, SGD(model.parameters(), lr=0.0), folder=tmp_path, verbose=False)
    model[2].weight[0, 0] = np.inf
    with pytest.raises(NonFiniteError, match=r"its 2\.weight held some before"):
        run.fit(Loader(split(), 64), epochs=1)
    assert "(its 2.weight held some before)" in replay(tmp_path / "nonfinite-1.safetensors").text
    first = read_tensors(tmp_path / "nonfinite-1.safetensors")[1]["generators"]
    assert first == {"1": Dropout(0.5, rng=3).rng.bit_generator.state}


def test_layers_and_criteria_of_one_s_own_are_passed(tmp_path):
    class Mine(CrossEntropyLoss):
        pass

    run = failing(tmp_path, at=1, criterion=Mine())
    with pytest.raises(NonFiniteError):
        run.fit(loader(), epochs=1)
    path = tmp_path / "nonfinite-1.safetensors"
    with pytest.raises(FormatError, match=r"registered ones alone, got others; pass model="):
        replay(path)
    again = failing(None, at=1)
    with pytest.raises(FormatError, match=r"a criterion of xpcnn, got another; pass criterion="):
        replay(path, model=again.model)
    assert replay(path, model=again.model, criterion=Mine()).layer == "6"


def test_a_replay_that_stays_finite_says_so(tmp_path, capsys):
    path, _ = broken(tmp_path)
    tensors, metadata = read_tensors(path)
    write_tensors(path, {name: array * 0 for name, array in tensors.items()}, metadata)
    assert "all is finite" in replay(path).text


def test_a_full_disk_does_not_hide_what_happened(tmp_path, monkeypatch):
    def full(*arguments):
        raise FileError("nonfinite", "to write the file", "No space left on device")

    monkeypatch.setattr("xpcnn.training.nonfinite_report.write_tensors", full)
    path, text = broken(tmp_path)
    assert "of layer 4 (Linear)" in text
    assert "not kept for replay: nonfinite: expected to write the file, got No space left" in text
    assert not path.exists()


def test_without_a_folder_there_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NonFiniteError, match=r"layer 4 \(Linear\).*look for NaN in the images$"):
        exploding(None).fit(loader(), epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_a_step_outside_a_run(tmp_path):
    run = exploding(None)
    x, y = next(iter(loader().epoch(0)))
    run.train_step(x, y)
    with pytest.raises(NonFiniteError, match=r"in step 2, epoch 1, batch 1; lower"):
        run.train_step(x, y)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_step_of_several_inputs(tmp_path, by_name, capsys):
    entries = {"a": (Linear(3, 4, rng=0), "left"), "b": (Linear(2, 4, rng=1), "right"), "y": (Add(), "a", "b")}
    net = Graph(entries, inputs=("left", "right")).to_backend()
    run = Trainer(net, SGD(net.parameters(), lr=0.1), folder=tmp_path, read_every=1, verbose=False)
    left, right = (asarray(np.ones((6, size)), "float32") for size in (3, 2))
    bad = asarray(np.full((6, 2), np.nan), "float32")
    labels = asarray(np.arange(6) % 4)
    steps = [((left, right), (left, bad)), ({"right": right, "left": left}, {"right": bad, "left": left})]
    good, wrong = steps[by_name]
    assert float(run.train_step(good, labels).loss) > 0
    with pytest.raises(NonFiniteError, match="12 NaN of 12 numbers in the input, in step 2"):
        run.train_step(wrong, labels)
    assert replay(tmp_path / "nonfinite-2.safetensors").text == "12 NaN of 12 numbers in the input"
    assert "12 NaN of 12" in capsys.readouterr().out
    tensors, metadata = read_tensors(tmp_path / "nonfinite-2.safetensors")
    assert [tensors[f"batch.x.{i}"].shape for i in (0, 1)] == [(6, 3), (6, 2)]
    write_tensors(tmp_path / "broken.safetensors", {n: a for n, a in tensors.items() if n != "batch.x.1"}, metadata)
    with pytest.raises(FormatError, match=r"arrays batch.x.0, batch.x.1, batch.y and batch.indices"):
        replay(tmp_path / "broken.safetensors")


def test_devices_read_late_and_say_how_to_find_it(xp):
    if xp.backend == "numpy":
        pytest.skip("NumPy reads each loss")
    with pytest.raises(NonFiniteError, match=r"finite loss, got (nan|inf) in epoch 1, batch \d; .*read_every=1"):
        exploding(None).fit(loader(), epochs=1)


def test_the_run_that_is_resumed_finds_it(xp, tmp_path):
    """The recipe for a device: from the checkpoint before, with read_every=1, the same steps end in the layer."""
    run = failing(tmp_path, at=9)
    run.fit(loader(), epochs=1)
    with pytest.raises(NonFiniteError):
        run.fit(loader(), epochs=2)
    again = failing(tmp_path, at=2, read_every=1)
    with pytest.raises(NonFiniteError, match=r"layer 6 \(Spoil\), forward, in step 9, epoch 2, batch 2"):
        again.fit(loader(), epochs=2, resume=True)


def test_images_out_of_a_regression_split_are_named(tmp_path):
    images = split(20)
    targets = Split(images.images, np.full((20, 1), 3e38, "float32"))
    model = Sequential(Flatten(), Linear(36, 1, rng=0))
    run = Trainer(model, SGD(model.parameters(), lr=0.1), MSELoss(), folder=tmp_path, verbose=False)
    with pytest.raises(
        NonFiniteError, match=r"the loss, MSELoss, forward, in step 1, epoch 1, batch 1, images 0, 1, 2, 3, 4 of"
    ):
        run.fit(Loader(targets, 5), epochs=1)
    assert replay(tmp_path / "nonfinite-1.safetensors").direction == "forward"


RUN = {"step": 1, "epoch": 1, "batch": 1}


def test_a_replay_has_the_criterion_s_options(tmp_path):
    """Beyond δ the loss grows evenly; it is too large for float32 with this δ alone."""
    x = np.full((1, 2), 1e25, np.float32)
    model = Sequential(Identity())
    keep(tmp_path / "a.safetensors", model, HuberLoss(1e30), x, 0 * x, RUN)
    assert replay(tmp_path / "a.safetensors").text.endswith("in the loss, HuberLoss, forward")
    keep(tmp_path / "b.safetensors", model, HuberLoss(), x, 0 * x, RUN)
    assert replay(tmp_path / "b.safetensors").text.startswith("all is finite")


def test_a_replay_puts_the_file_s_numbers_into_the_model_that_is_passed(tmp_path):
    x = np.ones((1, 2), np.float32)
    broken, fresh = Sequential(Linear(2, 2, rng=0)), Sequential(Linear(2, 2, rng=1))
    broken[0].weight[...] = np.nan
    keep(tmp_path / "a.safetensors", broken, MSELoss(), x, x, RUN)
    assert replay(tmp_path / "a.safetensors", model=fresh).layer == "0"
    assert np.isnan(fresh[0].weight).all()


def test_where_no_layer_by_itself_is_at_fault():
    """As many names as there is room for, eight; of more it is said how many there are."""
    bad, good = np.array([np.nan]), np.array([1.0])
    one = np.float64(1.0)
    for count, names in ((2, "0, 1"), (8, "0, 1, 2, 3, 4, 5, 6, 7"), (9, "0, 1, 2, 3, 4, 5, 6, 7 … (9)")):
        found = together(Gradients(one, 0, 1, {str(i): bad for i in range(count)} | {"w": good}))
        assert found.direction == "backward"
        assert found.text.startswith(f"NaN or infinity in the gradients of {names}, from layers that run as one")
    found = together(Gradients(np.float64(np.inf), 0, 1, {"w": good}))
    assert (found.direction, found.text.partition(",")[0]) == ("forward", "NaN or infinity in the loss")
    assert together(Gradients(one, 0, 1, {"w": good})).direction == ""
