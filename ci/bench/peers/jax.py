"""JAX: the whole step is one jit-compiled function, images (N, H, W, C)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import LEARNING_RATE, MOMENTUM, Arrays, Document, Net
from ..wiring import Wiring
from .base import Peer, Training

Values = dict[str, jax.Array]
Function = Callable[[Values, Values, Any, bool], tuple[jax.Array, Values]]  # → y, new running statistics


class Jax(Peer):
    package = "jax"

    def training(self, net: Net) -> Training:
        return _Training(net)

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        function = _build(net.document)
        parameters, statistics = _values(net)
        run = jax.jit(lambda x: function(parameters, statistics, x, False)[0])
        x = jnp.asarray(net.x)
        return lambda: np.asarray(run(x).block_until_ready())

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        raise NotPossible("networks only")


class _Training(Training):
    def __init__(self, net: Net) -> None:
        self.net = net
        self.x, self.y = jnp.asarray(net.x), jnp.asarray(net.y)
        function = _build(net.document)

        def loss_of(parameters: Values, statistics: Values, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Values]:
            logits, statistics = function(parameters, statistics, x, True)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
            return -chosen.mean(), statistics

        def step(state: Any, x: jax.Array, y: jax.Array) -> Any:
            parameters, velocity, statistics = state
            (loss, statistics), grads = jax.value_and_grad(loss_of, has_aux=True)(parameters, statistics, x, y)
            velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, grads)
            parameters = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, parameters, velocity)
            return loss, (parameters, velocity, statistics)

        self.compiled = jax.jit(step, donate_argnums=0)
        self.restart()

    def parameter_count(self) -> int:
        return sum(math.prod(value.shape) for value in self.state[0].values())

    def restart(self) -> None:
        parameters, statistics = _values(self.net)
        self.state = (parameters, jax.tree.map(jnp.zeros_like, parameters), statistics)

    def step(self) -> float:
        loss, self.state = self.compiled(self.state, self.x, self.y)
        jax.block_until_ready(self.state)
        return float(loss)


def _values(net: Net) -> tuple[Values, Values]:
    """Parameters and running statistics; convolutions' weights as (KH, KW, Cin, Cout), which XLA takes as it is."""
    parameters: Arrays = {}
    statistics: Arrays = {}
    for name, array in net.weights.items():
        of = statistics if name.endswith(("running_mean", "running_var")) else parameters
        of[name] = array.transpose(1, 2, 3, 0) if array.ndim == 4 else array
    return tuple({name: jnp.array(array) for name, array in each.items()} for each in (parameters, statistics))  # type: ignore[return-value]


def _build(d: Document) -> Function:
    children = {name: _build(child) for name, child in d.get("children", {}).items()}
    name = d["name"]
    if d["type"] == "Sequential":
        return _sequential(list(children.values()))
    if d["type"] == "Graph":
        return _graph(Wiring(d), children)
    if d["type"] == "Residual":
        return _residual(children["body"], children.get("shortcut"))
    if d["type"] == "BatchNorm2d":
        return _batch_norm(name, d["eps"], d["momentum"])
    plain = _plain(d)
    return lambda p, s, x, train: (plain(p, x), s)


def _plain(d: Document) -> Callable[[Values, jax.Array], jax.Array]:
    """Layers without running statistics."""
    name = d["name"]
    match d["type"]:
        case "Conv2d":
            pads = [(d["padding"],) * 2] * 2

            def conv(p: Values, x: jax.Array) -> jax.Array:
                y = lax.conv_general_dilated(
                    x,
                    p[f"{name}.weight"],
                    d["stride"],
                    pads,
                    rhs_dilation=d["dilation"],
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                    feature_group_count=d["groups"],
                )
                return y + p[f"{name}.bias"] if d["bias"] else y

            return conv
        case "Linear":
            return lambda p, x: x @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        case "ReLU":
            return lambda p, x: jax.nn.relu(x)
        case "ReLU6":
            return lambda p, x: jax.nn.relu6(x)
        case "Add":
            return lambda p, x: x[0] + x[1]
        case "Dropout" if d["p"] == 0:
            return lambda p, x: x
        case "MaxPool2d":
            kernel, stride = (1, *d["kernel_size"], 1), (1, *d["stride"], 1)
            padding = ((0, 0), (d["padding"],) * 2, (d["padding"],) * 2, (0, 0))
            return lambda p, x: lax.reduce_window(x, -jnp.inf, lax.max, kernel, stride, padding)
        case "AvgPool2d" if d["kernel_size"] == [1, 1] and not d["padding"]:
            rows, columns = d["stride"]
            return lambda p, x: x[:, ::rows, ::columns]
        case "GlobalAvgPool2d":
            return lambda p, x: x.mean((1, 2))
        case "ZeroPadChannels":
            widths = [(0, 0), (0, 0), (0, 0), (d["before"], d["after"])]
            return lambda p, x: jnp.pad(x, widths)
        case "Flatten":
            return lambda p, x: x.reshape(len(x), -1)
    raise NotPossible(f"no {d['type']} in this benchmark's JAX")


def _sequential(children: list[Function]) -> Function:
    def run(p: Values, s: Values, x: jax.Array, train: bool) -> tuple[jax.Array, Values]:
        for child in children:
            x, s = child(p, s, x, train)
        return x, s

    return run


def _residual(body: Function, shortcut: Function | None) -> Function:
    def run(p: Values, s: Values, x: jax.Array, train: bool) -> tuple[jax.Array, Values]:
        around, s = shortcut(p, s, x, train) if shortcut else (x, s)
        y, s = body(p, s, x, train)
        return y + around, s

    return run


def _graph(wiring: Wiring, children: dict[str, Function]) -> Function:
    def run(p: Values, s: Values, x: Any, train: bool) -> tuple[jax.Array, Values]:
        def call(name: str, x: Any) -> jax.Array:
            nonlocal s
            y, s = children[name](p, s, x, train)
            return y

        return wiring.run(x, call), s

    return run


def _batch_norm(name: str, eps: float, momentum: float) -> Function:
    mean_name, var_name = f"{name}.running_mean", f"{name}.running_var"

    def run(p: Values, s: Values, x: jax.Array, train: bool) -> tuple[jax.Array, Values]:
        mean, var = s[mean_name], s[var_name]
        if train:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            count = math.prod(x.shape[:-1])
            s = s | {
                mean_name: (1 - momentum) * s[mean_name] + momentum * mean,
                var_name: (1 - momentum) * s[var_name] + momentum * count / (count - 1) * var,
            }
        scale = p[f"{name}.weight"] * lax.rsqrt(var + eps)
        return (x - mean) * scale + p[f"{name}.bias"], s

    return run
