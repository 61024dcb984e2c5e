"""A new head on a network that has learned: all else is the same, and it learns faster than from scratch."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import data, models, nn
from xpcnn.errors import OptionError
from xpcnn.exchange import export_onnx, import_onnx, load_weights, save_pytorch
from xpcnn.io import load_model, save_model
from xpcnn.models import new_head
from xpcnn.optim import Adam
from xpcnn.training import Trainer, evaluate

from .shapes import heavy_ones_slow, outputs, uneven


@pytest.mark.parametrize("name", heavy_ones_slow([name for name in models.MODELS if not name.startswith("vgg1")]))
def test_every_architecture(tmp_path, name):
    """Saved, read again, with another head: as many outputs as asked for, and no other layer is new."""
    shape = uneven(name)
    model = models.build(name, shape, 5, rng=0)
    save_model(model, tmp_path / "m.safetensors", input_shape=shape)
    model = load_model(tmp_path / "m.safetensors").model
    other = new_head(model, 3, rng=1)
    assert other.output_shape(shape) == outputs(name, shape, 3)
    assert model.output_shape(shape) == outputs(name, shape, 5)
    before, after = model.parameters(), other.parameters()
    new = [key for key in before if after[key] is not before[key]]
    assert before.keys() == after.keys()
    assert len({key.rpartition(".")[0] for key in new}) == 1
    assert len(new) == 2


def test_the_dtype_stays():
    model = new_head(models.mlp((4,), 3, rng=0).astype("float64"), 2, rng=0)
    assert {str(array.dtype).removeprefix("torch.") for array in model.parameters().values()} == {"float64"}
    assert isinstance(new_head(nn.Linear(4, 3), 2), nn.Linear)


def test_a_convolution_keeps_its_geometry():
    head = new_head(nn.Sequential(nn.Conv2d(4, 9, (3, 1), stride=2, padding=1, bias=False), nn.ReLU()), 2, rng=0)[0]
    assert head.config() == nn.Conv2d(4, 2, (3, 1), stride=2, padding=1, bias=False).config()


SHARED = nn.Linear(3, 3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.ReLU(), "ends in Linear or Conv2d, got ReLU"),
        (
            lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
            "got BatchNorm1d 1; build the last",
        ),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 1, groups=2)), "got Conv2d 0"),
        (lambda: nn.Sequential(SHARED, nn.Tanh(), nn.Sequential(SHARED)), "nowhere else, got 2.0, which is used again"),
    ],
)
def test_what_has_no_head(make, text):
    with pytest.raises(OptionError, match=text) as caught:
        new_head(make(), 2)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A network that has learned the ten digits, as ONNX, as xpcnn's and as PyTorch's file."""
    pytest.importorskip("onnx")
    folder, digits = tmp_path_factory.mktemp("learned"), data.digits().train
    with xpcnn.use_backend("numpy"):
        model = models.mnist_cnn((8, 8, 1), 10, rng=0)
        loader = data.Loader(digits, 32, shuffle=True, seed=0)
        Trainer(model, Adam(model.parameters(), lr=0.003), verbose=False).fit(loader, epochs=3)
    export_onnx(model, folder / "m.onnx", input_shape=(8, 8, 1))
    save_model(model, folder / "m.safetensors", input_shape=(8, 8, 1))
    save_pytorch(model, folder / "torch.safetensors", input_shape=(8, 8, 1))
    return folder


def pairs(split):
    """The digits in five classes: 0 and 5, 1 and 6, and so on."""
    return data.Split(split.images, split.labels % 5)


def accuracy_after(model):
    """Of the five classes, after fifty steps with a hundred images."""
    few, test = (pairs(split) for split in (data.digits().train.select(np.arange(100)), data.digits().test))
    loader = data.Loader(few, 20, shuffle=True, seed=0)
    Trainer(model, Adam(model.parameters(), lr=0.001), verbose=False).fit(loader, epochs=10)
    return evaluate(model, test, nn.CrossEntropyLoss(), 64).accuracy


@pytest.mark.parametrize("source", ["m.onnx", "m.safetensors", "torch.safetensors"])
def test_fine_tuning_beats_training_from_scratch(learned, source):
    with xpcnn.use_backend("numpy"):
        scratch = accuracy_after(models.mnist_cnn((8, 8, 1), 5, rng=1))
        if source == "m.onnx":
            model = new_head(import_onnx(learned / source).model, 5, rng=1)
        elif source == "m.safetensors":
            model = new_head(load_model(learned / source).model, 5, rng=1)
        else:
            model = models.mnist_cnn((8, 8, 1), 5, rng=1)
            load_weights(model, learned / source, new="9.*", input_shape=(8, 8, 1))
        tuned = accuracy_after(model)
    assert tuned > scratch + 0.05, (tuned, scratch)  # 0.95 and 0.87
