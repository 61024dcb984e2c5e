"""An explanation tells the truth: its arrays are the library's, and every formula comes to the number it explains."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import DataError, DTypeError, GradientError, OptionError, ShapeError
from xpcnn.explain import explain
from xpcnn.explain.explain_layer import EXPLAINERS
from xpcnn.explain.explanation import Explanation, Ref
from xpcnn.explain.sums import MOST_TERMS
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.sequences import as_images, with_height

from ..arrays import TOLERANCE
from ..test_worked_examples import BIAS, FILTERS, IMAGE, SENSITIVITY, batch, last

LEAVES = [name for name, make in EXAMPLES.items() if not isinstance(make()[0], nn.Container)]


def restart(model):
    """The same masks of dropout again."""
    for rng in model.generators().values():
        rng.bit_generator.state = np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize("name", LEAVES)
def test_every_layer_s_numbers_are_the_library_s(xp, name):
    layer, x = EXAMPLES[name]()
    layer.astype("float64")
    x = xp.array(x)
    restart(layer)
    y, cache = layer.forward(x)
    dy = xp.array(np.random.default_rng(1).normal(size=tuple(y.shape)))
    dx, grads = layer.backward(dy, cache)
    restart(layer)
    page = explain(layer, "", x, dy=dy)
    if (of_images := as_images(layer)) is not layer:
        layer, y, dx = of_images, with_height(y), with_height(dx)
        grads = {key: with_height(array) for key, array in grads.items()}
    shown = {name: array.values for name, array in page.arrays.items()}
    np.testing.assert_array_equal(shown["y"], xpcnn.to_numpy(y))
    np.testing.assert_array_equal(shown["dx"], xpcnn.to_numpy(dx))
    for array in grads.values():
        assert any(array.shape == each.shape and (xpcnn.to_numpy(array) == each).all() for each in shown.values())
    worked = [step.makes for step in page.steps if step.work is not None]
    if type(layer) in EXPLAINERS:
        assert worked[0] in ("y", "μ", "m")
        assert worked[-1] == "dx"
        assert page.check(TOLERANCE["float64"]) >= shown["y"].size + shown["dx"].size
    else:
        assert not worked
    said = import_module(page.source).__doc__ if page.source.startswith("xpcnn.ops.") else ""
    assert (said != "") is (name not in ("Flatten", "Reshape", "Unflatten", "Identity"))
    for step in page.steps:
        assert not said or all(line.strip() in said for each in step.equations for line in each.lines)
        assert np.shape(shown[step.makes][step.focus]) == ()
        assert {*step.reads, step.makes} <= shown.keys()


def test_a_network_s_layers_get_what_they_get_in_the_network(xp):
    """Forward and backward through all other layers, to every layer in turn; the gradients are the network's."""
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3, rng=1),
        nn.Residual(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, rng=1), nn.Tanh())), nn.Flatten(),
        nn.Linear(8, 3, rng=2),
    ).astype("float64")  # fmt: skip
    x, labels = xp.array(np.random.default_rng(0).normal(size=(2, 4, 4, 1))), np.array([2, 0])
    restart(model)
    criterion = nn.CrossEntropyLoss()
    state = {name: xpcnn.to_numpy(array).copy() for name, array in model.state_dict().items()}
    names = ["0", "1", "2", "3", "4", "5.body.0", "5.body.1", "6", "7", "loss"]
    pages = {name: explain(model, name, x, target=labels) for name in names}
    for name, array in model.state_dict().items():  # running statistics, too
        np.testing.assert_array_equal(xpcnn.to_numpy(array), state[name])
    y, cache = model.forward(x)  # the masks are those of the explanations, which put the generators back
    _, loss_cache = criterion.forward(y, xp.array(labels))
    dx, grads = model.backward(criterion.backward(loss_cache), cache)
    same = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(pages["0"].arrays["dx"].values, xpcnn.to_numpy(dx), **same)
    for name, array, key in (
        ("0", "dw", "weight"),
        ("1", "dγ", "weight"),
        ("5.body.0", "db", "bias"),
        ("7", "dw", "weight"),
    ):
        np.testing.assert_allclose(pages[name].arrays[array].values, xpcnn.to_numpy(grads[f"{name}.{key}"]), **same)
    np.testing.assert_allclose(pages["7"].arrays["y"].values, xpcnn.to_numpy(y), **same)
    for before, after in (("0", "1"), ("2", "3"), ("3", "4"), ("5.body.0", "5.body.1"), ("6", "7")):
        made = pages[before].arrays["y"].values
        taken = pages[after].arrays["x̂" if after == "3" else "x"].values
        np.testing.assert_allclose(made, taken, **same)
        np.testing.assert_allclose(pages[before].arrays["dy"].values, pages[after].arrays["dx"].values, **same)
    assert all(page.check(1e-11) for page in pages.values())


def test_document_000():
    """Its worked example: the numbers that it prints, at the place where they are worked out."""
    layer = nn.Conv2d(3, 2, 3, stride=2, padding=1).astype("float64")
    layer.load_state_dict({"weight": last(FILTERS), "bias": np.array(BIAS, "f8")})
    page = explain(layer, "", batch(IMAGE), dy=batch(SENSITIVITY), at=(0, 0, 0))
    assert page.value(Ref("y", (0, 0, 0, 0))) == 6
    np.testing.assert_array_equal(page.arrays["y"].values[0, :, :, 0], [[6, 7, 5], [3, -1, -1], [2, -1, 4]])
    np.testing.assert_array_equal(page.arrays["y"].values[0, :, :, 1], [[2, -5, -8], [1, -4, -4], [0, -5, -5]])
    np.testing.assert_array_equal(page.arrays["dw"].values[0, :, :, 1], [[4, 1, 4], [10, 9, 12], [2, 2, 2]])
    np.testing.assert_array_equal(page.arrays["db"].values, [9, 7])
    np.testing.assert_array_equal(
        page.arrays["dx"].values[0, :, :, 0],
        [[-1, 1, 1, -2, -1], [1, -1, 3, -1, 1], [2, 0, 2, 0, 2], [4, 3, 4, 1, 3], [0, -1, -2, 1, -1]],
    )
    output, _, dw, db, _ = page.steps
    terms = output.work((0, 0, 0, 0)).pieces
    assert terms[:5] == (Ref("b", (0,)), " + ", Ref("x̂", (0, 0, 0, 0)), "·", Ref("w", (0, 0, 0, 0)))
    assert sum(isinstance(each, Ref) for each in terms) == 1 + 2 * 27
    written = "".join(f"{page.value(each):g}" if isinstance(each, Ref) else each for each in db.work((0,)).pieces)
    assert written == "0 + 1 + 1 + 2 + 2 + 2 + 1 + 0 + 0"
    assert dw.focus == (0, 1, 2, 1)  # the largest of the filter: 12
    assert page.check(1e-12) == 2 * 18 + 54 + 2 + 75


def test_the_default_is_the_largest_output_and_the_network_s_own_class(rng):
    layer = nn.Linear(4, 3, rng=0)
    x = rng.normal(size=(2, 4)).astype("float32")
    y = layer(x)
    page = explain(layer, "", x)
    assert page.steps[0].focus == (0, int(y[0].argmax()))
    loss = explain(layer, "loss", x)
    assert loss.arrays["q"].values.tolist() == np.eye(3)[y.argmax(axis=1)].tolist()
    assert explain(layer, "", x, at=(1, 2)).steps[0].focus == (1, 2)
    assert explain(layer, "", x, at=[2]).steps[0].focus == (0, 2)


def test_a_sum_of_many_terms_shows_the_largest_and_adds_up_the_rest(rng):
    layer = nn.Linear(100, 2, rng=0).astype("float64")
    layer.bias[1] = 1e-9
    x = rng.normal(size=(1, 100))
    worked = explain(layer, "", x).steps[0].work((0, 1))
    assert worked.pieces[:2] == (Ref("b", (1,)), " + ")  # as in the equation, however small it is
    refs = [each for each in worked.pieces if isinstance(each, Ref) and each.array == "x"]
    products = np.abs(x[0] * layer.weight[1])
    kept = [each.at[1] for each in refs]
    assert len(kept) == MOST_TERMS - 1
    assert kept == sorted(kept)
    assert products[kept].min() >= np.delete(products, kept).max()
    rest = float((x[0] * layer.weight[1]).sum() - (x[0] * layer.weight[1])[kept].sum())
    assert worked.pieces[-1] == f" + ({100 - len(kept)} smaller terms: {rest:.3g})".replace("-", "−")
    assert worked.value == pytest.approx(float(layer(x)[0, 1]), abs=1e-12)
    x[0, 10:] = 0
    worked = explain(layer, "", x).steps[0].work((0, 1))
    assert worked.pieces[-1] == " + (90 terms that are 0)"


def test_a_formula_that_is_wrong_is_found():
    """The check is a check: it fails where an array is not what its formula comes to."""
    page = explain(nn.Linear(2, 2, rng=0), "", np.ones((1, 2), "float32"))
    page.check()
    page.arrays["dw"].values[1, 0] += 0.01
    with pytest.raises(GradientError, match=r"dw\[1,0\]"):
        page.check()


def test_a_layer_that_stands_twice_shows_its_first_place(rng):
    shared = nn.Linear(3, 3, rng=0).astype("float64")
    model = nn.Sequential(shared, nn.Tanh(), shared)
    x = rng.normal(size=(1, 3))
    page = explain(model, "0", x)
    np.testing.assert_array_equal(page.arrays["x"].values, x)
    assert any("2 places" in note for note in page.notes)
    assert page.check(1e-11)


def test_a_layer_of_one_s_own_is_shown_with_what_it_says(rng):
    class Scale(nn.Layer):
        """Multiplies by a learned factor."""

        parameter_names = ("factor",)

        def __init__(self):
            self.factor = np.array([2.0])

        def forward(self, x):
            return x * self.factor, x

        def backward(self, dy, cache, *, input_grad=True):
            return dy * self.factor, {"factor": np.sum(dy * cache, keepdims=True).reshape(1)}

    x = rng.normal(size=(1, 3))
    page = explain(nn.Sequential(Scale()), "0", x, dy=np.ones((1, 3)))
    assert page.steps[0].equations[0].lines == ("Multiplies by a learned factor.",)
    np.testing.assert_array_equal(page.arrays["dx"].values, np.full((1, 3), 2.0))
    np.testing.assert_allclose(page.arrays["d factor"].values, [x.sum()])


def network():
    return nn.Sequential(nn.Flatten(), nn.Residual(nn.Linear(4, 4, rng=0)), nn.Linear(4, 2, rng=0))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"layer": "9"},
            OptionError,
            r"one of the network's layers: 0 Flatten, 1.body Linear, 2 Linear, or loss, got '9'",
        ),
        ({"layer": "1"}, OptionError, r"a layer inside of it: 1.body Linear, or loss, got '1'"),
        ({"at": (2,)}, OptionError, r"an element of the layer's output \(2,\), got \(2,\)"),
        ({"at": (0, 0, 0)}, OptionError, "an element"),
        ({"at": (-1,)}, OptionError, "an element"),
        ({"target": 2}, DataError, "target 0 … 1"),
        ({"target": 0.5}, OptionError, "a class"),
        ({"target": [0, 1, 1]}, OptionError, "one for each of the 2 rows"),
        ({"target": 1, "dy": np.ones((2, 2), "f4")}, OptionError, "a target or dy, got both"),
        ({"dy": np.ones((1, 2), "f4")}, ShapeError, r"dy \(2, 2\)"),
        ({"layer": "loss", "dy": np.ones((2, 2), "f4")}, OptionError, "a target, to explain the loss"),
        ({"x": np.full((2, 2, 2, 1), np.nan, "f4")}, DataError, "finite numbers in x"),
        ({"x": np.ones((2, 2, 2, 1), "u1")}, DTypeError, "float32 or float64, got uint8"),
        ({"x": np.ones((0, 2, 2, 1), "f4")}, ShapeError, "one item or more"),
        ({"x": np.ones((4,), "f4")}, ShapeError, "a batch"),
        ({"x": np.ones((2, 3, 2, 1), "f4")}, ShapeError, "input"),
        ({"x": None}, DTypeError, "an array"),
        ({"x": [[1.0]]}, DTypeError, "an array"),
    ],
)
def test_bad_input_is_one_clear_line(change, error, text):
    model = network()
    given = {"layer": "2", "x": np.ones((2, 2, 2, 1), "f4")} | change
    with pytest.raises(error, match=text) as raised:
        explain(model, given.pop("layer"), given.pop("x"), **given)
    assert "\n" not in str(raised.value)


def test_a_network_without_classes_asks_for_dy(rng):
    layer = nn.Conv2d(1, 1, 2, rng=0)
    with pytest.raises(ShapeError, match="pass dy"):
        explain(layer, "", np.ones((1, 3, 3, 1), "f4"))


def test_statistics_and_generators_are_put_back_after_an_error():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5, rng=0), nn.Linear(3, 2, rng=0))
    running, state = model[0].running_mean, model[1].rng.bit_generator.state
    with pytest.raises(DataError):
        explain(model, "2", np.arange(6, dtype="f4").reshape(2, 3), target=7)
    assert model[0].running_mean is running
    assert model[1].rng.bit_generator.state == state


def test_refs_are_written_as_in_the_equations():
    assert str(Ref("dw", (0, 2, 1, 0))) == "dw[0,2,1,0]"
    assert str(Ref("L", ())) == "L"
    assert isinstance(explain(nn.Identity(), "", np.ones((1, 2), "f4")), Explanation)
