"""Names of other libraries end in one line that says what stands for them; values that are clear are taken."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest

import xpcnn
from xpcnn import data, habits, nn, optim, training
from xpcnn.errors import DTypeError, GradientError
from xpcnn.gradient_check import check_pair

MODEL = nn.Sequential(nn.Linear(2, 2, rng=0))
OPTIMIZER = optim.SGD(MODEL.parameters(), lr=0.1)
OBJECTS = {
    "Layer": (MODEL, habits.LAYER),
    "Loss": (nn.MSELoss(), habits.CRITERION),
    "Optimizer": (OPTIMIZER, habits.OPTIMIZER),
    "Trainer": (training.Trainer(MODEL, OPTIMIZER, nn.MSELoss()), habits.TRAINER),
    "xpcnn": (xpcnn, habits.TOP),
    "nn": (nn, habits.NN),
    "optim": (optim, habits.OPTIM),
    "data": (data, habits.DATA),
    "training": (training, habits.TRAINING),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_each_name_is_missing_and_says_what_stands_for_it(kind):
    value, known = OBJECTS[kind]
    for name, said in known.items():
        assert not hasattr(value, name), f"{kind}.{name} exists: take it out of xpcnn/habits.py"
        with pytest.raises(AttributeError) as caught:
            getattr(value, name)
        line = str(caught.value)
        assert line.endswith(f"'{name}'; here: {said}")
        assert "\n" not in line
        assert len(line) < 300


def test_what_stands_for_a_name_exists():
    """Every dotted name in the remedies."""
    for _, known in OBJECTS.values():
        for said in known.values():
            for part, name in re.findall(r"\b(nn|optim|training|data|ops|io|exchange|xpcnn)\.([A-Za-z]\w*)", said):
                home = xpcnn if part == "xpcnn" else getattr(xpcnn, part)
                assert hasattr(home, name), f"{part}.{name}"
            for name in re.findall(r"(?<!loss_)\bmodel\.(\w+)", said):
                assert hasattr(MODEL, name), f"model.{name}"
            for name in re.findall(r"\btrainer\.(\w+)", said):
                assert name in dir(training.Trainer), f"trainer.{name}"


def test_capitals_and_underscores():
    for module, name, said in (
        (nn, "conv2D", "nn.Conv2d"),
        (nn, "relu", "nn.ReLU"),
        (data, "cifar_10", "data.cifar10"),
    ):
        with pytest.raises(AttributeError, match=f"; here: {said}$"):
            getattr(module, name)
    with pytest.raises(AttributeError, match=r"'xpcnn' has no attribute 'Sequential'; here: nn\.Sequential$"):
        xpcnn.Sequential  # noqa: B018


def test_other_names_are_as_they_were():
    for value in (MODEL, OPTIMIZER, OBJECTS["Trainer"][0]):
        with pytest.raises(AttributeError, match=f"'{type(value).__name__}' object has no attribute 'nonsense'$"):
            value.nonsense  # noqa: B018
    assert list(pickle.loads(pickle.dumps(MODEL)).parameters()) == list(copy.deepcopy(MODEL).parameters())


def test_a_property_s_own_error_stays():
    class Broken(nn.ReLU):
        @property
        def size(self):
            return self.nothing_like_it

    with pytest.raises(AttributeError, match="nothing_like_it"):
        Broken().size  # noqa: B018


def test_dtypes_are_names_or_objects():
    layer = nn.Linear(2, 2, rng=0)
    for dtype in ("float64", np.float64, np.dtype("float64"), float, np.ones(1).dtype):
        assert layer.astype("float32").astype(dtype).weight.dtype == np.float64
        assert xpcnn.asarray([1], dtype).dtype == np.float64
    for dtype in (None, int, np.int64, "f", dict, object(), b"float64"):
        with pytest.raises(DTypeError, match=r"Layer.astype: expected float32 or float64, got "):
            layer.astype(dtype)


def test_the_dtypes_of_a_backend(xp):
    array = xp.array(np.ones(2), "float32")
    wanted = xp.array(np.ones(2), "float64").dtype
    assert xpcnn.backend.astype(array, wanted).dtype == wanted


def test_numbers_in_arrays():
    layer = nn.Conv2d(np.int64(1), np.array(2), np.array([3, 5]), padding=np.uint8(1))
    assert layer.config() == nn.Conv2d(1, 2, (3, 5), padding=1).config()
    assert optim.SGD(MODEL.parameters(), lr=np.array(0.5)).lr == 0.5
    assert layer.summary(np.array([4, 6, 1])) == layer.summary((4, 6, 1))


def product(a, b):
    return a * b, (a, b)


def test_a_gradient_that_is_left_out_is_named():
    arguments = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    report = check_pair(product, lambda dy, cache: (dy * cache[1], None), arguments, subject="product")
    assert report.passed
    assert str(report).endswith("  b                not checked: backward gave None for it")
    for backward, got in (
        (lambda dy, cache: (dy * cache[1],), "got 1; where there is none, return None in its place"),
        (lambda dy, cache: dy * cache[1], "got ndarray; return (dx,), a tuple also of one"),
        (lambda dy, cache: None, "got NoneType; return (dx,), a tuple also of one"),
        (lambda dy, cache: (None, None), "got None for each; return one to check"),
    ):
        with pytest.raises(GradientError, match=r"^product backward: expected .* of a, b, ") as caught:
            check_pair(product, backward, arguments, subject="product")
        assert str(caught.value).endswith(got)
