"""Plans in compiled loops return what the network returns, in every fusion, with the same bits in any batch.

`ci/check.sh` also runs the tests of all plans with compiled loops, over the whole grid of geometries and in float64.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.nn.plans import Both, block
from xpcnn import nn
from xpcnn.kernels.compiled import conv_tiles, loop, program
from xpcnn.kernels.planned import compiled_program, compiled_steps
from xpcnn.optim import SGD

pytestmark = [
    pytest.mark.skipif(not loop._is_installed(), reason="numba is not installed"),
    pytest.mark.skipif(not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="only NumPy's arrays are planned"),
]


def parts_of(plan):
    """How many calls a plan makes: one for each step of NumPy's, and for those between them."""
    return [len(each.calls) for idle in plan.plan._programs._idle.values() for each in idle]


@pytest.mark.parametrize("size", [(8, 8), (11, 7), (15, 30)])
@pytest.mark.parametrize("tiled", [32, 1000])
def test_sums_and_limits_after_a_convolution(size, tiled, monkeypatch):
    monkeypatch.setattr(conv_tiles, "CHANNELS", tiled)
    monkeypatch.setattr(compiled_steps, "POSITIONS", 0)
    monkeypatch.setattr(compiled_steps, "SCRATCH", 1 << 16)  # several groups of tiles
    model = nn.Sequential(block(3, 32, nn.ReLU()), block(32, 64, nn.ReLU6()), nn.MaxPool2d(3, stride=2, padding=1))
    model = nn.Sequential(model, nn.Flatten(), nn.Linear(64 * -(-size[0] // 2) * -(-size[1] // 2), 5, rng=3))
    x = 3 * np.random.default_rng(0).normal(size=(3, *size, 3)).astype("float32")
    plan = Both(model, x.shape[1:])
    plan.agree(x)
    assert parts_of(plan) == [1]
    for n in range(3):  # however an output is cut into blocks, its sum has one order
        assert np.array_equal(plan(x[n : n + 1])[0], plan(x)[n]) or tiled == 32


def test_what_is_not_compiled_runs_between():
    layers = (
        nn.Conv2d(3, 5, 3, padding=1, rng=0),
        nn.Sigmoid(),
        nn.AvgPool2d(3, padding=1),
        nn.Conv2d(5, 4, 3, padding=2, rng=1),
    )
    model = nn.Sequential(*layers, nn.Tanh(), nn.GlobalAvgPool2d(), nn.Linear(4, 3, rng=2))
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 3)).astype(np.float32)
    plan = Both(model, (9, 9, 3))
    for _ in range(2):
        plan.agree(x)
    assert parts_of(plan) == [6]


@pytest.mark.parametrize(
    ("body", "added"),
    [
        (nn.Residual(nn.Residual(nn.ReLU())), nn.ReLU6()),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, rng=0), nn.Flatten()), nn.Flatten()),
        (nn.GlobalAvgPool2d(), nn.Sequential(nn.ReLU(), nn.GlobalAvgPool2d())),
    ],
    ids=["sums", "flattened", "means"],
)
def test_what_a_sum_is_taken_into(body, added):
    model = nn.Graph({"added": (added, "x"), "body": (body, "x"), "sum": (nn.Add(), "added", "body")})
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 3)).astype(np.float32)
    Both(model, (5, 4, 3)).agree(x)


@pytest.mark.parametrize("change", ["step", "one number", "statistics", "NaN"])
def test_arranged_weights_follow_those_of_the_network(change):
    model = block(32, 32, nn.ReLU())
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 32)).astype(np.float32)
    plan, frozen = Both(model, (8, 8, 32)), Both(model, (8, 8, 32), frozen=True)
    before = plan(x)
    if change == "step":
        y, cache = model.forward(x)
        SGD(model.parameters(), lr=0.1).step(model.backward(y, cache)[1])
    elif change == "statistics":
        model[1].running_var = model[1].running_var * 2
    else:
        list(model.state_dict().values())[2][-1, -1, -1, -1] += np.nan if change == "NaN" else 1
    for _ in range(2):
        plan.agree(x)
    assert not np.array_equal(plan(x), before)
    assert np.array_equal(frozen(x), before)


def test_a_bias_that_is_taken_away_is_no_longer_added():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, rng=0), nn.GlobalAvgPool2d(), nn.Linear(5, 4, rng=1))
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    plan = Both(model, (8, 8, 3))
    for layer in (model[0], model[2]):
        layer.bias += 1
        plan.agree(x)
        layer.bias = None
        plan.agree(x)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(value):
    model = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), nn.Conv2d(5, 17, 1, rng=0), nn.ReLU6(), nn.MaxPool2d(2))
    x = np.random.default_rng(0).normal(size=(1, 12, 12, 5)).astype(np.float32)
    x[0, 4, 4, 2] = value
    Both(model, (12, 12, 5)).agree(x)


def test_values_that_share_memory():
    def conv(size, pads=0):
        return nn.Conv2d(5, 5, size, padding=pads, rng=size)

    x = np.random.default_rng(0).normal(size=(2, 10, 9, 5)).astype(np.float32)
    for model in (
        nn.Sequential(conv(1), conv(3, 1), conv(3, (0, 2, 0, 2)), conv(3, (2, 0, 2, 0))),  # other margins
        nn.Sequential(conv(1), conv(3), nn.ZeroPad2d(1), conv(1)),
        nn.Graph({"a": (conv(1), "x"), "b": (nn.ReLU(), "a"), "c": (nn.Add(), "a", "b")}),
    ):
        Both(model, (10, 9, 5)).agree(x)


def test_groups_strides_and_dilations():
    model = nn.Sequential(
        nn.Conv2d(6, 10, (3, 2), stride=(2, 1), padding=(2, 1, 0, 1), groups=2, rng=0),
        nn.Conv2d(10, 10, 3, padding=1, groups=10, rng=1),
        nn.Conv2d(10, 20, 3, padding=1, groups=10, rng=2),
        nn.Conv2d(20, 7, 3, padding=2, dilation=(1, 2), rng=3),
    )
    for name, array in model.parameters().items():
        array += 0.1 * len(name)  # biases, too
    Both(model, (10, 9, 6)).agree(np.random.default_rng(0).normal(size=(2, 10, 9, 6)).astype(np.float32))


def test_tiles_beyond_an_image_read_zeros(monkeypatch):
    monkeypatch.setattr(compiled_steps, "POSITIONS", 0)
    monkeypatch.setattr(conv_tiles, "FILLED", 0)
    x = np.ones((2, 8, 8, 32), np.float32)
    x[1], x[0, :, 0] = np.nan, np.nan  # the neighbours in memory of the last row, and of the last column
    y = Both(nn.Conv2d(32, 32, 3, rng=0), (8, 8, 32))(x)
    assert np.isfinite(y[0, :, 4:]).all()  # the tiles without that column


def test_without_being_compiled_it_computes_the_same():
    model = nn.Sequential(
        block(8, 32, nn.ReLU6()), block(32, 32, nn.ReLU()), nn.AvgPool2d(2), nn.MaxPool2d(3, padding=1)
    )
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 8)).astype(np.float32)
    plan = Both(model, (8, 8, 8))
    expected = plan(x)
    (made,) = plan.plan._programs._idle[1, True]
    plan(-x)  # what is in its memory now is something else
    made.calls[:] = [lambda call=call: program.run_steps.function(*call.arguments, False, 0) for call in made.calls]
    np.testing.assert_allclose(plan(x), expected, rtol=1e-5, atol=1e-5)


def test_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(compiled_program, "LEAST", 0)
    model = nn.Sequential(block(3, 32, nn.ReLU()), nn.Conv2d(32, 40, 3, stride=2, rng=4), nn.MaxPool2d(2))
    plan, x = Both(model, (20, 30, 3)), np.random.default_rng(0).normal(size=(2, 20, 30, 3)).astype(np.float32)
    found = set()
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("XPCNN_NUM_THREADS", threads)
        for _ in range(20):
            found.add(plan(x).tobytes())
            plan(-x)
    assert len(found) == 1
    plan.agree(x)
    plan.agree(-x)


def test_a_late_thread_finds_nothing_to_do():
    model = block(3, 32, nn.ReLU())
    plan, x = Both(model, (9, 9, 3)), np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype(np.float32)
    expected = plan(x)
    (made,) = plan.plan._programs._idle[1, True]
    (call,) = made.calls
    plan(-x)
    made.inputs[0].fill(x)
    call.counters.fill(0)
    for side in (1, 0):
        program.run_steps(*call.arguments, True, side)
    assert np.array_equal(made.outputs[0].value(), expected)
