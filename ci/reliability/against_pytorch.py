"""Random cases of layers, losses and optimizers against PyTorch, in float64 and float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from xpcnn import optim
from xpcnn.nn import Layer

from .gradients import random_loss
from .layers import Rng, random_layer
from .pytorch_layers import FUNCTIONS
from .row import Effort, Row, not_tried

NAME = "agreement with PyTorch"
AGREES, DIFFERS = "agrees", "differs"
LIMITS = {"float64": 1e-11, "float32": 2e-5}  # of the difference, divided by the largest number (at least 1)
STEPS = 20  # of an optimizer

LOSSES = {  # PyTorch's functions
    "MSELoss": "mse_loss", "L1Loss": "l1_loss", "HuberLoss": "huber_loss", "CrossEntropyLoss": "cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "NLLLoss": "nll_loss", "HingeLoss": "multi_margin_loss",
}  # fmt: skip
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {  # PyTorch's classes, and options
    "SGD": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "AdaGrad": ("Adagrad", {}),
    "RMSProp": ("RMSprop", {"momentum": 0.5}),
    "Adadelta": ("Adadelta", {}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {}),
}

# Losses and optimizers that PyTorch lacks, and their other witness.
WITHOUT = dict.fromkeys(("FocalLoss", "DiceLoss"), "tests/reference_loss.py")

Pairs = Iterator[tuple[Any, Any]]  # of numbers: ours, theirs


def rows(effort: Effort) -> list[Row]:
    """One row: outputs and all gradients, and the parameters after some steps."""
    times = effort.times(60, 3)
    parts = (*FUNCTIONS, *LOSSES, *OPTIMIZERS)
    what = f"{len(parts)} layers, losses and optimizers, {times} random cases each in float64 and in float32"
    if find_spec("torch") is None:
        return [not_tried(NAME, what, "PyTorch is not installed")]
    row = Row(NAME, what, (AGREES,), (AGREES,), parts)
    for name in parts:
        for number in range(times):
            for dtype in LIMITS:
                error = _largest(name, partial(effort.rng, "PyTorch", name, number), dtype)
                outcome = AGREES if error <= LIMITS[dtype] else DIFFERS
                row.add(outcome, f"case {number} in {dtype}: by {error:.1e}", part=name)
    return [row]


def _largest(name: str, rng: Callable[[], Rng], dtype: str) -> float:
    """The largest error of a case. If float32 differs, PyTorch's float64 decides which is wrong."""
    error = max(_error(a, b) for a, b in _case(name, rng(), dtype, dtype))
    if dtype == "float32" and LIMITS[dtype] < error < float("inf"):
        error = max(_error(a, b.float()) for a, b in _case(name, rng(), dtype, "float64"))
    return error


def _case(name: str, rng: Rng, dtype: str, theirs: str) -> Pairs:
    """The same numbers, computed in one dtype by xpcnn and in another by PyTorch."""
    if name in FUNCTIONS:
        layer, x = random_layer(name, rng)
        layer.astype(dtype)
        return _layer(name, layer, x.astype(dtype), rng, theirs)
    return (_loss if name in LOSSES else _optimizer)(name, rng, dtype, theirs)


def _tensor(array: Any, dtype: str, *, requires_grad: bool = True) -> Any:
    import torch

    made = torch.tensor(np.array(array))
    return made.to(getattr(torch, dtype)).requires_grad_(requires_grad) if made.is_floating_point() else made


def _error(ours: Any, theirs: Any) -> float:
    a, b = np.asarray(ours), np.asarray(theirs.detach().numpy())
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    error = np.max(np.abs(a - b), initial=0.0) / max(1.0, np.max(np.abs(b), initial=0.0))
    return float(error) if np.isfinite(error) else float("inf")


def _layer(name: str, layer: Layer, x: Any, rng: Rng, theirs: str) -> Pairs:
    import torch

    for array in layer.parameters().values():
        array += 0.1 * rng.normal(size=array.shape).astype(array.dtype)
    x_t = _tensor(x, theirs)
    parameters = {key: _tensor(array, theirs) for key, array in layer.parameters().items()}
    y_t = FUNCTIONS[type(layer).__name__](torch, layer, x_t, parameters)  # joins are tested within a Graph
    y, cache = layer.forward(x)
    yield y, y_t
    dy = rng.normal(size=y.shape).astype(y.dtype)
    dx, grads = layer.backward(dy, cache)
    y_t.backward(_tensor(dy, theirs, requires_grad=False))
    yield dx, x_t.grad
    for key, tensor in parameters.items():
        yield grads[key], tensor.grad


def _loss(name: str, rng: Rng, dtype: str, theirs: str) -> Pairs:
    import torch

    criterion, shape, target = random_loss(name, rng)
    if target.dtype.kind == "f":
        target = target.astype(dtype)
    y = (rng.normal(size=shape) * rng.choice([0.1, 1.0, 30.0])).astype(dtype)
    y_t = _tensor(y, theirs)
    fixed = partial(_tensor, dtype=theirs, requires_grad=False)
    options = {
        key: fixed(np.asarray(value, dtype)) if key in ("weight", "pos_weight") else value
        for key, value in vars(criterion).items()
        if value is not None
    }
    loss_t = getattr(torch.nn.functional, LOSSES[name])(y_t, fixed(target), **options)
    loss, cache = criterion.forward(y, target)
    yield loss, loss_t
    loss_t.backward()
    yield criterion.backward(cache), y_t.grad


def _optimizer(name: str, rng: Rng, dtype: str, theirs: str) -> Pairs:
    import torch

    their_name, own = OPTIMIZERS[name]
    options: dict[str, Any] = {
        "lr": float(10 ** rng.uniform(-3, -1)),
        "weight_decay": float(rng.choice([0.0, 0.01])),
        **own,
    }
    p = rng.normal(size=(5, 4)).astype(dtype)
    p_t = torch.nn.Parameter(_tensor(p, theirs))
    ours = getattr(optim, name)({"p": p}, **options)
    other = getattr(torch.optim, their_name)([p_t], foreach=False, **options)
    for _ in range(STEPS):
        g = (rng.normal(size=p.shape) * 10 ** rng.uniform(-3, 1)).astype(dtype)
        ours.step({"p": g})
        p_t.grad = _tensor(g, theirs, requires_grad=False)
        other.step()
    yield p, p_t
