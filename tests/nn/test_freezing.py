"""A frozen part is as in inference and is not trained; backward ends before it, and nothing is kept for it. What is
trained gets the gradients that it gets without freezing, and everything else means the same as ever."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

import xpcnn
from tests.arrays import assert_close
from xpcnn import io
from xpcnn.errors import OptionError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn import (
    Add,
    BatchNorm2d,
    Concat,
    Container,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    Graph,
    Hooks,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Scale,
    Sequential,
    Tanh,
    all_parameters,
    eval_mode,
    freeze,
    plan,
    unfreeze,
    with_hooks,
)


def chain(*more):
    return Sequential(
        Conv2d(2, 4, 3, padding=1, rng=0), *more, ReLU(), Conv2d(4, 4, 3, padding=1, rng=1), ReLU(), MaxPool2d(2),
        Flatten(), Linear(16, 3, rng=2),
    )  # fmt: skip


def branched():
    return Graph({
        "stem": (Conv2d(2, 4, 3, padding=1, rng=0), "x"),
        "a": (Conv2d(4, 4, 3, padding=1, rng=1), "stem"),
        "b": (Conv2d(2, 4, 1, rng=2), "x"),
        "sum": (Add(), "a", "b", "stem"),
        "pool": (MaxPool2d(2), "sum"),
        "flat": (Flatten(), "pool"),
        "fc": (Linear(16, 3, rng=3), "flat"),
    })  # fmt: skip


def nested():
    block = Residual(Sequential(Conv2d(2, 2, 3, padding=1, rng=0), Tanh()), Conv2d(2, 2, 1, rng=1))
    return Sequential(block, Concat(Conv2d(2, 2, 1, rng=2), Conv2d(2, 1, 1, rng=3)), Flatten(), Linear(48, 3, rng=4))


CASES = {
    "a chain's beginning": (chain, "0.*"),
    "a chain but for its head": (chain, ["0.*", "2.*"]),
    "a chain's middle": (chain, "2.*"),
    "a chain's end": (chain, "6.*"),
    "a weight without its bias": (chain, ["0.weight", "2.bias"]),
    "a graph's beginning": (branched, ["stem.*", "a.*"]),
    "a graph but for its head": (branched, ["stem.*", "[ab].*"]),
    "a graph's middle": (branched, "a.*"),
    "a residual's body": (nested, "0.body*"),
    "a residual's shortcut": (nested, "0.shortcut*"),
    "a residual": (nested, "0.*"),
    "a branch": (nested, "1.0.*"),
    "a concatenation": (nested, "1.*"),
    "all": (branched, "*"),
}


def arrays_of(value):
    """The arrays in a cache, each once."""
    if hasattr(value, "dtype"):
        return {id(value): value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {key: array for part in parts for key, array in arrays_of(part).items()}


def step(model, x, xp):
    y, cache = model.forward(x)
    return y, *model.backward(xp.array(np.ones(tuple(y.shape)), "float32"), cache, input_grad=False)


@pytest.mark.parametrize("name", CASES)
def test_what_is_trained_gets_the_gradients_that_it_gets_without_freezing(xp, name, rng):
    make, patterns = CASES[name]
    _, x = xp.normal(rng, 3, 4, 4, 2, dtype="float32")
    model = make()
    frozen = freeze(model, patterns)
    y, _, grads = step(model, x, xp)
    y_frozen, dx, frozen_grads = step(frozen, x, xp)
    np.testing.assert_array_equal(xpcnn.to_numpy(y_frozen), xpcnn.to_numpy(y))
    assert dx is None
    assert frozen_grads.keys() == frozen.parameters().keys() < model.parameters().keys()
    for key, gradient in frozen_grads.items():
        np.testing.assert_array_equal(xpcnn.to_numpy(gradient), xpcnn.to_numpy(grads[key]), err_msg=key)
    assert all(p is model.parameters()[key] for key, p in all_parameters(frozen).items())
    assert frozen.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", CASES)
def test_gradcheck_of_a_network_with_frozen_layers(name, rng):
    make, patterns = CASES[name]
    model = freeze(make(), patterns)
    assert gradcheck(model.astype("float64"), rng.normal(size=(2, 4, 4, 2)), rng=0).passed


@pytest.mark.parametrize("make", [chain, branched])
def test_nothing_is_kept_for_the_frozen_part_and_its_backward_does_not_run(xp, make, rng):
    _, x = xp.normal(rng, 3, 4, 4, 2, dtype="float32")
    whole = make()
    model = freeze(whole, [name for name in whole.parameters() if not name.startswith(("6", "fc"))])
    y, cache = model.forward(x)
    own = {id(array) for array in [x, *whole.state_dict().values()]}
    kept = [sorted(array.shape) for key, array in arrays_of(cache).items() if key not in own]
    assert kept == [[3, 16]]  # the input of the trained layer; some implementations have the batch last
    assert len(arrays_of(whole.forward(x)[1]).keys() - own) >= 3

    def spoilt(*args, **options):
        raise AssertionError("backward of a frozen layer")

    for layer in (each for _, each in model.named_layers() if each.infers):
        layer.backward = spoilt  # shared with the layer of the whole network
    assert model.backward(y, cache, input_grad=False)[0] is None
    with pytest.raises(AssertionError, match="backward of a frozen layer"):
        whole.backward(y, whole.forward(x)[1], input_grad=False)


def test_frozen_batch_norm_does_not_move_and_computes_as_in_inference(xp, rng):
    _, x = xp.normal(rng, 5, 4, 4, 2, dtype="float32")
    body = Sequential(Conv2d(2, 4, 3, padding=1, rng=0), BatchNorm2d(4), ReLU())
    other = Sequential(Conv2d(4, 2, 1, rng=1), BatchNorm2d(2))
    head = Sequential(Flatten(), Linear(32, 3, rng=2))
    body.forward(x)  # statistics other than 0 and 1
    model = freeze(Sequential(body, other, head), "0.*")
    before = {name: xpcnn.to_numpy(array) for name, array in model.state_dict().items() if "running" in name}
    y, _, grads = step(model, x, xp)
    moved = [name for name, array in before.items() if (xpcnn.to_numpy(model.state_dict()[name]) != array).any()]
    assert moved == ["1.1.running_mean", "1.1.running_var"]
    expected, _, all_grads = step(Sequential(eval_mode(body), other, head), x, xp)
    assert_close(y, xpcnn.to_numpy(expected))
    for name, gradient in grads.items():
        assert_close(gradient, xpcnn.to_numpy(all_grads[name]))


def test_batch_norm_that_is_frozen_above_trained_layers_passes_the_gradient_of_inference(rng):
    model = Sequential(Conv2d(2, 3, 1, rng=0), BatchNorm2d(3), ReLU(), Flatten(), Linear(48, 3, rng=1))
    model.forward(rng.normal(size=(4, 4, 4, 2)).astype("float32"))
    frozen = freeze(model.astype("float64"), "1.*")
    before = frozen.state_dict()["1.running_mean"]
    assert gradcheck(frozen, rng.normal(size=(2, 4, 4, 2)), rng=0).passed
    assert (frozen.state_dict()["1.running_mean"] == before).all()


def draws(model, frozen, rng):
    """The names of the dropout layers that draw in a step."""
    model = freeze(model, frozen)
    before = {name: each.bit_generator.state for name, each in model.generators().items()}
    model.forward(rng.normal(size=(2, 4, 4, 2)).astype("float32"))
    return [name for name, each in model.generators().items() if each.bit_generator.state != before[name]]


def test_dropout_within_a_frozen_part_drops_nothing(rng):
    body = Sequential(Conv2d(2, 2, 1, rng=0), Dropout(0.5, rng=1))
    assert draws(Sequential(body, Flatten(), Dropout(0.5, rng=2), Linear(32, 3)), "0.*", rng) == ["2"]
    flat = Conv2d(2, 2, 1, rng=0), Dropout(rng=1), ReLU(), Conv2d(2, 2, 1, rng=2), Flatten(), Dropout(), Linear(32, 3)
    assert draws(Sequential(*flat), ["0.*", "3.*"], rng) == ["5"]
    assert draws(Sequential(*flat), "0.*", rng) == ["1", "5"]
    assert draws(Sequential(*flat), "3.*", rng) == ["1", "5"]
    graph = Graph({
        "a": (Conv2d(2, 2, 1, rng=0), "x"), "drop": (Dropout(rng=1), "a"), "b": (Conv2d(2, 2, 1, rng=2), "drop"),
        "y": (Add(), "b", "drop"), "z": (Conv2d(2, 2, 1, rng=3), "y"),
    })  # fmt: skip
    assert draws(graph, ["a.*", "b.*", "z.weight"], rng) == ["drop"]  # `y` and z's bias depend on it
    assert draws(Sequential(graph, Flatten(), Linear(32, 3)), "0.*", rng) == []


def test_a_frozen_network_shares_everything_with_the_model(rng):
    x = rng.normal(size=(4, 4, 4, 2)).astype("float32")
    model = chain(BatchNorm2d(4))
    frozen = freeze(model, ["0.*", "1.*"])
    model.forward(x)  # replaces running statistics
    np.testing.assert_array_equal(frozen(x), model(x))
    again = unfreeze(frozen)
    assert again.parameters().keys() == model.parameters().keys()
    before = model.state_dict()["1.running_mean"]
    again.forward(x)
    assert (model.state_dict()["1.running_mean"] != before).any()
    assert (frozen.state_dict()["1.running_mean"] == model.state_dict()["1.running_mean"]).all()


def test_a_layer_that_also_stands_outside_the_frozen_part_stays_one_layer():
    """Else its arrays would have two names, and an optimizer would train them twice."""
    again = Linear(3, 3, rng=0)
    model = Sequential(Sequential(again, Tanh()), again, Linear(3, 2, rng=1))
    tuned = freeze(model, "0.*")
    assert list(tuned.parameters()) == ["2.weight", "2.bias"]
    for each in (tuned, unfreeze(tuned)):
        assert list(each.state_dict()) == list(model.state_dict())


def test_freezing_adds_up(rng):
    model = chain()
    both = freeze(freeze(model, "0.*"), "2.*")
    assert list(both.parameters()) == ["6.weight", "6.bias"]
    assert unfreeze(model) is model


def test_files_plans_tables_and_copies_mean_the_same(tmp_path, rng):
    x = rng.normal(size=(2, 4, 4, 2)).astype("float32")
    model = chain(BatchNorm2d(4))
    frozen = freeze(model, ["0.*", "1.*"])
    for name, each in (("model", model), ("frozen", frozen)):
        io.save_model(each, tmp_path / name, input_shape=(4, 4, 2))
    assert (tmp_path / "model").read_bytes() == (tmp_path / "frozen").read_bytes()
    np.testing.assert_array_equal(plan(frozen, (4, 4, 2))(x[:1]), plan(model, (4, 4, 2))(x[:1]))
    assert list(deepcopy(frozen).parameters()) == list(frozen.parameters())
    assert repr(frozen) == repr(model)
    header, _, _, *rows = frozen.summary((4, 4, 2)).splitlines()
    assert header.split() == ["Layer", "Output", "Parameters", "Trained", "Forward", "Backward", "Output", "KiB"]
    assert [row.split()[-5:-1] for row in rows[:2]] == [["76", "0", "1,152", "0"], ["8", "0", "0", "0"]]
    assert rows[-2].split()[1:3] == ["283", "199"]
    assert "Trained" not in model.summary((4, 4, 2))


def test_hooks_see_every_layer(rng):
    class Seen(Hooks):
        def forward(self, name, layer, x):
            seen.append(name)
            return super().forward(name, layer, x)

    seen = []
    x = rng.normal(size=(2, 4, 4, 2)).astype("float32")
    model = freeze(chain(BatchNorm2d(4)), ["0.*", "1.*"])
    before = model.state_dict()["1.running_mean"]
    y, cache = with_hooks(model, Seen()).forward(x)
    assert sorted(seen) == [*"01234567"]
    assert model.state_dict()["1.running_mean"] is before
    assert_close(y, model.forward(x)[0])
    _, grads = with_hooks(model, Seen()).backward(y, cache, input_grad=False)
    assert grads.keys() == model.parameters().keys()


class Noise(Layer):
    """A user's own layer that is another one in inference, and does not say so."""

    def forward(self, x):
        return x + 1, None

    def backward(self, dy, cache, *, input_grad=True):
        return dy, {}

    def __call__(self, x):
        return x


def test_a_layer_of_one_s_own_before_the_trained_part_runs_as_in_training():
    model = freeze(Sequential(Linear(2, 2, rng=0), Noise(), Linear(2, 2, rng=1)), "0.*")
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(model.forward(x)[0], unfreeze(model).forward(x)[0])
    with pytest.raises(OptionError, match=r"layer 0\.1: gradients of inference"):
        freeze(Sequential(Sequential(Linear(2, 2), Noise()), Linear(2, 2)), "0.*")


@pytest.mark.parametrize(
    ("model", "patterns", "said"),
    [
        (chain(), "layer1*", r"got 'layer1\*', which matches none of 0.weight, 0.bias, 2.weight, 2.bias, 6.weight and"),
        (chain(), ["0.*", "3.*"], r"patterns: names of parameters, got '3\.\*'"),
        (chain(), 3, "patterns: names"),
        (Linear(2, 2), "weight", "a network made of layers, got Linear; such as"),
        (None, "*", "freeze: expected a network"),
    ],
)
def test_wrong_turns(model, patterns, said):
    with pytest.raises(OptionError, match=said):
        freeze(model, patterns)


def test_a_container_of_one_s_own(xp, rng):
    class Twice(Container):
        def __init__(self, layer):
            super().__init__({"inner": layer})

        def run_children(self, x, run):
            return run("inner", self.children()["inner"], run("inner", self.children()["inner"], x))

        def forward(self, x):
            x, one = self.forward_child("inner", x)
            x, two = self.forward_child("inner", x)
            return x, (one, two)

        def backward(self, dy, cache, *, input_grad=True):
            grads = {}
            dy = self.backward_child("inner", dy, cache[1], grads, True)
            return self.backward_child("inner", dy, cache[0], grads, input_grad), grads

    _, x = xp.normal(rng, 3, 4, dtype="float32")
    model = Sequential(Twice(Linear(4, 4, rng=0)), Tanh(), Linear(4, 2, rng=1))
    _, _, grads = step(freeze(model, "0.*"), x, xp)
    assert list(grads) == ["2.weight", "2.bias"]
    _, _, grads = step(freeze(model, "2.*"), x, xp)
    assert sorted(grads) == ["0.inner.bias", "0.inner.weight"]


@pytest.mark.parametrize("name", ["reference", "rows", "winograd", "im2col", "batch_last"])
def test_a_frozen_layer_computes_no_gradients_of_its_weights(name, any_batch, rng):
    layers = Conv2d(8, 8, 3, padding=1, rng=0), ConvTranspose2d(8, 4, 2, rng=1), Flatten(), Linear(4 * 81, 5, rng=2)
    model = freeze(Sequential(Scale(8), *layers), ["1.*", "2.*", "4.*"])
    x = rng.normal(size=(9, 8, 8, 8)).astype("float32")
    with xpcnn.use_implementation(name):
        y, cache = model.forward(x)
        values = x
        for layer in model.children().values():
            values, own = layer.forward(values)
            assert not layer.infers or layer.backward(values, own)[1] == {}
        _, grads = model.backward(y, cache, input_grad=False)
        expected = unfreeze(model).backward(y, unfreeze(model).forward(x)[1], input_grad=False)[1]
    for key, gradient in grads.items():
        np.testing.assert_array_equal(gradient, expected[key])
