"""`input_grad=False` saves its work: every layer, operation and implementation returns no dx, and computes none.

The parameters' gradients need no parameter, dx needs them all. So a parameter that raises when it is read shows whether
dx is computed.
"""

from __future__ import annotations

import inspect
from importlib.util import find_spec

import numpy as np
import pytest

import xpcnn
from xpcnn import nn, ops
from xpcnn.nn.hooks import Hooks, with_hooks
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.ops import Window, dispatch

from .arrays import assert_close
from .nn.test_layer import Scale


class Touched(Exception):
    """A parameter was read."""


class Untouchable(np.ndarray):
    """An array of which only the shape may be read."""

    def __array_ufunc__(self, *args, **options):
        raise Touched

    def __array_function__(self, *args, **options):
        raise Touched


def without(cache, parameters):
    """The cache with its parameters replaced, and the number of replacements."""
    if isinstance(cache, tuple | list):
        found = [without(each, parameters) for each in cache]
        parts = [each for each, _ in found]
        made = type(cache)(*parts) if hasattr(cache, "_fields") else type(cache)(parts)
        return made, sum(count for _, count in found)
    if isinstance(cache, dict):
        found = {key: without(each, parameters) for key, each in cache.items()}
        return {key: each for key, (each, _) in found.items()}, sum(count for _, count in found.values())
    if isinstance(cache, np.ndarray) and any(np.shares_memory(cache, each) for each in parameters):
        return cache.view(Untouchable), 1
    return cache, 0


def same_but_for_dx(full, part):
    """(dx, dw, …) and (None, dw, …)."""
    assert part[0] is None
    assert full[0] is not None
    assert len(part) == len(full)
    for one, other in zip(full[1:], part[1:], strict=True):
        assert (one is None) is (other is None)
        if one is not None:
            assert_close(other, xpcnn.to_numpy(one))


NETWORKS = {
    "batch norm and ReLU": lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()),
    "batch norm and ReLU of rows": lambda: nn.Sequential(nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.MaxPool2d(2)),
    "nothing trained": lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    "nothing": lambda: nn.Sequential(),
    "trained after others": lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(4, 2, 3, rng=0), nn.Tanh(), nn.PReLU(2)),
    "residual": lambda: nn.Residual(nn.Conv2d(4, 4, 1, rng=0)),
    "residual around nothing trained": lambda: nn.Residual(nn.Tanh(), nn.Conv2d(4, 4, 1, rng=0)),
    "concat": lambda: nn.Concat(nn.Identity(), nn.Conv2d(4, 4, 1, rng=0)),
    "one's own": lambda: nn.Sequential(Scale(), nn.Tanh()),
    "with hooks": lambda: nn.Sequential(nn.Conv2d(4, 2, 3, rng=0), nn.ReLU()),
    "in inference": lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 3, rng=0)),
}


@pytest.mark.parametrize("name", [*EXAMPLES, *NETWORKS])
def test_no_layer_returns_dx(xp, name):
    if name in EXAMPLES:
        layer, x = EXAMPLES[name]()
    else:
        layer, x = NETWORKS[name](), np.random.default_rng(0).normal(size=(3, 6, 5, 4))
    layer.astype("float64").to_backend()
    if name.startswith("with hooks"):
        layer = with_hooks(layer, Hooks())
    if name.startswith("in inference"):
        layer = nn.eval_mode(layer)
    y, cache = layer.forward(xp.array(x))
    dy = xp.array(np.random.default_rng(1).normal(size=tuple(y.shape)))
    dx, grads = layer.backward(dy, cache)
    none, same = layer.backward(dy, cache, input_grad=False)
    assert none is None
    assert tuple(dx.shape) == x.shape
    assert list(same) == list(grads)
    for key, gradient in grads.items():
        assert_close(same[key], xpcnn.to_numpy(gradient))


DEPTHWISE = lambda r: ((r(9, 8, 8, 8), r(8, 3, 3, 1), r(8)), {"window": Window(3, padding=1), "groups": 8})  # noqa: E731
POINTWISE = lambda r: ((r(9, 8, 8, 8), r(8, 1, 1, 8), r(8)), {"window": Window(1)})  # noqa: E731
SPECIAL = {
    ("conv2d", "numba depthwise"): DEPTHWISE,
    ("conv2d", "depthwise"): DEPTHWISE,
    ("conv2d", "pointwise"): POINTWISE,
}  # what runs only for these kernels
CALLS = {  # for every operation whose backward takes `input_grad`
    "conv2d": lambda r: ((r(9, 8, 8, 8), r(8, 3, 3, 8), r(8)), {"window": Window(3, padding=1)}),
    "conv_transpose2d": lambda r: ((r(2, 4, 4, 3), r(3, 3, 3, 2), r(2)), {"window": Window(3, padding=1)}),
    "linear": lambda r: ((r(9, 5), r(3, 5), r(3)), {}),
    "batch_norm": lambda r: ((r(9, 4, 4, 3), r(3), r(3)), {"eps": 1e-5}),
    "batch_norm_relu": lambda r: ((r(9, 4, 4, 3), r(3), r(3)), {"eps": 1e-5}),
    "batch_norm_add": lambda r: ((r(9, 4, 4, 3), r(9, 4, 4, 3), r(3), r(3)), {"eps": 1e-5, "relu": True}),
    "layer_norm": lambda r: ((r(9, 4, 3), r(3), r(3)), {"axes": 1}),
    "group_norm": lambda r: ((r(9, 4, 4), r(4), r(4)), {"groups": 2}),
    "scale": lambda r: ((r(9, 4), r(4), r(4)), {}),
    "prelu": lambda r: ((r(9, 4), r(4)), {}),
}


NAMES = {*dispatch.names()} - {"cuda", *([] if find_spec("numba") else ["numba"])}


def _label(implementation):
    """Its name; convolution has several compiled ones."""
    own = implementation.forward.__module__.rpartition(".")[2]
    return f"numba {own}" if implementation.name == "numba" else implementation.name


def pairs():
    """(operation, implementation, forward, backward) of each pair, public or fast on NumPy, that takes `input_grad`."""
    every = {(op, _label(each)): (each.forward, each.backward) for op in dispatch.operations()
             for each in dispatch.implementations(op) if each.backward is not None and each.name in NAMES}  # fmt: skip
    for name in ops.__all__:
        if name.endswith("_backward"):
            op = name.removesuffix("_backward")
            every[op, "reference"] = getattr(ops, f"{op}_forward"), getattr(ops, name)
    return [(op, name, *both) for (op, name), both in every.items()
            if "input_grad" in inspect.signature(both[1]).parameters]  # fmt: skip


PAIRS = pairs()


def test_every_operation_with_parameters_is_here():
    """Their gradients are (dx, d…), so they can be computed without dx."""
    assert {op for op, *_ in PAIRS} == set(CALLS)
    trained = {"w", "gamma", "slope"}
    for name in ops.__all__:
        parameters = inspect.signature(getattr(ops, name)).parameters if name.endswith("_forward") else ()
        if trained & set(parameters) and "target" not in parameters:  # the focal loss has another gamma
            assert name.removesuffix("_forward") in CALLS


COPIED_FIRST = {
    "depthwise": "depthwise._repeated",
    "pointwise": "pointwise._input_gradient",
    "taps": "taps._input_gradient",
    "tiles": "tiles._correlate",
    "rows": "rows.input_gradient",
    "im2col": "im2col._correlate_dx",
    "numba depthwise": "compiled.depthwise.sum_taps",
    "numba winograd": "compiled.winograd._correlate",
    "numba conv": "compiled.conv.conv_direct.input_gradient",
    "numba prelu": "compiled.prelu.sloped_gradients",
}  # the filters, for dx


@pytest.mark.parametrize(("op", "name", "forward", "backward"), PAIRS, ids=[f"{op}-{name}" for op, name, *_ in PAIRS])
def test_no_operation_computes_dx(rng, any_batch, monkeypatch, op, name, forward, backward):
    def touched(*args, **options):
        raise Touched

    call = SPECIAL.get((op, name), CALLS[op])
    args, options = call(lambda *shape: rng.normal(size=shape))
    y, cache, *_ = forward(*args, **options)
    dy = rng.normal(size=y.shape)
    same_but_for_dx(backward(dy, cache), backward(dy, cache, input_grad=False))
    poisoned, count = without(cache, args[1:])
    assert count >= 1
    if name in COPIED_FIRST:
        monkeypatch.setattr(f"xpcnn.kernels.{COPIED_FIRST[name]}", touched)
    backward(dy, poisoned, input_grad=False)
    with pytest.raises(Touched):
        backward(dy, poisoned)
