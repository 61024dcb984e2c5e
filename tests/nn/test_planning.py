"""Plans return what the network returns."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.geometry import Geometry, geometries
from tests.nn.plans import NUMPY_AS_USUAL, close, mobile_network
from xpcnn import models, nn
from xpcnn.errors import OptionError, ShapeError, XpcnnError
from xpcnn.kernels.planned import conv as conv_step
from xpcnn.nn.layer_examples import EXAMPLES

pytestmark = NUMPY_AS_USUAL


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer(name, dtype):
    layer, x = EXAMPLES[name]()
    layer, x = layer.astype(dtype), x.astype(dtype)
    for norm in [layer for _, layer in layer.named_layers() if hasattr(layer, "running_mean")]:
        norm.running_mean, norm.running_var = norm.running_mean + 0.5, norm.running_var * 2
    if dtype == "float64" and not layer.state_dict():
        layer = nn.Sequential(layer, nn.Linear(layer(x).shape[-1], 1, rng=0).astype(dtype))  # so that it has a dtype
    for frozen in (False, True):
        plan = nn.plan(layer, x.shape[1:], frozen=frozen)
        for n in (1, 2, 3):
            close(plan, layer, np.concatenate([x, x])[:n])
        assert plan._programs is not None


@settings(deadline=None, max_examples=150)
@given(geometries(), st.sampled_from([1, 2]), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_geometry_of_a_convolution_with_what_is_fused_to_it(g: Geometry, groups, bias, norm, relu, seed):
    with pytest.MonkeyPatch.context() as patch:
        if seed % 2:  # small images as large ones: copied along rows only, in blocks of few rows
            patch.setattr(conv_step, "MANY", 0)
            patch.setattr(conv_step, "NUMBERS", 40)
        check_convolution(g, groups, bias, norm, relu, seed)


def check_convolution(g, groups, bias, norm, relu, seed):
    rng = np.random.default_rng(seed)
    channels, filters = groups * g.channels, 1 + seed % 3
    conv = nn.Conv2d(
        channels,
        groups * filters,
        g.kernel,
        stride=g.stride,
        padding=g.pads,
        dilation=g.dilation,
        groups=groups,
        bias=bias,
        rng=rng,
    )
    batch_norm = nn.BatchNorm2d(groups * filters)
    batch_norm.running_mean = rng.normal(size=groups * filters).astype("float32")
    batch_norm.running_var = rng.uniform(0.5, 2, groups * filters).astype("float32")
    more = [*([batch_norm] if norm else []), *([nn.ReLU()] if relu else [])]
    after = nn.Conv2d(groups * filters, 2, 1, padding=1, rng=rng)  # so that there is a margin
    for model in (nn.Sequential(conv, *more), nn.Sequential(conv, *more, after)):
        model.astype("float64")
        x = rng.normal(size=(g.images, *g.size, channels))
        close(nn.plan(model, x.shape[1:]), model, x)
        close(nn.plan(model, x.shape[1:], frozen=True), model, x)


@pytest.mark.parametrize("size", [9, 40, 70])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("images", [1, 3])
def test_convolutions_that_are_cut_into_blocks(size, stride, images):
    model = nn.Sequential(
        nn.Conv2d(24, 16, 3, padding=1, stride=stride, rng=0),
        nn.ReLU(),
        nn.Conv2d(16, 64, 3, padding=1, rng=1),
        nn.Conv2d(64, 64, 3, rng=2),
    )
    x = np.random.default_rng(0).normal(size=(images, size, size, 24)).astype("float32")
    close(nn.plan(model, x.shape[1:]), model, x)


@settings(deadline=None, max_examples=80)
@given(
    geometries(most_padding=1), st.booleans(), st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]), st.integers(0, 2**32 - 1)
)
def test_every_geometry_of_pooling(g: Geometry, ceil, kind, seed):
    more = {"dilation": g.dilation} if kind is nn.MaxPool2d else {}
    layer = kind(g.kernel, stride=g.stride, padding=g.pads, ceil_mode=ceil, **more)
    x = np.random.default_rng(seed).normal(size=(g.images, *g.size, g.channels))
    model = nn.Sequential(nn.ReLU(), layer, nn.Conv2d(g.channels, 2, 3, padding=2, rng=0).astype("float64"))
    try:
        model(x)
    except ShapeError:
        return
    close(nn.plan(model, x.shape[1:]), model, x)


@pytest.mark.parametrize(
    "name",
    [
        "mlp",
        "lenet5",
        "mnist_cnn",
        "vgg_small",
        "resnet20",
        "mobilenet_v3_small",
        "shufflenet_v2_x1_0",
        "squeezenet1_1",
    ],
)
def test_models(name):
    shape = (40, 40, 3)
    model = models.build(name, shape, 10, rng=0)
    x = np.random.default_rng(0).random((2, *shape), np.float32)
    for frozen in (False, True):
        plan = nn.plan(model, shape, frozen=frozen)
        close(plan, model, x)
        close(plan, model, x[:1])


def test_zeros_that_a_layer_writes_over_are_zeros_again():
    model = nn.Sequential(nn.ZeroPad2d(1), nn.Sigmoid())
    plan, x = nn.plan(model, (2, 2, 1)), np.ones((1, 2, 2, 1), np.float32)
    plan(x)
    close(plan, model, x)


def test_the_same_bits_for_any_number_of_threads(monkeypatch):
    layers = [nn.Conv2d(32, 64, 3, padding=1, rng=0), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1, rng=1)]
    model = nn.Sequential(*layers, nn.Conv2d(64, 16, 3, padding=1, rng=2))
    x = np.random.default_rng(0).normal(size=(1, 40, 40, 32)).astype("float32")
    for frozen in (False, True):
        found = []
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("XPCNN_NUM_THREADS", threads)
            found.append(nn.plan(model, (40, 40, 32), frozen=frozen)(x))
        assert all((each == found[0]).all() for each in found)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("filters", [4, 40])
def test_products_without_blas_that_adds(monkeypatch, bias, filters):
    monkeypatch.setattr(conv_step.blas, "refuses", lambda x: "another BLAS")
    model = nn.Sequential(nn.Conv2d(24, filters, 3, padding=1, bias=bias, rng=0), nn.BatchNorm2d(filters), nn.ReLU())
    x = np.random.default_rng(0).normal(size=(2, 20, 20, 24)).astype("float32")
    close(nn.plan(model, (20, 20, 24)), model, x)
    close(nn.plan(model, (20, 20, 24), frozen=True), model, x)


@pytest.mark.parametrize("frozen", [False, True])
def test_threads_share_a_plan(frozen):
    model = models.build("lenet5", (28, 28, 1), 10, rng=0)
    plan = nn.plan(model, (28, 28, 1), frozen=frozen)
    rng = np.random.default_rng(0)
    images = [rng.random((1 + number % 2, 28, 28, 1), np.float32) for number in range(40)]
    expected = [plan(x) for x in images]
    wrong = []

    def work():
        for _ in range(5):
            wrong.extend(i for i, x in enumerate(images) if (plan(x) != expected[i]).any())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


@pytest.mark.parametrize("channels", [1, 2])  # one channel: the plan's order of axes is the layers'
def test_results_belong_to_the_caller(channels):
    plan = nn.plan(nn.Sequential(nn.Conv2d(1, channels, 1, rng=0)), (3, 3, 1))
    x = np.ones((1, 3, 3, 1), np.float32)
    first = plan(x)
    kept = first.copy()
    plan(2 * x)
    assert (first == kept).all()
    assert (x == 1).all()


def test_the_plan_of_more_images_is_the_network(monkeypatch):
    monkeypatch.setenv("XPCNN_NUMBA", "0")
    model = models.build("lenet5", (28, 28, 1), 10, rng=0)
    x = np.random.default_rng(0).random((15, 28, 28, 1), np.float32)
    assert (nn.plan(model, (28, 28, 1))(x) == model(x)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_images_with_residual_sums(dtype):
    model, x = mobile_network().astype(dtype), np.random.default_rng(0).normal(size=(17, 9, 10, 3)).astype(dtype)
    close(nn.plan(model, (9, 10, 3)), model, x)


@pytest.mark.parametrize("items", [16, 17, 129, 256])
def test_many_images_run_in_parts_with_the_same_bits_for_any_number_of_threads(items, monkeypatch):
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)
    layers = nn.Conv2d(1, 8, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5, rng=1), nn.Tanh(), nn.AvgPool2d(2)
    body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, rng=2), nn.ReLU(), nn.Conv2d(8, 8, 1, rng=4))
    model = nn.Sequential(*layers, body, nn.Flatten(), nn.Linear(72, 3, rng=3))
    if not isinstance(model[0].weight, np.ndarray):
        pytest.skip("other arrays than NumPy's have no parts")
    plan, x = nn.plan(model, (14, 14, 1)), np.random.default_rng(0).normal(size=(items, 14, 14, 1)).astype("float32")
    found = set()
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("XPCNN_NUM_THREADS", threads)
        found.add(plan(x).tobytes())
    assert len(found) == 1
    assert plan._large
    np.testing.assert_allclose(plan(x), model(x), rtol=1e-4, atol=1e-5)
    model[0].weight *= 2
    np.testing.assert_allclose(plan(x), model(x), rtol=1e-4, atol=1e-5)


def test_nan_and_infinity_come_through():
    model = models.build("mnist_cnn", (28, 28, 1), 10, rng=0)
    plan = nn.plan(model, (28, 28, 1))
    x = np.zeros((1, 28, 28, 1), np.float32)
    x[0, 5, 5, 0] = np.nan
    assert np.isnan(plan(x)).all()
    assert np.isfinite(plan(np.zeros_like(x))).all()  # nothing of it is left in memory


def test_pickling_and_forced_implementations():
    from xpcnn import use_implementation

    model = models.build("lenet5", (28, 28, 1), 10, rng=0)
    x = np.random.default_rng(0).random((1, 28, 28, 1), np.float32)
    plan = pickle.loads(pickle.dumps(nn.plan(model, (28, 28, 1))))
    close(plan, model, x)
    with use_implementation("reference"):
        assert (plan(x) == model(x)).all()


@pytest.mark.parametrize("x", [np.zeros((0, 28, 28, 1), np.float32), np.zeros((1, 28, 28, 1)), [[1.0]], 3, ()])
def test_what_the_network_refuses_is_refused_in_its_words(x):
    model = models.build("lenet5", (28, 28, 1), 10, rng=0)
    with pytest.raises(XpcnnError) as of_the_network:
        model(x)
    with pytest.raises(XpcnnError) as of_the_plan:
        nn.plan(model, (28, 28, 1))(x)
    assert str(of_the_plan.value) == str(of_the_network.value)


def test_another_shape_and_dtype_are_passed_to_the_network():
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    x = np.random.default_rng(0).normal(size=(1, 6, 4, 1))
    assert (nn.plan(model, (6, 6, 1))(x) == model(x)).all()


def test_wrong_networks():
    with pytest.raises(OptionError, match="a network"):
        nn.plan("lenet5", (28, 28, 1))
    with pytest.raises(ShapeError, match="layer 0"):
        nn.plan(models.build("lenet5", (28, 28, 1), 10, rng=0), (28, 28, 3))
