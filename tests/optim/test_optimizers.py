"""Optimizers: twenty steps against PyTorch's in float64 with every option, one step of each by hand, resume bit
for bit, nothing changed by a refused step, and the seeds' linear regression."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import optim
from xpcnn.backend import to_numpy
from xpcnn.errors import BackendError, DTypeError, FormatError, OptionError, ShapeError
from xpcnn.nn import Linear
from xpcnn.nn.loss import MSELoss
from xpcnn.optim.adam import Adam, AdamW
from xpcnn.optim.adaptive import Adadelta, AdaGrad, RMSProp
from xpcnn.optim.optimizer import Optimizer
from xpcnn.optim.sgd import SGD

from ..arrays import assert_close

SHAPES = {"0.weight": (3, 4), "0.bias": (3,), "1.weight": (2, 3)}
CASES = [  # the class, PyTorch's of it (or plain loops that make the steps, where there is none), options
    (SGD, "SGD", {"lr": 0.1}),
    (SGD, "SGD", {"lr": 0.1, "weight_decay": 0.05}),
    (SGD, "SGD", {"lr": 0.1, "momentum": 0.9}),
    (SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    (AdaGrad, "Adagrad", {}),
    (AdaGrad, "Adagrad", {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.05}),
    (RMSProp, "RMSprop", {}),
    (RMSProp, "RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.05}),
    (RMSProp, "RMSprop", {"momentum": 0.9}),
    (RMSProp, "RMSprop", {"centered": True, "eps": 1e-3}),
    (RMSProp, "RMSprop", {"momentum": 0.8, "centered": True, "eps": 1e-3, "weight_decay": 0.05}),
    (Adadelta, "Adadelta", {}),
    (Adadelta, "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.05}),
    (Adam, "Adam", {}),
    (Adam, "Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.05}),
    (AdamW, "AdamW", {}),
    (AdamW, "AdamW", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.3}),
]
IDS = [f"{ours.__name__}-{'-'.join(options) or 'defaults'}" for ours, _, options in CASES]


BY_HAND = [
    (SGD, {"lr": 0.1}, 1 - 0.1 * 2),
    (SGD, {"lr": 0.1, "weight_decay": 0.5}, 1 - 0.1 * (2 + 0.5)),
    (SGD, {"lr": 0.1, "momentum": 0.9}, 1 - 0.1 * 2),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, 1 - 0.1 * 2 * 1.9),
    (AdaGrad, {"lr": 0.1, "eps": 1.0}, 1 - 0.1 * 2 / 3),
    (RMSProp, {"lr": 0.1, "alpha": 0.75, "eps": 1.0}, 1 - 0.1 * 2 / 2),
    (RMSProp, {"lr": 0.1, "alpha": 0.5, "eps": 1.0, "centered": True}, 1 - 0.1 * 2 / 2),
    (Adadelta, {"lr": 2.0, "rho": 0.75, "eps": 3.0}, 1 - 2.0 * 2 * np.sqrt(3 / 4)),
    (Adam, {"lr": 0.1, "eps": 2.0}, 1 - 0.1 * 2 / (2 + 2)),
    (AdamW, {"lr": 0.1, "eps": 2.0, "weight_decay": 0.5}, 0.95 - 0.1 * 2 / (2 + 2)),
]


def test_every_optimizer_has_two_witnesses():
    public = {kind for kind in vars(optim).values() if isinstance(kind, type) and issubclass(kind, Optimizer)}
    assert {kind for kind, _, _ in CASES} == public - {Optimizer}
    assert {kind for kind, _, _ in BY_HAND} == public - {Optimizer}


def writable(xp, host, dtype="float64"):
    """A parameter: the only arrays that may be written, on read-only NumPy too."""
    array = xp.array(host, dtype)
    if xp.name == "numpy_readonly":
        array.flags.writeable = True
    return array


def start(rng):
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def gradients(rng, steps):
    """Of very different sizes, and with zeros, as biases and dead units have."""
    scales = {"0.weight": 1.0, "0.bias": 1e-3, "1.weight": 30.0}
    made = [{name: scales[name] * rng.normal(size=shape) for name, shape in SHAPES.items()} for _ in range(steps)]
    for grads in made:
        grads["0.weight"][0, 0] = 0.0
    return made


def arrays(xp, hosts, dtype="float64"):
    return {name: xp.array(host, dtype) for name, host in hosts.items()}


def run(optimizer, xp, steps, dtype="float64"):
    for grads in steps:
        optimizer.step(arrays(xp, grads, dtype))


def parameters(xp, hosts, dtype="float64"):
    return {name: writable(xp, host, dtype) for name, host in hosts.items()}


def by_pytorch(name, hosts, steps, options):
    torch = pytest.importorskip("torch")
    params = {name: torch.tensor(host, requires_grad=True) for name, host in hosts.items()}
    optimizer = getattr(torch.optim, name)(params.values(), foreach=False, **options)
    for number, grads in enumerate(steps):
        if number == 10:
            optimizer.param_groups[0]["lr"] /= 2
        for name, p in params.items():
            p.grad = torch.tensor(grads[name])
        optimizer.step()
    return {name: p.detach().numpy() for name, p in params.items()}


def by_plain_loops(path, hosts, steps, options):
    """Number by number: `path` takes one, its gradients and the learning rates, and returns where it ends."""
    lr = options["lr"]
    rates, others = [lr] * 10 + [lr / 2] * (len(steps) - 10), {key: options[key] for key in options if key != "lr"}
    ends = {name: np.zeros(host.shape) for name, host in hosts.items()}
    for name, host in hosts.items():
        for at in np.ndindex(*host.shape):
            ends[name][at] = path(float(host[at]), [float(g[name][at]) for g in steps], rates, **others)
    return ends


@pytest.mark.parametrize(("ours", "theirs", "options"), CASES, ids=IDS)
def test_twenty_steps_as_its_witness(xp, rng, ours, theirs, options):
    hosts, steps = start(rng), gradients(rng, 20)
    expected = (by_plain_loops if callable(theirs) else by_pytorch)(theirs, hosts, steps, options)
    params = parameters(xp, hosts)
    optimizer = ours(params, **options)
    for number, grads in enumerate(steps):
        if number == 10:  # as a schedule does
            optimizer.lr /= 2
        optimizer.step(arrays(xp, grads))
    assert optimizer.steps == 20
    for name, p in params.items():
        assert_close(p, expected[name])


@pytest.mark.parametrize(("ours", "options", "expected"), BY_HAND)
def test_one_step_by_hand(xp, ours, options, expected):
    """p = 1 and g = 2, worked out on paper from each class's equations."""
    p = writable(xp, [1.0])
    ours({"p": p}, **options).step({"p": xp.array([2.0])})
    assert_close(p, np.array([expected]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("ours", "options"), [(ours, options) for ours, _, options in CASES], ids=IDS)
def test_resume_bit_for_bit(xp, rng, ours, options, dtype):
    """Seven steps, then a new optimizer from what was kept, then five more: equal to the last bit; dtypes stay."""
    hosts, steps = start(rng), gradients(rng, 12)
    straight = parameters(xp, hosts, dtype)
    optimizer = ours(straight, **options)
    run(optimizer, xp, steps[:7], dtype)
    optimizer.lr *= 0.7
    state = {name: to_numpy(array).copy() for name, array in optimizer.state_dict().items()}
    scalars = optimizer.scalars()
    kept = {name: to_numpy(p).copy() for name, p in straight.items()}
    run(optimizer, xp, steps[7:], dtype)

    resumed = parameters(xp, kept, dtype)
    fresh = ours(resumed, **options)
    fresh.load_state_dict(state, **scalars)
    run(fresh, xp, steps[7:], dtype)
    assert fresh.steps == optimizer.steps == 12
    assert fresh.lr == optimizer.lr
    for name in SHAPES:
        assert_close(resumed[name], to_numpy(straight[name]), dtype=dtype)
        np.testing.assert_array_equal(to_numpy(resumed[name]), to_numpy(straight[name]))
    for name, array in fresh.state_dict().items():
        assert_close(array, to_numpy(optimizer.state_dict()[name]), dtype=dtype)


def test_state_has_names_and_is_copied_in(xp, rng):
    params = parameters(xp, start(rng))
    assert SGD(params, lr=0.1).state_dict() == {}
    optimizer = SGD(params, lr=0.1, momentum=0.9)
    assert list(optimizer.state_dict()) == ["velocity.0.weight", "velocity.0.bias", "velocity.1.weight"]
    assert len(RMSProp(params, momentum=0.5, centered=True).state_dict()) == 9
    state = {name: array + 1 for name, array in optimizer.state_dict().items()}
    optimizer.load_state_dict(state, steps=3)
    assert (optimizer.steps, optimizer.lr) == (3, 0.1)
    optimizer.step(arrays(xp, gradients(rng, 1)[0]))
    for array in state.values():
        assert_close(array, np.ones(tuple(array.shape)))  # what was given is not written


def test_gradients_and_cache_are_only_read(xp, rng):
    """The read-only arrays of one backend would say so; this also looks, on all of them, with momentum."""
    (host,) = gradients(rng, 1)
    for ours, _, options in CASES:
        grads = arrays(xp, host)
        optimizer = ours(parameters(xp, start(rng)), **options)
        optimizer.step(grads)
        optimizer.step(grads)
        for name, g in grads.items():
            np.testing.assert_array_equal(to_numpy(g), host[name])


def test_a_refused_step_changes_nothing(xp, rng):
    hosts, (grads,) = start(rng), gradients(rng, 1)
    params = parameters(xp, hosts)
    optimizer = SGD(params, lr=0.1, momentum=0.9)
    good = arrays(xp, grads)
    absent = {name: g for name, g in good.items() if name != "1.weight"}
    for bad, error, text in (
        (
            absent,
            OptionError,
            r"SGD step: expected the 3 names .*, got missing \['1.weight'\], unknown \[\]; pass what",
        ),
        (good | {"2.bias": good["0.bias"]}, OptionError, r"missing \[\], unknown \['2.bias'\]"),
        (good | {"1.weight": good["0.bias"]}, ShapeError, r"the gradient of 1.weight \(2, 3\), got \(3,\)"),
        (good | {"1.weight": xp.array(grads["1.weight"], "float32")}, DTypeError, "1.weight in float64, got float32"),
    ):
        with pytest.raises(error, match=text):
            optimizer.step(bad)
    if xp.backend != "numpy":
        with pytest.raises(BackendError, match="arrays of one backend"):
            optimizer.step(good | {"1.weight": grads["1.weight"]})
    assert optimizer.steps == 0
    for name, p in params.items():
        np.testing.assert_array_equal(to_numpy(p), hosts[name])


def test_it_says_what_it_is(xp, rng):
    optimizer = SGD(parameters(xp, start(rng)), lr=0.1, momentum=0.9)
    optimizer.lr = 0.01
    assert repr(optimizer) == "SGD(3 parameters, lr=0.01, momentum=0.9, nesterov=False, weight_decay=0.0)"


def test_a_refused_load_changes_nothing(xp, rng):
    optimizer = Adam(parameters(xp, start(rng)))
    run(optimizer, xp, gradients(rng, 2))
    before = {name: to_numpy(array).copy() for name, array in optimizer.state_dict().items()}
    bad_shape = dict(before) | {"mean.0.bias": np.zeros(4)}
    with pytest.raises(FormatError, match=r"Adam load_state_dict: expected mean.0.bias \(3,\), got \(4,\)"):
        optimizer.load_state_dict(bad_shape, steps=9)
    with pytest.raises(
        FormatError, match=r"the 6 names of this optimizer, got missing \['mean.0.bias', .*unknown \['x'\]"
    ):
        optimizer.load_state_dict({"x": np.zeros(1)}, steps=9)
    assert optimizer.steps == 2
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(to_numpy(array), before[name])


def test_bad_options(xp):
    p = {"p": writable(xp, [1.0])}
    for make, text in (
        (lambda: SGD(p, lr=-0.1), r"SGD: expected lr: a number in \[0, inf\), got -0.1"),
        (lambda: SGD(p, lr=float("nan")), "SGD: expected lr"),
        (lambda: SGD(p, lr=float("inf")), "SGD: expected lr"),
        (lambda: SGD(p, lr="0.1"), "SGD: expected lr"),
        (lambda: SGD(p, lr=0.1, momentum=1.0), r"SGD: expected momentum: a number in \[0, 1\), got 1.0"),
        (lambda: SGD(p, lr=0.1, nesterov=True), "SGD: expected momentum > 0 for nesterov, got 0.0; pass momentum=0.9"),
        (lambda: SGD(p, lr=0.1, weight_decay=-1), "SGD: expected weight_decay"),
        (lambda: SGD({}, lr=0.1), "SGD: expected at least one parameter, got none; pass network.parameters"),
        (lambda: AdaGrad(p, eps=-1), "AdaGrad: expected eps"),
        (lambda: RMSProp(p, alpha=1), "RMSProp: expected alpha"),
        (lambda: RMSProp(p, momentum=-0.1), "RMSProp: expected momentum"),
        (lambda: Adadelta(p, rho=1), "Adadelta: expected rho"),
        (lambda: Adadelta(p, eps=0), "Adadelta: expected eps"),
        (lambda: Adam(p, betas=(0.9, 1.0)), "Adam: expected β₂"),
        (lambda: AdamW(p, betas=(-0.1, 0.9)), "AdamW: expected β₁"),
        (lambda: Adam(p, betas=0.9), "Adam: expected betas: a pair"),
    ):
        with pytest.raises(OptionError, match=text):
            make()
    with pytest.raises(DTypeError, match="SGD: expected p in float32 or float64, got int64"):
        SGD({"p": xp.array([1, 2])}, lr=0.1)


@pytest.mark.parametrize(("dtype", "steps"), [("float32", 150), ("float64", 500)])
def test_centered_rmsprop_with_constant_gradients(xp, dtype, steps):
    """After t steps the mean square is (1 − αᵗ)·g² and the mean (1 − αᵗ)·g: variance αᵗ·(1 − αᵗ)·g², which goes to 0.

    Each step is by that, where the difference of the two averages has lost all its digits.
    """
    g, alpha, lr = np.linspace(0.1, 3, 100).astype(dtype), 0.9, 1e-6
    p = writable(xp, np.zeros(100), dtype)
    optimizer = RMSProp({"p": p}, lr=lr, alpha=alpha, eps=1e-30, centered=True)
    for t in range(1, steps + 1):
        before = to_numpy(p).copy()
        optimizer.step({"p": xp.array(g, dtype)})
        expected = lr / np.sqrt(alpha**t * (1 - alpha**t))
        if t < 20 or t == steps:
            np.testing.assert_allclose(before - to_numpy(p), expected, rtol=0.02)


def test_a_state_of_centered_rmsprop_with_mean_squares_is_refused():
    """The mean squares are no variances: they are refused, not taken for them."""
    optimizer = RMSProp({"p": np.ones(3)}, centered=True)
    with pytest.raises(FormatError, match=r"missing \['variance.p'\], unknown \['square_mean.p'\]"):
        optimizer.load_state_dict({"square_mean.p": np.ones(3), "mean.p": np.ones(3)}, steps=1)


def test_one_of_one_s_own(xp):
    class SignSGD(Optimizer):
        def update(self, p, g):
            p -= self.lr * (g / abs(g))

    p = writable(xp, [1.0, 1.0])
    SignSGD({"p": p}, lr=0.25).step({"p": xp.array([3.0, -7.0])})
    assert_close(p, np.array([0.75, 1.25]))


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda p: SGD(p, lr=0.3), 200),
        (lambda p: SGD(p, lr=0.1, momentum=0.8, nesterov=True), 200),
        (lambda p: Adam(p, lr=0.3), 600),
    ],
)
def test_linear_regression_finds_its_weights(xp, rng, make, steps):
    """The seeds' example 11: W = [[3,7,4],[5,2,6]], b = [2,9,3] from data that were made with them."""
    w, b = np.array([[3.0, 7, 4], [5, 2, 6]]), np.array([2.0, 9, 3])
    x = rng.normal(size=(64, 2))
    x_, t_ = xp.array(x), xp.array(x @ w + b)
    layer, criterion = Linear(2, 3, rng=0).astype("float64"), MSELoss()
    optimizer = make(layer.parameters())
    for _ in range(steps):
        y, cache = layer.forward(x_)
        loss, loss_cache = criterion.forward(y, t_)
        _, grads = layer.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
    np.testing.assert_allclose(to_numpy(layer.weight), w.T, atol=1e-4)
    np.testing.assert_allclose(to_numpy(layer.bias), b, atol=1e-4)
    assert float(to_numpy(loss)) < 1e-7
