"""Every class that gets one meaningless argument names itself and the argument in its error."""

from __future__ import annotations

import inspect
from functools import partial

import numpy as np
import pytest

from xpcnn import nn, optim, options
from xpcnn.data import Loader, Split, augment
from xpcnn.errors import XpcnnError
from xpcnn.io.architecture import to_config
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.training import MovingAverage, Trainer

MODEL = nn.Linear(2, 2, rng=0)
SPLIT = Split(np.zeros((4, 2, 2, 1), "u1"), np.array([0, 1, 0, 1]))
GIVEN = {  # arguments without a default, and options that would be objects
    "parameters": MODEL.parameters(), "lr": 0.1, "total": 9, "max_lr": 0.1, "every": 2, "steps": 3, "factor": 0.5,
    "amount": 0.1, "padding": 1, "size": 2, "alpha": 0.5, "degrees": 9.0, "pixels": 1, "decay": 0.9, "split": SPLIT,
    "batch_size": 2, "model": MODEL, "optimizer": optim.SGD(MODEL.parameters(), lr=0.1),
    "schedule": optim.Constant(0.1),
}  # fmt: skip
TEXTS = ("folder", "classes")  # arguments that may also be a text
OTHERWISE = {"split": "a Split", "folder": "the name of a file", "ema": "MovingAverage: expected decay"}
CALLED = [
    *(nn.BCEWithLogitsLoss, nn.CrossEntropyLoss, nn.HingeLoss, nn.HuberLoss, nn.MSELoss, nn.NLLLoss),
    *(optim.SGD, optim.AdaGrad, optim.Adadelta, optim.Adam, optim.AdamW, optim.RMSProp),
    *(optim.Constant, optim.Cosine, optim.Exponential, optim.OneCycle, optim.Plateau, optim.StepDecay, optim.WarmUp),
    *(augment.Brightness, augment.Contrast, augment.Crop, augment.Cutout, augment.Flip, augment.Mixup, augment.Rotate),
    *(augment.Shift, Loader, MovingAverage, Trainer),
]


def arguments():
    for name, make in EXAMPLES.items():
        layer = make()[0]
        if not isinstance(layer, nn.Container):
            config = to_config(layer)
            config.pop("type")
            good = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
            yield from ((type(layer), good, key) for key in good)
            assert type(layer).__name__ == name
    for kind in CALLED:
        parameters = inspect.signature(kind).parameters.values()
        good = {each.name: GIVEN[each.name] for each in parameters if each.default is each.empty}
        yield from ((kind, good, each.name) for each in parameters)


@pytest.mark.parametrize(
    ("kind", "good", "name"), [pytest.param(*each, id=f"{each[0].__name__}-{each[2]}") for each in arguments()]
)
def test_an_argument_that_makes_no_sense(kind, good, name):
    kind(**good)
    for wrong in (object(), *(("nonsense",) if name not in TEXTS else ()), -1j):
        with pytest.raises(XpcnnError) as raised:
            kind(**(good | {name: wrong}))
        said = str(raised.value)
        assert said.startswith(f"{kind.__name__}") or name == "ema"
        assert OTHERWISE.get(name, name) in said


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (partial(options.as_number, "who", "name"), "x"),
        pytest.param(partial(options.as_number, "who", "name"), 10**400, id="too large"),
        (partial(options.as_number, "who", "name", interval="(0, 1)"), 1.0),
        (partial(options.as_pair, "who", "name"), (1, "x")), (partial(options.as_pair, "who", "name"), (1, 2, 3)),
        (partial(options.as_count, "who", "name"), 0), (partial(options.as_count, "who", "name", most=3), 4),
        (partial(options.as_flag, "who", "name"), "False"), (partial(options.as_names, "who", "name"), [1]),
        (partial(options.as_choice, "who", "name", choices=("a", "b")), "c"),
        (partial(options.as_shape, "who"), ()), (partial(options.as_shape, "who"), (28, 0)),
        (partial(options.as_path, "who"), 7),
    ],
)  # fmt: skip
def test_who_is_asked_stands_first_and_then_what_was_expected(check, wrong):
    named = {options.as_shape: "input_shape", options.as_path: "the name of a file"}.get(check.func, "name")
    with pytest.raises(XpcnnError, match=rf"^who: expected (each axis of )?{named}:? .*got ") as raised:
        check(wrong)
    assert raised.value.who == "who"
