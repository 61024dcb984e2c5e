"""The named architectures learn: gradients as PyTorch's functions and the witnesses have them, and losses that fall."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import xpcnn
from xpcnn import models
from xpcnn.nn import CrossEntropyLoss
from xpcnn.optim import SGD

from .shapes import SMALLEST, TRAINED


def torch_small(torch, p, x, *, paddings):
    """Convolutions with pooling, then dense layers: mlp, lenet5 and mnist_cnn from PyTorch's functions."""
    f, weights = torch.nn.functional, iter(p.values())
    for padding in paddings:
        w, b = next(weights), next(weights)
        x = f.max_pool2d(torch.relu(f.conv2d(x, w.permute(0, 3, 1, 2), b, padding=padding)), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)  # channels last
    *hidden, last = zip(weights, weights, strict=True)
    for w, b in hidden:
        x = torch.relu(f.linear(x, w, b))
    return f.linear(x, *last)


def torch_vgg_small(torch, p, x):
    f, weights = torch.nn.functional, iter(p.values())
    for step in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M"):
        if step == "M":
            x = f.max_pool2d(x, 2)
            continue
        x = f.conv2d(x, next(weights).permute(0, 3, 1, 2), padding=1)
        x = torch.relu(f.batch_norm(x, None, None, next(weights), next(weights), training=True))
    return f.linear(x.mean(dim=(2, 3)), next(weights), next(weights))


def torch_resnet20(torch, p, x):
    f = torch.nn.functional

    def conv(x, name, stride=1):
        return f.conv2d(x, p[f"{name}.weight"].permute(0, 3, 1, 2), stride=stride, padding=1)

    def norm(x, name):
        return f.batch_norm(x, None, None, p[f"{name}.weight"], p[f"{name}.bias"], training=True)

    x = torch.relu(norm(conv(x, "0"), "1"))
    for block in range(9):
        body, stride = f"{3 + 2 * block}.body", 2 if block in (3, 6) else 1
        y = torch.relu(norm(conv(x, f"{body}.0", stride), f"{body}.1"))
        y = norm(conv(y, f"{body}.3"), f"{body}.4")
        if stride == 2:
            zeros = torch.zeros_like(y[:, : x.shape[1] // 2])
            x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], dim=1)
        x = torch.relu(x + y)
    return f.linear(x.mean(dim=(2, 3)), p["22.weight"], p["22.bias"])


@pytest.mark.parametrize(
    ("name", "shape", "theirs"),
    [
        ("mlp", (2, 3, 2), partial(torch_small, paddings=())),
        ("lenet5", (15, 12, 3), partial(torch_small, paddings=(2, 0))),
        ("mnist_cnn", (7, 5, 3), partial(torch_small, paddings=(1, 1))),
        ("vgg_small", (9, 8, 3), torch_vgg_small),
        ("resnet20", (9, 8, 3), torch_resnet20),
    ],
)
def test_whole_networks_agree_with_pytorch(rng, name, shape, theirs):
    """Logits and every gradient of the same network from PyTorch's functions, in float64 and in training."""
    torch = pytest.importorskip("torch")
    with xpcnn.use_backend("numpy"):
        net = models.build(name, shape, 4, rng=0).astype("float64")
    state = {key: array + 0.1 * rng.normal(size=array.shape) for key, array in net.parameters().items()}
    net.load_state_dict(state, strict=False)  # biases, γ and β that are not all 0 and 1
    x, dy = rng.normal(size=(3, *shape)), rng.normal(size=(3, 4))
    y, cache = net.forward(x)
    dx, grads = net.backward(dy, cache)
    tensors = {key: torch.tensor(array, requires_grad=True) for key, array in state.items()}
    x_t = torch.tensor(x, requires_grad=True)
    y_t = theirs(torch, tensors, x_t.permute(0, 3, 1, 2))
    y_t.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dx, x_t.grad.numpy(), rtol=1e-8, atol=1e-8)
    assert grads.keys() == tensors.keys()
    for key, gradient in grads.items():
        np.testing.assert_allclose(gradient, tensors[key].grad.numpy(), rtol=1e-8, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("name", ["mlp", "lenet5", "mnist_cnn"])
def test_gradients_of_the_smallest(xp, rng, name):
    shape = (SMALLEST[name],) * 2 + (1,)
    model = models.build(name, shape, 3, rng=0)
    report = xpcnn.gradcheck(model, xp.array(rng.normal(size=(2, *shape))), directions=2)
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", *model.parameters()}


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_lowers_the_loss_by_what_the_gradient_promises(xp, rng, name):
    """L(θ − ηg) = L(θ) − η|g|² + O(η²): a step of the promise 1e-4 keeps it to a hundredth."""
    model, criterion = models.build(name, TRAINED[name], 3, rng=0).astype("float64"), CrossEntropyLoss()
    _, x = xp.normal(rng, 6, *TRAINED[name])
    target = xp.array([0, 1, 2, 0, 1, 2])

    def loss():
        y, cache = model.forward(x)
        value, loss_cache = criterion.forward(y, target)
        return float(value), cache, loss_cache

    before, cache, loss_cache = loss()
    dx, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
    assert dx is None
    assert grads.keys() == model.parameters().keys()
    promise = sum(float(np.sum(xpcnn.to_numpy(gradient) ** 2)) for gradient in grads.values())
    SGD(model.parameters(), lr=1e-4 / promise).step(grads)
    assert before - loss()[0] == pytest.approx(1e-4, rel=0.01)


@pytest.mark.parametrize("name", TRAINED)
def test_steps_in_float32_learn_a_batch_by_heart(xp, rng, name):
    model, criterion = models.build(name, TRAINED[name], 3, rng=0), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), lr=0.003, momentum=0.9)
    _, x = xp.normal(rng, 6, *TRAINED[name], dtype="float32")
    target = xp.array([0, 1, 2, 0, 1, 2])
    losses = []
    for _ in range(10):
        y, cache = model.forward(x)
        value, loss_cache = criterion.forward(y, target)
        losses.append(float(value))
        optimizer.step(model.backward(criterion.backward(loss_cache), cache, input_grad=False)[1])
    assert losses[-1] < 0.7 * losses[0], losses
