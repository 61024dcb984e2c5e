"""Commands look at no more large images together than the run was trained on; `train` refuses at once."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.cli import main
from xpcnn.nn import CrossEntropyLoss, Flatten, Linear, Sequential
from xpcnn.training.best_model import MODEL, save_best

SIZE = 64


@pytest.fixture
def seen(monkeypatch):
    """The numbers of images that a network is given at a time."""
    sizes, flatten = [], Flatten.__call__

    def counted(self, x):
        sizes.append(len(x))
        return flatten(self, x)

    monkeypatch.setattr(Flatten, "__call__", counted)
    monkeypatch.setattr("xpcnn.nn.predicting.MOST_NUMBERS", 0)  # a plan does not call the layers
    return sizes


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    model = Sequential(Flatten(), Linear(SIZE * SIZE, 3, rng=0))
    save_best(tmp_path / "run", model, (SIZE, SIZE, 1), ("0", "1", "2"), criterion=CrossEntropyLoss(), batch_size=5)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, SIZE, SIZE, 1)).astype("uint8"), np.arange(12) % 3
    np.savez(tmp_path / "data.npz", x_train=255 - images, y_train=labels, x_test=images, y_test=labels)
    np.save(tmp_path / "images.npy", images)
    return tmp_path


def status(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


@pytest.mark.parametrize(
    "words", ["predict run images.npy", "eval run data.npz", "plot confusion run data.npz", "plot wrong run data.npz"]
)
def test_large_images_are_looked_at_as_many_at_a_time_as_in_training(run, seen, words):
    if words.startswith("plot"):
        pytest.importorskip("matplotlib")
    assert status(words.split()) == 0
    assert [size for size in seen if size > 1] == [5, 5, 2]  # one image may tell the shape of the outputs


def test_who_says_another_number_gets_it(run, seen):
    assert status(["eval", "run", "data.npz", "--batch-size", "8"]) == 0
    assert seen == [8, 4]


def test_a_run_judges_its_own_test_images_as_it_trains(run, seen):
    words = "train data.npz --model mlp --epochs 1 --batch-size 4 --validation 0.3 --out trained --quiet"
    assert status(words.split()) == 0
    assert max(seen) == 4
    assert status(["eval", "trained", "data.npz"]) == 0
    assert max(seen) == 4


def test_patience_without_validation_is_refused_before_a_folder_is_made(run, capsys):
    assert status(["train", "data.npz", "--model", "mlp", "--patience", "2", "--validation", "0", "--out", "new"]) == 2
    said = capsys.readouterr().err
    assert "train: expected validation images, as there is patience, got validation 0; hold images out" in said
    assert not (run / "new").exists()


def test_a_short_last_batch_can_be_left_out(run, capsys):
    words = "train data.npz --model mlp --epochs 1 --batch-size 5 --validation 0 --log csv --quiet --out"
    for options, steps in ((["short"], 3), (["whole", "--drop-last"], 2)):
        assert status([*words.split(), *options]) == 0
        assert len((run / options[0] / "steps.csv").read_text().splitlines()) == 1 + steps
    assert (run / "whole" / MODEL).exists()
