"""What all implementations of activations have in common: names, options and checks.

    y = f(x),   dx = dy · f′                                                                     (1)

Backward needs x or y, of which the cache refers to one, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from ..ops.check import check_gradient, check_items
from ..typing import Array, Cache

NAMES = {
    "relu": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU", "selu": "SELU", "sigmoid": "Sigmoid", "tanh": "Tanh",
    "gelu": "GELU", "gelu_tanh": "GELU", "silu": "SiLU", "softplus": "Softplus", "clip": "Clip", "relu6": "ReLU6",
    "hard_sigmoid": "HardSigmoid", "hard_swish": "HardSwish", "mish": "Mish", "softsign": "Softsign", "celu": "CELU",
}  # fmt: skip
OPTIONS: dict[str, dict[str, float]] = {
    "leaky_relu": {"negative_slope": 0.01},
    "elu": {"alpha": 1.0},
    "celu": {"alpha": 1.0},
    "clip": {"low": -math.inf, "high": math.inf},
    "hard_sigmoid": {"alpha": 1 / 6, "beta": 0.5},
}


def checked(
    op: str,
    refuses_array: Callable[[Any], str | None],
    value: Callable[..., Any],
    gradient: Callable[..., Any],
    *,
    keeps: str,
) -> tuple[Callable[..., str | None], Callable[..., tuple[Array, Cache]], Callable[[Array, Cache], Array]]:
    """`refuses`, `forward` and `backward` of an implementation, with the operation's own options.

    Parameters
        value : called with x and the options' numbers, returns y
        gradient : called with dy, x or y, and the numbers, returns dx
        keeps : "x" or "y"
    """
    who, options = NAMES[op], OPTIONS.get(op, {})

    def refuses(x: Any, **given: Any) -> str | None:
        for name, number in given.items():
            if type(number) not in (int, float) or number != number or (name == "alpha" and number < 0):
                return f"{name} is {number!r}"
        return refuses_array(x)

    def forward(x: Array, **given: float) -> tuple[Array, Cache]:
        largest = float(check_items(who, x).finfo(x.dtype).max)
        asked = (options | given).values()
        numbers = [each if abs(each) <= largest else math.copysign(math.inf, each) for each in asked]
        y = value(x, *numbers)  # (N, …)                                                             (1)
        return y, (y if keeps == "y" else x, numbers)

    def backward(dy: Array, cache: Cache) -> Array:
        kept, numbers = cache
        check_gradient(who, dy, kept.shape, kept)
        dx: Array = gradient(dy, kept, *numbers)  # (1)
        return dx

    named = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in options.items()]
    signature = Signature([Parameter("x", Parameter.POSITIONAL_OR_KEYWORD), *named])
    for function in (forward, refuses):
        vars(function)["__signature__"] = signature
    return refuses, forward, backward
