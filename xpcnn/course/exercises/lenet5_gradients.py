"""LeNet-5 from one's own parts, which then trains."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import data, models, nn
from ...backend import to_numpy, use_backend
from ...data.registry import KNOWN
from ...errors import XpcnnError
from ...ops import Window, conv2d_backward, conv2d_forward, max_pool2d_backward, max_pool2d_forward
from ...optim import Adam
from ...training import evaluate
from ...typing import NDArray
from ..exercise import Case, Exercise, Function, Line, Mistake, Pair, Unfinished
from ..plain import drawn

_STEPS, _FEWEST, _BATCH = 200, 20, 16
_ENOUGH = 0.7  # accuracy; a network that guesses has 0.1


def _model(x: NDArray, params: Mapping[str, NDArray]) -> nn.Sequential:
    model = models.lenet5(x.shape[1:], 10, rng=0).astype(str(x.dtype))
    model.load_state_dict(params)
    return model


def _right(x: NDArray, labels: NDArray, params: Mapping[str, NDArray]) -> Any:
    model, criterion = _model(x, params), nn.CrossEntropyLoss()
    logits, cache = model.forward(x)
    loss, loss_cache = criterion.forward(logits, labels)
    grads = model.backward(criterion.backward(loss_cache), cache)[1]
    return loss, {name: grads[name] for name in params}


def _pair(function: Function, x: NDArray, labels: NDArray, params: Mapping[str, NDArray]) -> Pair:
    def forward(*arrays: NDArray) -> Any:
        return _right(x, labels, dict(zip(params, arrays, strict=True)))[0], dict(zip(params, arrays, strict=True))

    def backward(dy: NDArray, cache: Any) -> list[NDArray]:
        grads = function(x, labels, cache)[1]
        return [dy * grads[name] for name in cache]

    return forward, backward, dict(params)


def _cases() -> list[Case]:
    with use_backend("numpy"):
        made = models.lenet5((12, 12, 1), 10, rng=3).parameters()
    params = {name: to_numpy(p).astype("float64") + 0.05 * drawn(5, *p.shape) for name, p in made.items()}
    return [
        Case("one image", {"x": drawn(0, 1, 12, 12, 1), "labels": np.array([3]), "params": params}),
        Case("two images", {"x": drawn(1, 2, 12, 12, 1), "labels": np.array([9, 0]), "params": params}),
    ]


def _with(
    relu: tuple[str, ...] = ("1", "4", "8", "10"), *, order: str = "NHWC", mean: bool = True, all_biases: bool = True
) -> Function:
    """The gradients by operations, with the masks of these ReLUs in backward."""

    def function(x: NDArray, labels: NDArray, params: Mapping[str, NDArray]) -> Any:
        p: Mapping[str, Any] = params
        a: Any
        dy: Any
        y: Any
        caches: dict[str, Any] = {}
        grads: dict[str, Any] = {}
        for conv, act, pad in (("0", "1", 2), ("3", "4", 0)):
            y, conv_cache = conv2d_forward(x, p[f"{conv}.weight"], p[f"{conv}.bias"], window=Window(5, padding=pad))
            a = np.maximum(y, 0)
            pooled, pool_cache = max_pool2d_forward(a, window=Window(2, 2))
            x = to_numpy(pooled)
            caches[conv] = act, conv_cache, y > 0, pool_cache
        shape, axes = x.shape, (0, 3, 1, 2) if order == "NCHW" else (0, 1, 2, 3)
        a = x.reshape(len(x), -1)
        inputs = {}
        for dense in ("7", "9", "11"):
            inputs[dense] = a
            y = a @ p[f"{dense}.weight"].T + p[f"{dense}.bias"]
            a = np.maximum(y, 0)
        e = np.exp(y - y.max(1, keepdims=True))
        prob = e / e.sum(1, keepdims=True)
        loss = -np.log(prob[np.arange(len(y)), labels]).mean()
        dy = (prob - np.eye(10)[labels]) / (len(y) if mean else 1)
        for dense, act in (("11", ""), ("9", "10"), ("7", "8")):
            if act in relu:
                dy = dy * (inputs[{"9": "11", "7": "9"}[dense]] > 0)
            grads |= {f"{dense}.weight": dy.T @ inputs[dense], f"{dense}.bias": dy.sum(0)}
            dy = dy @ p[f"{dense}.weight"]
        if order == "NCHW":
            dy = dy.reshape([shape[k] for k in axes]).transpose(0, 2, 3, 1)
        dy = dy.reshape(shape)
        for conv in ("3", "0"):
            act, conv_cache, mask, pool_cache = caches[conv]
            dy = max_pool2d_backward(dy, pool_cache)
            dy = dy * mask if act in relu else dy
            dy, grads[f"{conv}.weight"], grads[f"{conv}.bias"] = conv2d_backward(dy, conv_cache)
        return loss, {name: grads[name] if all_biases or "bias" not in name else 0 * grads[name] for name in p}

    return function


def _afterwards(function: Function, seconds: float) -> str:
    """Train on MNIST where it is on this machine and the answer is fast enough, else on the small digits.

    An answer in loops is too slow for all steps in half of the time. It takes as many as fit, and its loss must fall.
    """
    try:
        source = KNOWN["mnist"].source
        found = source is not None and all(source.find())
    except XpcnnError:
        found = False
    if found and (steps := _affordable(function, data.mnist(), 1, seconds)) == _STEPS:
        return _trained(function, data.mnist(), 1, steps)
    small = data.digits()
    return _trained(function, small, 2, _affordable(function, small, 2, seconds))


def _affordable(function: Function, dataset: data.Dataset, scale: int, seconds: float) -> int:
    """How many steps fit into half of the time."""
    started = time.perf_counter()
    _trained(function, dataset, scale, 1)
    return max(_FEWEST, min(_STEPS, int(seconds / 2 / (time.perf_counter() - started))))


def _trained(function: Function, dataset: data.Dataset, scale: int, steps: int) -> str:
    """Take steps with the gradients of the answer on enlarged images; evaluate if these are all steps."""
    height, width, channels = dataset.input_shape
    model = models.lenet5((scale * height, scale * width, channels), 10, rng=0)
    optimizer = Adam(model.parameters(), lr=0.003)
    loader = data.Loader(dataset.train, _BATCH, shuffle=True)
    batches: Any = (batch for epoch in range(_STEPS) for batch in loader.epoch(epoch))
    started, losses = time.perf_counter(), []
    for _, (x, labels) in zip(range(steps), batches, strict=False):
        x = x.astype("float64").repeat(scale, axis=1).repeat(scale, axis=2)
        loss, grads = function(
            x, labels, {name: to_numpy(p).astype("float64") for name, p in model.parameters().items()}
        )
        losses.append(float(loss))
        optimizer.step({name: np.asarray(grads[name], "float32") for name in model.parameters()})
    told = f"{steps} steps on {dataset.name} in {time.perf_counter() - started:.1f} s"
    if steps < _STEPS:
        before, after = (float(np.mean(some)) for some in (losses[:5], losses[-5:]))
        if steps > 1 and after >= before:
            raise Unfinished(f"{told}: the loss was to fall, and went from {before:.2f} to {after:.2f}")
        return f"{told}: loss {before:.2f} → {after:.2f}; exercise 16 is about speed"
    test = dataset.test.select(slice(0, 2000))
    accuracy = evaluate(nn.Sequential(nn.Upsample(scale), model), test).accuracy
    told += f": {accuracy:.1%} of {len(test)} test images are right"
    if accuracy < _ENOUGH:
        raise Unfinished(f"{told}; at least {_ENOUGH:.0%} was expected")
    return told


EXERCISE = Exercise(
    number=15,
    title="LeNet-5 from your own parts",
    text="""The whole network, with the functions that you have written (`course.own` gives yours where it has
been checked, and the library's where not). Forward is there; write backward, from the loss to the first
convolution, each step the reverse of one of forward's. A ReLU passes on dy where its input was above 0. A dense
layer y = x·wᵀ + b has dw = dyᵀ·x, db = Σ_n dy and dx = dy·w. When it is right, it trains 200 steps (fewer, if
your loops are slow): on MNIST, if it is on this machine, else on the digits inside xpcnn.""",
    formula="""conv 5×5 (6) → ReLU → max 2×2 → conv 5×5 (16) → ReLU → max 2×2 → flatten
→ dense 120 → ReLU → dense 84 → ReLU → dense 10 → softmax with cross-entropy
Each array: da = Σ over its uses of what each use passes back""",
    hint="""Go up the lines of forward. `d6 = dlogits @ params["11.weight"]` and `d6 * (h2 > 0)` are the way back
through the last dense layer and its ReLU. `d.reshape(p2.shape)` undoes the flattening. The sizes for `conv2d_dx`
are `x.shape[1:3]` and `p1.shape[1:3]`; the image itself needs no gradient.""",
    code='''import numpy as np
from xpcnn import course

conv2d_forward = course.own("conv2d_forward")
conv2d_db = course.own("conv2d_db")
conv2d_dw = course.own("conv2d_dw")
conv2d_dx = course.own("conv2d_dx")
max_pool_backward = course.own("max_pool_backward")
softmax_cross_entropy = course.own("softmax_cross_entropy")


def max_pool(x):
    """The largest of each 2×2 window."""
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def lenet5_gradients(x, labels, params):
    """x (N, H, W, 1), labels (N,), params {"0.weight": (6, 5, 5, 1), …} → loss, {"0.weight": its gradient, …}."""
    y1 = conv2d_forward(x, params["0.weight"], params["0.bias"], (1, 1), (2, 2))
    a1 = np.maximum(y1, 0)
    p1 = max_pool(a1)
    y2 = conv2d_forward(p1, params["3.weight"], params["3.bias"], (1, 1), (0, 0))
    a2 = np.maximum(y2, 0)
    p2 = max_pool(a2)
    flat = p2.reshape(len(x), -1)
    h1 = np.maximum(flat @ params["7.weight"].T + params["7.bias"], 0)
    h2 = np.maximum(h1 @ params["9.weight"].T + params["9.bias"], 0)
    logits = h2 @ params["11.weight"].T + params["11.bias"]
    loss, dlogits = softmax_cross_entropy(logits, labels)

    grads = {"11.weight": dlogits.T @ h2, "11.bias": dlogits.sum(axis=0)}
    ...
    return loss, grads
''',
    outputs={"loss": "", "grads": ""},
    cases=_cases,
    right=_right,
    pair=_pair,
    factors=lambda x, *_: {"N, the number of images": len(x)},
    mistakes=(
        Mistake("all ReLUs were left out in backward", _with(())),
        Mistake("the ReLUs of the convolutions were left out in backward", _with(("8", "10"))),
        Mistake("the ReLU of the first convolution were left out in backward", _with(("4", "8", "10"))),
        Mistake("the ReLUs of the dense layers were left out in backward", _with(("1", "4"))),
        Mistake("the gradient of the loss were not divided by N, the number of images", _with(mean=False)),
        Mistake("the biases had no gradient", _with(all_biases=False)),
    ),
    line=Line("nn.sequential", "Sequential.backward", (), "joining"),
    afterwards=_afterwards,
    seconds=60.0,
)
