"""Plans return what the network returns."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.geometry import Geometry, geometries
from xpcnn import models, nn
from xpcnn.errors import OptionError, ShapeError, XpcnnError
from xpcnn.kernels.planned import conv as conv_step
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.ops import Window
from xpcnn.optim import SGD

pytestmark = pytest.mark.skipif(
    not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="other arrays than NumPy's are not planned"
)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_forced():
    """A plan passes everything to the network where an implementation is forced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPCNN_IMPLEMENTATION", raising=False)
        yield


def close(plan, model, x):
    """Equal within rounding; that of Winograd's algorithm is up to 1e-5 of the largest output in float32."""
    rtol, atol = (1e-9, 1e-12) if x.dtype == np.float64 else (2e-5, 1e-4)
    np.testing.assert_allclose(plan(x), model(x), rtol=rtol, atol=atol)


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


def residual(cin: int, cout: int) -> nn.Layer:
    return nn.Residual(
        nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, rng=0), nn.BatchNorm2d(cout), nn.ReLU()),
        nn.Conv2d(cin, cout, 1, rng=1),
    )


def graph() -> nn.Graph:
    """Values that are read twice, joins that broadcast, parallel branches, a residual, an output that is read again."""
    return nn.Graph(
        {
            "a": (nn.Conv2d(3, 4, 3, padding=1, rng=0), "x"),
            "r": (nn.ReLU(), "a"),
            "b": (residual(4, 4), "r"),
            "gate": (
                nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(4, 4, rng=2), nn.Sigmoid(), nn.Unflatten((1, 1, 4))),
                "b",
            ),
            "scaled": (nn.Multiply(), "b", "gate"),
            "branches": (
                nn.Concat(nn.Conv2d(4, 2, 1, rng=3), nn.MaxPool2d(3, stride=1, padding=1), nn.Identity()),
                "scaled",
            ),
            "joined": (nn.Concat(), "branches", "r", "a"),
            "least": (nn.Subtract(), "joined", "joined"),
            "more": (nn.Maximum(), "joined", "least"),
            "dropped": (nn.Dropout(0.5, rng=0), "more"),
            "y": (nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(18 * 36, 5, rng=4)), "dropped"),
        },
        outputs=["y", "r", "dropped"],
    )


def test_a_graph_with_several_outputs():
    model = graph()
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype("float32")
    plan = nn.plan(model, (6, 6, 3))
    for _ in range(2):
        for got, expected in zip(plan(x), model(x), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_an_output_that_a_layer_reads_is_not_written_over():
    model = nn.Graph({"a": (nn.Linear(2, 2, rng=0), "x"), "y": (nn.ReLU(), "a")}, outputs=["a", "y"])
    x = np.array([[1, -1], [-1, 1]], np.float32)
    a, y = nn.plan(model, (2,))(x)
    np.testing.assert_allclose(a, model(x)[0], rtol=1e-6)
    assert (a < 0).any()
    assert (y >= 0).all()


def test_zeros_that_a_layer_writes_over_are_zeros_again():
    model = nn.Sequential(nn.ZeroPad2d(1), nn.Sigmoid())
    plan, x = nn.plan(model, (2, 2, 1)), np.ones((1, 2, 2, 1), np.float32)
    plan(x)
    close(plan, model, x)


def test_several_inputs():
    model = nn.Graph({"y": (nn.Add(), "a", "b")}, inputs=["b", "a"])
    a, b = np.ones((2, 4, 4, 3), np.float32), np.full((2, 1, 1, 3), 2, np.float32)
    plan = nn.plan(model, [(1, 1, 3), (4, 4, 3)])
    assert (plan((b, a)) == 3).all()
    assert (plan({"a": a, "b": b}) == 3).all()
    with pytest.raises(OptionError, match="arrays b, a"):
        plan(a)


def test_weights_that_change_are_seen():
    model = models.build("resnet20", (32, 32, 3), 10, rng=0)
    x = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    plan = nn.plan(model, (32, 32, 3))
    before = plan(x)
    _, cache = model.forward(np.random.default_rng(1).random((8, 32, 32, 3), np.float32))  # running statistics
    _, grads = model.backward(np.ones((8, 10), np.float32), cache)
    SGD(model.parameters(), lr=0.1).step(grads)  # in place
    close(plan, model, x)
    assert not np.allclose(plan(x), before)
    model.load_state_dict({name: array / 2 for name, array in model.state_dict().items()})
    close(plan, model, x)
    layer = model.children()["0"]
    layer.weight = layer.weight * 2
    close(plan, model, x)
    model.astype("float64")
    with pytest.raises(ShapeError, match="make a new plan"):
        plan(x)


def test_filters_in_another_memory_order_that_change_in_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0))
    layer = model.children()["0"]
    layer.weight = np.asfortranarray(layer.weight)
    x = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    plan = nn.plan(model, (8, 8, 3))
    for _ in range(2):
        close(plan, model, x)
        layer.weight *= 2


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


@pytest.mark.parametrize("key", ["weight", "bias"])
def test_a_mask_of_weights_is_not_passed_over(key):
    layer = nn.Linear(3, 2, rng=0)
    plan, x = nn.plan(layer, (3,)), np.ones((1, 3), np.float32)
    array = getattr(layer, key)
    setattr(layer, key, np.ma.masked_array(array, np.ones(array.shape, bool)))
    with pytest.raises(XpcnnError):
        layer(x)
    with pytest.raises(ShapeError, match=f"the {key} of Linear as it was, got MaskedArray"):
        plan(x)


def test_a_function_that_takes_the_place_of_a_layer_s_own_is_called():
    model, x = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU()), np.ones((1, 3), np.float32)
    plan = nn.plan(model, (3,))
    model[1].forward = lambda x: (x * 0 + 7, None)
    assert (plan(x) == 7).all()
    assert (nn.plan(model, (3,))(x) == 7).all()
    del model[1].forward
    close(plan, model, x)


@pytest.mark.parametrize(
    ("layer", "change"),
    [
        (nn.Conv2d(4, 4, 3, rng=0), lambda layer: setattr(layer, "window", Window(3, padding=1))),
        (nn.MaxPool2d(2), lambda layer: setattr(layer, "window", Window(3))),
        (nn.ZeroPad2d(1), lambda layer: setattr(layer, "padding", (2, 1, 0, 1))),
        (nn.ZeroPadChannels(1, 0), lambda layer: setattr(layer, "after", 2)),
        (nn.LeakyReLU(0.1), lambda layer: setattr(layer, "negative_slope", 0.5)),
        (nn.BatchNorm2d(4), lambda layer: setattr(layer, "eps", 0.5)),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_layer_that_is_changed_is_planned_again(layer, change):
    model, x = nn.Sequential(layer), np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype("float32")
    if not layer.state_dict():
        model = nn.Sequential(nn.Conv2d(4, 4, 1, rng=1), layer)
    plan = nn.plan(model, (5, 5, 4))
    before = plan(x)
    change(layer)
    close(plan, model, x)
    assert not np.array_equal(plan(x), before)


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


class Centred(nn.Layer):
    """Not from xpcnn, and its output depends on the whole batch."""

    def forward(self, x):
        return x - x.mean(), None

    def backward(self, dy, cache, *, input_grad=True):
        return dy - dy.mean(), {}


def test_layers_of_ones_own_run_as_they_are():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, rng=0), Centred(), nn.ReLU())
    x = np.random.default_rng(0).random((5, 6, 6, 1), np.float32)
    close(nn.plan(model, (6, 6, 1)), model, x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean(axis=0, keepdims=True),
        lambda x: x[: len(x) // 2 + 1],
        lambda x: x.astype("float64") if len(x) > 1 else x,
        lambda x: (x, x) if len(x) > 1 else x,
    ],
)
def test_a_layer_of_ones_own_whose_output_is_another_for_more_items(function):
    class Own(nn.Layer):
        def forward(self, x):
            return function(x), None

        def backward(self, dy, cache, *, input_grad=True):
            raise NotImplementedError

    model = nn.Sequential(nn.Linear(3, 4, rng=0), Own())
    plan = nn.plan(model, (3,))
    for n in (1, 3, 1):
        x = np.random.default_rng(n).random((n, 3), np.float32)
        got, expected = plan(x), model(x)
        assert type(got) is type(expected)
        if isinstance(got, np.ndarray):
            assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-5)
        assert np.shape(got) == np.shape(expected)


@pytest.mark.parametrize("key", ["weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("value", [np.ones(1, np.float32), np.ones(3), [1.0, 1.0, 1.0]])
def test_arrays_of_a_batch_norm_that_do_not_fit_any_more(key, value):
    for layers in ([], [nn.Conv2d(3, 3, 1, rng=0)]):
        norm = nn.BatchNorm2d(3)
        plan = nn.plan(nn.Sequential(*layers, norm), (2, 2, 3))
        setattr(norm, key, value)
        with pytest.raises(ShapeError, match=f"the {key} of BatchNorm2d as it was"):
            plan(np.ones((1, 2, 2, 3), np.float32))


class Sum(nn.Container):
    """A container from outside xpcnn, which computes something itself."""

    def run_children(self, x, run):
        return sum(run(name, child, x) for name, child in self._children.items())

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dy, cache, *, input_grad=True):
        raise NotImplementedError


def test_a_container_of_ones_own_runs_as_it_is():
    model = nn.Sequential(Sum({"a": nn.ReLU(), "b": nn.Sigmoid()}))
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    close(nn.plan(model, (6,)), model, x)


def test_the_plan_of_more_images_is_the_network():
    model = models.build("lenet5", (28, 28, 1), 10, rng=0)
    x = np.random.default_rng(0).random((15, 28, 28, 1), np.float32)
    assert (nn.plan(model, (28, 28, 1))(x) == model(x)).all()


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
