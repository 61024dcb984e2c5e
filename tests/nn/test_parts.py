"""A network that is trained in parts of the batch gets the gradients that it gets of the whole batch.

The same bits for any number of threads; the same draws of dropout; and what has no parts runs as it did.
"""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import xpcnn
from tests.geometry import Geometry, geometries
from tests.nn.parts import NUMPY_AS_USUAL, check, has_parts, infers, lenet, run, steps
from xpcnn import data, nn, optim, training
from xpcnn.errors import OptionError
from xpcnn.kernels import winograd
from xpcnn.kernels.parts import conv as conv_step
from xpcnn.kernels.parts import winograd as winograd_step
from xpcnn.nn import part_chains

pytestmark = NUMPY_AS_USUAL


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("items", [16, 17, 75, 300])
def test_every_layer_that_has_a_step(dtype, items, rng):
    check(lenet(dtype), rng.normal(size=(items, 13, 14, 2)).astype(dtype))


@settings(deadline=None, max_examples=40)
@given(geometries(), st.booleans(), st.sampled_from([1 << 17, 60]), st.integers(0, 2**32 - 1))
def test_every_geometry_of_a_convolution(g: Geometry, bias, numbers, seed):
    rng = np.random.default_rng(seed)
    pads = tuple(min(pad, g.kernel[i // 2] - 1) for i, pad in enumerate(g.pads))  # else dx has no such window
    last = nn.Conv2d(3, 4, g.kernel, padding=pads, bias=bias, rng=2)
    model = nn.Sequential(nn.Conv2d(2, 3, 1, rng=1), last, nn.ReLU()).astype("float64")
    x = rng.normal(size=(18, g.size[0] + 3, g.size[1] + 3, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv_step, "NUMBERS", numbers)  # in blocks of one row, too
        check(model, x)
        infers(model, x)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.tuples(*[st.integers(0, 2)] * 2), st.booleans(),
    st.sampled_from([1 << 18, 60]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_geometry_of_winograds_form(oh, ow, columns, pads, bias, numbers, seed):
    height, width = oh + 2 - 2 * pads[0], ow + columns - 1 - 2 * min(pads[1], columns - 1)
    assume(height > 0 and width > 0)
    last = nn.Conv2d(3, 4, (3, columns), padding=(pads[0], min(pads[1], columns - 1)), bias=bias, rng=2)
    model = nn.Sequential(nn.Conv2d(2, 3, 1, rng=1), last, nn.ReLU()).astype("float64")
    x = np.random.default_rng(seed).normal(size=(18, height, width, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "FEWEST_CHANNELS", 1)
        patch.setattr(winograd, "LEAST_SAVING", -9.0)
        patch.setattr(winograd_step, "NUMBERS", numbers)  # in blocks of one column, too
        plan = check(model, x)
        infers(model, x)
    assert any(isinstance(entry.step, winograd_step.Winograd) for entry in steps(plan))


def test_in_float32_winograds_form_is_as_exact_as_on_the_whole_batch(rng):
    model = nn.Sequential(nn.Conv2d(2, 8, 1, rng=1), nn.ReLU(), nn.Conv2d(8, 9, 3, padding=1, rng=2), nn.MaxPool2d(2))
    plan = check(model, rng.normal(size=(40, 14, 13, 2)).astype("float32"))
    assert any(isinstance(entry.step, winograd_step.Winograd) for entry in steps(plan))


def test_the_same_bits_for_any_number_of_threads(rng, monkeypatch):
    x = rng.normal(size=(101, 13, 14, 2)).astype("float32")
    results = []
    for number in ("1", "2", "3", "8"):
        monkeypatch.setenv("XPCNN_NUM_THREADS", number)
        model = lenet()
        y, grads = run(nn.plan_training(model), x)
        results.append(b"".join(each.tobytes() for each in (y, *grads.values())))
    assert len(set(results)) == 1


def test_several_threads_may_call_a_plan(rng):
    plan, x = nn.plan_training(lenet(drop=0.0)), rng.normal(size=(32, 13, 14, 2)).astype("float32")
    expected = run(plan, x)[1]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run(plan, x)[1], range(40)))
    assert all(np.array_equal(grads[name], g) for grads in found for name, g in expected.items())


class Doubled(nn.ReLU):
    pass


CONV = nn.Conv2d(1, 2, 3, rng=0)
OTHERS = {
    "one's own class": nn.Sequential(CONV, Doubled()),
    "branches": nn.Sequential(CONV, nn.Concat(nn.Conv2d(2, 2, 1, rng=1), nn.ReLU())),
    "frozen": nn.freeze(nn.Sequential(CONV, nn.Flatten(), nn.Linear(72, 2, rng=1)), "0.*"),
    "used twice": nn.Sequential(CONV, nn.Conv2d(2, 2, 1, rng=1), layer := nn.Conv2d(2, 2, 1, rng=2), layer),
    "inference": nn.eval_mode(nn.Sequential(CONV, nn.Dropout(0.5, rng=0))),
    "channels dropped": nn.Sequential(CONV, nn.Dropout2d(0.5, rng=0)),
    "no convolution": nn.Sequential(nn.Flatten(), nn.Linear(64, 2, rng=1)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_has_no_parts_runs_as_it_did(name, rng):
    one, other = copy.deepcopy(OTHERS[name]), copy.deepcopy(OTHERS[name])
    plan, x = nn.plan_training(one), rng.normal(size=(16, 8, 8, 1)).astype("float32")
    (y, grads), (expected, whole) = run(plan, x), run(other, x)
    assert not has_parts(plan)
    assert np.array_equal(y, expected)
    assert all(np.array_equal(grads[key], whole[key]) for key in whole)


def test_few_items_other_arrays_and_forced_implementations_have_none(rng):
    plan, x = nn.plan_training(lenet()), rng.normal(size=(16, 13, 14, 2)).astype("float32")
    run(plan, x[:15])
    with xpcnn.use_implementation("reference"):
        run(plan, x)
    assert not has_parts(plan)
    with pytest.raises(xpcnn.errors.XpcnnError, match=r"layer 0: .*float64"):
        plan.forward(x.astype("float64"))
    y, cache = plan.forward(x)
    with pytest.raises(OptionError, match="input_grad=False"):
        plan.backward(y, cache, input_grad=True)
    for dy in (y[:1], y.astype("float64"), y.tolist()):
        with pytest.raises(xpcnn.errors.XpcnnError, match="Sequential"):
            plan.backward(dy, cache)


def test_each_call_has_a_cache_of_its_own_and_reads_the_weights_of_now(rng):
    model = lenet(drop=0.0)
    plan, (a, b) = nn.plan_training(model), rng.normal(size=(2, 32, 13, 14, 2)).astype("float32")
    y, cache = plan.forward(a)
    dy = np.ones_like(y)
    plan.forward(b)
    kept, _ = plan.forward(b)
    expected, whole = run(model, a, dy)
    for _ in range(2):
        _, grads = plan.backward(dy, cache, input_grad=False)
        np.testing.assert_allclose(grads["0.weight"], whole["0.weight"], rtol=1e-3, atol=1e-4)
    model.parameters()["0.weight"][...] *= 2
    model[0].bias = np.ones_like(model[0].bias)
    np.testing.assert_allclose(plan.forward(a)[0], model(a), rtol=1e-4, atol=1e-5)
    model.astype("float64")
    np.testing.assert_allclose(plan.forward(a.astype("float64"))[0], model(a.astype("float64")), rtol=1e-9)
    other = pickle.loads(pickle.dumps(plan))
    assert other.model is not model
    assert copy.deepcopy(plan)._idle == {}
    assert kept.shape == expected.shape


def test_a_bias_that_comes_or_goes_is_seen(rng):
    model = nn.Sequential(nn.Conv2d(1, 6, 5, bias=False, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10, rng=1))
    plan, x = nn.plan_training(model), rng.normal(size=(64, 8, 8, 1)).astype("float32")
    assert list(run(plan, x)[1]) == ["0.weight", "3.weight", "3.bias"]
    model[0].bias = np.ones(6, np.float32)
    (y, grads), (expected, whole) = run(plan, x), run(model, x)
    assert grads.keys() == whole.keys()
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    model[0].bias = None
    assert list(run(plan, x)[1]) == ["0.weight", "3.weight", "3.bias"]


def test_a_trainer_trains_in_parts_and_resumes_bit_for_bit(rng, tmp_path, monkeypatch):
    images = rng.integers(0, 256, size=(70, 12, 12, 1), dtype=np.uint8)
    split = data.Split(images, rng.integers(0, 3, size=70))

    def trainer(folder, seed=0):
        model = nn.Sequential(
            nn.Conv2d(1, 3, 5, rng=seed), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2, rng=seed), nn.Flatten(),
            nn.Linear(48, 3, rng=seed),
        )  # fmt: skip
        options = {"accumulate": 2, "clip_norm": 1.0, "ema": 0.9, "verbose": False, "folder": folder}
        return training.Trainer(model, optim.Adam(model.parameters(), lr=0.01), **options)

    loader = data.Loader(split, 32, shuffle=True, seed=1)
    whole = trainer(None)
    whole.fit(loader, epochs=4)
    assert has_parts(whole._plan)
    trainer(tmp_path / "run").fit(loader, epochs=2)
    resumed = trainer(tmp_path / "run", seed=5)
    resumed.fit(loader, epochs=4, resume=True)
    for name, array in whole.kept_model.state_dict().items():
        assert np.array_equal(array, resumed.kept_model.state_dict()[name]), name
    monkeypatch.setattr(part_chains, "FEWEST", 1000)
    other = trainer(None)
    other.fit(loader, epochs=4)
    assert not has_parts(other._plan)
    np.testing.assert_allclose(
        [row.train_loss for row in whole.history], [row.train_loss for row in other.history], rtol=1e-4
    )


@pytest.mark.parametrize("at", [0, 1])
def test_an_object_with_a_forward_of_its_own_runs_it(at):
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3, rng=1))
    x, plan = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype(np.float32), nn.plan_training(model)
    plan.forward(x)
    usual = model[at].forward
    model[at].forward = lambda x: (3 * usual(x)[0], usual(x)[1])
    np.testing.assert_allclose(plan.forward(x)[0], model.forward(x)[0], rtol=1e-5)
