"""A run keeps which images it was trained and validated on, and goes on with these alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xpcnn import models, optim
from xpcnn.data.loader import Loader
from xpcnn.data.split import Split
from xpcnn.errors import FormatError, XpcnnWarning
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.training.checkpoint import CHECKPOINT
from xpcnn.training.config import RunConfig
from xpcnn.training.run import resume, start
from xpcnn.training.trained_on import TRAINED_ON, read
from xpcnn.training.trainer import Trainer


@pytest.fixture
def split(rng):
    return Split(rng.integers(0, 256, (40, 4, 4, 1), np.uint8), np.arange(40) % 2)


def trainer(folder, **options):
    model = models.mlp((4, 4, 1), 2, rng=0)
    return Trainer(model, optim.Adam(model.parameters()), folder=folder, verbose=False, **options)


def changed(split: Split, *, images=False, labels=False, order=False) -> Split:
    """As many images, not quite the same."""
    x, y = split.images.copy(), split.labels.copy()
    if images:
        x[7, 0, 0, 0] ^= 1
    if labels:
        y[7] ^= 1
    index = np.roll(np.arange(len(split)), 1) if order else slice(None)
    return Split(x[index], y[index])


def test_what_is_kept(split, tmp_path):
    train, validation = split.split(0.25)
    trainer(tmp_path).fit(Loader(train, 8), validation, epochs=1)
    kept = read(tmp_path)
    assert set(kept.train) == set(train.digests)
    assert set(kept.validation) == set(validation.digests)
    assert kept.images(split).all()
    assert kept.images(changed(split, images=True)).sum() == 39
    assert kept.images(changed(split, labels=True, order=True)).all()
    assert (tmp_path / TRAINED_ON).stat().st_size < 40 * 8 + 1000


def test_only_what_was_trained_on_is_kept(split, tmp_path):
    trainer(tmp_path, overfit_batches=2).fit(Loader(split, 8), epochs=1)
    kept = read(tmp_path)
    assert set(kept.train) == set(split.digests[:16])
    assert not len(kept.validation)


def test_what_a_run_is_trained_on_later_is_added(split, tmp_path):
    training = trainer(tmp_path)
    training.fit(Loader(split.select(slice(20)), 8), epochs=1)
    training.fit(Loader(split.select(slice(10, 30)), 8), split.select(slice(30, 40)), epochs=2)
    kept = read(tmp_path)
    assert set(kept.train) == set(split.digests[:30])
    assert set(kept.validation) == set(split.digests[30:])


def test_nothing_is_hashed_without_a_folder(split, monkeypatch):
    monkeypatch.setattr("xpcnn.data.split.image_digests", None)
    trainer(None).fit(Loader(split, 8), split, epochs=1)


@pytest.mark.parametrize("change", ["images", "labels", "order"])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_run_does_not_go_on_with_other_data_of_the_same_number(split, tmp_path, change, part):
    train, validation = split.split(0.5)
    trainer(tmp_path).fit(Loader(train, 8), validation, epochs=1)
    if part == "training":
        train = changed(train, **{change: True})
    else:
        validation = changed(validation, **{change: True})
    again = trainer(tmp_path)
    before = {name: array.copy() for name, array in again.model.state_dict().items()}
    with pytest.raises(FormatError, match=f"the {part} images that the run began with, got other images, labels"):
        again.fit(Loader(train, 8), validation, epochs=2, resume=True)
    for name, array in again.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_run_does_not_go_on_with_more_or_fewer_images(split, tmp_path):
    trainer(tmp_path).fit(Loader(split.take(30), 8), epochs=1)
    for count in (29, 31):
        with pytest.raises(FormatError, match=f"the 30 training images that the run began with, got {count}; give it"):
            trainer(tmp_path).fit(Loader(split.take(count), 8), epochs=2, resume=True)


def test_validation_does_not_come_or_go(split, tmp_path):
    train, validation = split.split(0.5)
    for name, first, then, text in (
        ("with", validation, None, "the validation images that the run began with, got none"),
        ("without", None, validation, "no validation images, as the run began, got other"),
    ):
        trainer(tmp_path / name).fit(Loader(train, 8), first, epochs=1)
        with pytest.raises(FormatError, match=text):
            trainer(tmp_path / name).fit(Loader(train, 8), then, epochs=2, resume=True)
        assert len(trainer(tmp_path / name).fit(Loader(train, 8), first, epochs=2, resume=True)) == 2


def test_a_checkpoint_that_does_not_say_goes_on_with_a_warning(split, tmp_path):
    trainer(tmp_path).fit(Loader(split, 8), epochs=1)
    tensors, metadata = read_tensors(tmp_path / CHECKPOINT)
    for name in ("data", "validation data"):
        del metadata["run"][name]
    metadata.pop("format", None)
    write_tensors(tmp_path / CHECKPOINT, tensors, metadata)
    with pytest.warns(XpcnnWarning, match="an older xpcnn, and does not say which images"):
        assert len(trainer(tmp_path).fit(Loader(split, 8), epochs=2, resume=True)) == 2


def test_a_checkpoint_that_is_refused_is_said_to_be_of_an_older_xpcnn(split, tmp_path):
    trainer(tmp_path).fit(Loader(split, 8), epochs=1)
    tensors, metadata = read_tensors(tmp_path / CHECKPOINT)
    metadata.pop("format", None)
    older = {name: value for name, value in metadata["run"].items() if name not in ("data", "validation data")}
    for run, text in (
        (None, "run: what it was made of, got none: the checkpoint is of an older xpcnn"),  # 0.1.0's first
        (older | {"images": 7}, "of an older xpcnn: expected the 7 training images that the run began with"),
        (older | {"optimizer": "LBFGS"}, "of an older xpcnn: expected a run with optimizer"),
    ):
        write_tensors(tmp_path / CHECKPOINT, tensors, metadata | {"run": run})
        with pytest.raises(FormatError, match=text):
            trainer(tmp_path).fit(Loader(split, 8), epochs=2, resume=True)


@pytest.mark.parametrize(
    ("tensors", "kind"),
    [
        ({"train": np.zeros(3, np.int64)}, "trained on"),
        ({"train": np.zeros(3, np.int64), "validation": np.zeros(3, np.float32)}, "trained on"),
        ({"train": np.zeros((3, 1), np.int64), "validation": np.zeros(3, np.int64)}, "trained on"),
        ({"train": np.zeros(3, np.int64), "validation": np.zeros(3, np.int64)}, "model"),
    ],
)
def test_another_file_in_its_place(tmp_path, tensors, kind):
    write_tensors(tmp_path / TRAINED_ON, tensors, {"kind": kind})
    with pytest.raises(FormatError, match="the digests of a run's images"):
        read(tmp_path)


def test_a_run_on_a_file_is_refused_where_the_file_was_replaced(tmp_path, rng, capsys):
    def save(seed):
        rng = np.random.default_rng(seed)
        np.savez(tmp_path / "a.npz", x=rng.integers(0, 256, (40, 4, 4), np.uint8), y=np.arange(40) % 2)

    save(0)
    config = RunConfig(str(tmp_path / "a.npz"), model="mlp", epochs=1)
    start(config, tmp_path / "run", verbose=False)
    described = json.loads((tmp_path / "run" / "config.json").read_text()) | {"epochs": 2}
    (tmp_path / "run" / "config.json").write_text(json.dumps(described))
    save(1)
    with pytest.raises(FormatError, match="the training images that the run began with, got other images"):
        resume(tmp_path / "run", verbose=False)
    save(0)
    assert resume(tmp_path / "run", verbose=False)["epochs"] == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("validation", [0, 0.25])
def test_what_was_found_is_printed_first(tmp_path, rng, capsys, validation):
    x, y = rng.integers(0, 256, (50, 4, 4), np.uint8), np.arange(50) % 10
    x[41:43] = x[:2]
    names = [f"class {i}" for i in range(9)] + ["\x1b[31mred"]
    np.savez(tmp_path / "a.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:], classes=names)
    config = RunConfig(str(tmp_path / "a.npz"), model="mlp", epochs=1, validation=validation)
    with pytest.warns(
        XpcnnWarning, match="a: 2 of the 10 images to test on are also among those to train on; what the"
    ):
        start(config, tmp_path / "run")
    said = capsys.readouterr().out.splitlines()
    counts = "30 images to train on, 10 to validate, " if validation else "40 images to train on, "
    assert said[:3] == [
        f"a: {counts}10 to test on; 4×4×1, {x.min()} … {x.max()}, divided by 255",
        "10 classes: " + ", ".join(names[:8]) + " …",
        "parts: x_train and x_test",
    ]
    if validation:
        assert said.pop(3).startswith("validation holds 10 images of 5 of 10 classes: ")
    assert said[3].startswith("epoch   1")


def test_images_to_test_on_that_are_trained_on_are_said_however_quiet_the_run(tmp_path, rng):
    np.savez(tmp_path / "a.npz", x=rng.integers(0, 256, (20, 4, 4), np.uint8), y=np.arange(20) % 2)
    config = RunConfig(
        str(tmp_path / "a.npz"), model="mlp", epochs=1, validation=0, options={"test": str(tmp_path / "a.npz")}
    )
    with pytest.warns(XpcnnWarning, match="20 of the 20 images to test on are also among those to train on"):
        start(config, tmp_path / "run", verbose=False)


def test_of_a_regression_the_number_of_targets_is_printed(tmp_path, rng, capsys):
    np.savez(tmp_path / "a.npz", x=rng.integers(0, 256, (20, 4, 4), np.uint8), y=rng.random((20, 3)))
    config = RunConfig(str(tmp_path / "a.npz"), model="mlp", epochs=1, options={"regression": True})
    start(config, tmp_path / "run")
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "targets: 3 an image",
        "parts: 0.2 of all images in x held out to test on, by content (seed 0)",
    ]
