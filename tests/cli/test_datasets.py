"""A data set for a saved model: in its size, with its numbers of the classes, of the kind of labels that it gives."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from xpcnn.cli.datasets import model_and_dataset
from xpcnn.errors import DataError
from xpcnn.nn import CrossEntropyLoss, Flatten, Linear, MSELoss, Sequential
from xpcnn.training.best_model import save_best
from xpcnn.training.config import RunConfig

SHAPE = (2, 3, 1)
IMAGES = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, *SHAPE)


@pytest.fixture
def saved(tmp_path):
    """A model's file, and beside it the configuration of its run where there is one."""

    def save(classes=(), shape=SHAPE, config=None):
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        network = Sequential(Flatten(), Linear(int(np.prod(shape)), len(classes) or 1))
        save_best(run, network, shape, classes, criterion=CrossEntropyLoss() if classes else MSELoss())
        if config is not None:
            (run / "config.json").write_text(json.dumps(asdict(config)))
        return run / "model.safetensors"

    return save


@pytest.fixture
def npz(tmp_path):
    def save(name="a.npz", labels=("dog", "cat", "dog", "cat"), images=IMAGES):
        arrays = {"x_train": images, "y_train": np.array(labels), "x_test": images[:1], "y_test": np.array(labels[:1])}
        np.savez(tmp_path / name, **arrays)
        return str(tmp_path / name)

    return save


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(("cat", "dog"), [1, 0, 1, 0]), (("dog", "cat"), [0, 1, 0, 1]), (("cow", "dog", "cat"), [1, 2, 1, 2])],
)
def test_labels_are_the_model_s_numbers(saved, npz, classes, expected):
    _, dataset = model_and_dataset(saved(classes), npz(), ())
    assert dataset.classes == classes
    assert dataset.train.labels.tolist() == expected
    assert dataset.test.labels.tolist() == expected[:1]
    np.testing.assert_array_equal(dataset.train.images, IMAGES)


def test_classes_and_values_are_not_mixed_up(saved, npz):
    numbers = npz("numbers.npz", (0.5, 1.5, 2.5, 3.5))
    with pytest.raises(DataError, match="labels that are classes, as the model gives, got values"):
        model_and_dataset(saved(("cat", "dog")), numbers, ("regression=true",))
    assert model_and_dataset(saved(), numbers, ())[1].train.labels.tolist() == [[0.5], [1.5], [2.5], [3.5]]
    with pytest.raises(DataError, match="labels that are values, as the model gives, got classes"):
        model_and_dataset(saved(), npz(), ("regression=false",))


def test_images_of_another_size_or_number_of_channels_are_refused(saved, npz):
    for other in (IMAGES[:, :1], np.repeat(IMAGES, 3, axis=3)):
        with pytest.raises(DataError, match=r"expected images \(2, 3, 1\), got"):
            model_and_dataset(saved(("cat", "dog")), npz(images=other), ())


def test_rows_of_a_table_have_the_model_s_shape(saved, tmp_path):
    rows = np.column_stack([[0, 1, 0, 1], IMAGES.reshape(4, 6)])
    np.savetxt(tmp_path / "a.csv", rows, "%d", delimiter=",")
    _, dataset = model_and_dataset(saved(("0", "1")), str(tmp_path / "a.csv"), ("test_fraction=0.5",))
    assert (dataset.input_shape, len(dataset.test)) == (SHAPE, 2)
    assert not model_and_dataset(saved(), str(tmp_path / "a.csv"), ())[1].classes


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_brought_to_the_model_s_size_and_channels(saved, tmp_path, channels):
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(2):
            image.fromarray(np.full((9, 7, 3), 100 * i, np.uint8)).save(tmp_path / "pets" / name / f"{i}.png")
    shape = (5, 4, channels)
    assert model_and_dataset(saved(("cat", "dog"), shape), str(tmp_path / "pets"), ())[1].input_shape == shape


def test_arrays_in_files_of_their_own_are_values_for_a_regression(saved, tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", np.array([0.5, 1.5, 2.5, 3.5]))
    _, dataset = model_and_dataset(saved(), str(tmp_path / "x.npy"), ())
    assert (dataset.classes, dataset.train.labels.shape) == ((), (3, 1))


def test_options_of_the_run_are_for_its_own_data_set(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "own.npz", x=np.repeat(IMAGES, 5, axis=0), y=["dog", "cat"] * 10)
    np.savez(tmp_path / "other.npz", x=np.repeat(IMAGES, 5, axis=0), y=["dog", "cat"] * 10)
    config = RunConfig(str(tmp_path / "own.npz"), options={"test_fraction": 0.5})
    model = saved(("cat", "dog"), config=config)
    for place in (model, model.parent):
        for name, words, tested in (("own", (), 10), ("other", (), 4), ("own", ("test_fraction=0.3",), 6)):
            for path in (tmp_path / f"{name}.npz", f"{name}.npz"):
                assert len(model_and_dataset(place, str(path), words)[1].test) == tested
