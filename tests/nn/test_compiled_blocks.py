"""With compiled loops, a plan takes many items in blocks: as the network, with the same bits for any threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.nn.plans import Both, mobile_network
from xpcnn import nn
from xpcnn.errors import XpcnnError
from xpcnn.kernels.compiled import loop

pytestmark = [
    pytest.mark.skipif(not loop._is_installed(), reason="numba is not installed"),
    pytest.mark.skipif(not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="only NumPy's arrays are planned"),
]
SHAPE = 9, 10, 3


def images(items: int):
    return np.random.default_rng(items).normal(size=(items, *SHAPE)).astype(np.float32)


def in_blocks(both: Both) -> bool:
    """Whether blocks were made, and not left by an error."""
    return bool(both.plan._programs._many)


@pytest.mark.parametrize("items", [8, 9, 11, 64])
def test_as_the_network_with_the_same_bits_for_any_number_of_threads(items, monkeypatch):
    plan, x, found = Both(mobile_network(), SHAPE), images(items), set()
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("XPCNN_NUM_THREADS", threads)
        for _ in range(5):
            found.add(plan(x).tobytes())
            plan(-x)
    assert len(found) == 1
    assert in_blocks(plan)
    plan.agree(x)
    assert np.shares_memory(plan(x), plan(x)) is False


def test_several_outputs():
    graph = nn.Graph(
        {"a": (nn.Conv2d(3, 8, 3, stride=2, rng=0), "x"), "b": (nn.ReLU(), "a"), "c": (nn.GlobalAvgPool2d(), "b")},
        outputs=["b", "c"],
    )
    plan, x = Both(graph, SHAPE), images(13)
    expected = graph(x)
    for made, right in zip(plan(x), expected, strict=True):
        np.testing.assert_allclose(made, right, rtol=2e-5, atol=1e-5)
    assert in_blocks(plan)


@pytest.mark.parametrize("frozen", [False, True])
def test_weights_that_change_are_seen(frozen):
    model, x = mobile_network(), images(12)
    plan = Both(model, SHAPE, frozen=frozen)
    before = plan(x)
    model[-1].weight[1, -1] += 1  # in place
    model[0][1].running_var = model[0][1].running_var * 2
    after = plan(x)
    assert np.array_equal(after, before) == frozen
    if not frozen:
        plan.agree(x)
        model[-1].bias = None
        plan.agree(x)


def test_a_weight_of_another_shape_is_that_of_the_network():
    model, x = mobile_network(), images(9)
    plan = Both(model, SHAPE)
    plan(x)
    model[-1].weight, model[-1].bias = np.ones((2, 32), np.float32), np.ones(2, np.float32)
    plan.agree(x)
    model[-1].weight = np.ones((2, 31), np.float32)
    with pytest.raises(XpcnnError) as of_the_network:
        model(x)
    with pytest.raises(XpcnnError) as of_the_plan:
        plan(x)
    assert str(of_the_plan.value) == str(of_the_network.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_item(value):
    plan, x = Both(mobile_network(), SHAPE), images(10)
    x[6, 4, 4] = value
    with np.errstate(invalid="ignore"):
        plan.agree(x)
    assert list(np.isfinite(plan(x)).all(axis=1)) == [item != 6 for item in range(10)]
    x[6] = 0
    assert np.isfinite(plan(x)).all()


class Centred(nn.Layer):
    """A layer of one's own that needs the whole batch."""

    def forward(self, x):
        return x - x.mean(axis=0), None

    def backward(self, dy, cache, *, input_grad=True):
        raise NotImplementedError


@pytest.mark.parametrize(
    "last",
    [Centred(), nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(8, 8000, rng=0)), nn.Softmax()],
    ids=["own", "large", "no rows"],
)
def test_what_runs_as_it_did(last):
    plan, x = Both(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, rng=0), last), SHAPE), images(9)
    plan.agree(x)
    assert not in_blocks(plan)


def test_several_threads_may_call_a_plan():
    plan, batches = Both(mobile_network(), SHAPE), [images(items) for items in (8, 9, 20)]
    expected = [plan(x) for x in batches]
    wrong = []

    def run(x, right):
        wrong.extend(not np.array_equal(plan.plan(x), right) for _ in range(20))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XPCNN_NUMBA", "1")
        patch.delenv("XPCNN_IMPLEMENTATION", raising=False)
        threads = [threading.Thread(target=run, args=each) for each in zip(batches, expected, strict=True)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(wrong) == 60
    assert not any(wrong)
