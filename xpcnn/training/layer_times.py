"""The time of a training step, layer by layer: each layer's forward and backward, measured."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ..backend import synchronize
from ..nn import CrossEntropyLoss, Hooks, Layer, with_hooks
from ..nn.loss import Loss, check_loss
from ..options import as_count
from ..table import Table, Tabular, columns
from ..typing import Array, Cache, Shape
from .gradients import batch_gradients
from .training_state import unchanged


@dataclass(frozen=True)
class LayerTime:
    """A layer's share of a training step, in milliseconds.

    >>> LayerTime("0", "Conv2d", (8, 8, 4), forward=0.2, backward=0.5, share=0.7).kind
    'Conv2d'
    """

    name: str  # dotted; "" for a row that is no layer
    kind: str
    output_shape: Shape  # of one item
    forward: float
    backward: float
    share: float  # of the whole step, layer by layer


@dataclass(frozen=True, repr=False)
class Profile(Tabular):
    """The time of a training step, layer by layer; it prints as a table.

    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> (x, y), *_ = Loader(digits().train, 64)
    >>> print(str(profile(mlp((8, 8, 1), 10, rng=0), x, y, repeats=1)).split()[:3])
    ['Layer', 'Output', 'Forward']
    """

    layers: tuple[LayerTime, ...]
    step: float  # milliseconds of a normal step, in which neighbours may be fused

    def table(self) -> Table:
        """One row per layer."""
        header = ("Layer", "Output", "Forward ms", "Backward ms", "Share")
        body = [
            (
                f"{row.name} {row.kind}".strip(),
                str(row.output_shape) if row.output_shape else "",
                f"{row.forward:.3f}",
                f"{row.backward:.3f}",
                f"{row.share:.1%}",
            )
            for row in self.layers
        ]
        forward, backward = sum(row.forward for row in self.layers), sum(row.backward for row in self.layers)
        total = ("Total", "", f"{forward:.3f}", f"{backward:.3f}", "100.0%")
        table = columns(header, body, total, left=(0, 1))
        return table.and_line(f"forward and backward of the network as it trains: {self.step:.3f} ms")


def profile(model: Layer, x: Array, y: Array, criterion: Loss | None = None, *, repeats: int = 10) -> Profile:
    """Time each layer's forward and backward on a batch; the model is unchanged afterwards.

    The layers run one by one, and a device is waited for after each. In training, neighbours may be fused
    (`xpcnn.nn.fusion`), so the sum of the layers differs from the time of a step, which is shown below the table. A
    layer that occurs several times has one row with the sum of its times.

    Parameters
        x, y : a batch from a loader
        criterion : None for cross-entropy
        repeats : the number of runs, after one warm-up run; the times are their medians
    Returns
        one row per layer, and two more: the criterion, and the work of the containers between the layers
    Raises
        OptionError : `repeats` is no integer ≥ 1

    >>> from xpcnn import data, models
    >>> (x, y), *_ = data.Loader(data.digits().train, 64)
    >>> times = profile(models.build("mlp", (8, 8, 1), 10, rng=0), x, y, repeats=2)
    >>> [row.kind for row in times.layers]
    ['Flatten', 'Linear', 'ReLU', 'Linear', 'CrossEntropyLoss', 'between the layers']
    """
    as_count("profile", "repeats", repeats)
    criterion = CrossEntropyLoss() if criterion is None else criterion
    check_loss("profile", criterion)
    hooks = _Times()
    layers = with_hooks(model, hooks)
    runs: list[dict[tuple[str, str], float]] = []
    whole: list[float] = []
    with unchanged(model), np.errstate(over="ignore", invalid="ignore"):
        for _ in range(repeats + 1):
            whole.append(_timed(lambda: batch_gradients(model, criterion, x, y))[1])
            runs.append(_layer_by_layer(layers, criterion, x, y, hooks))
    times = {key: 1000 * median(run[key] for run in runs[1:]) for key in runs[0]}
    total = sum(times.values())
    rows = []
    for key, (name, kind, shape) in (hooks.layers | _others(criterion)).items():
        forward, backward = times[key, "forward"], times.get((key, "backward"), 0.0)
        rows.append(LayerTime(name, kind, shape, forward, backward, (forward + backward) / total))
    return Profile(tuple(rows), 1000 * median(whole[1:]))


class _Times(Hooks):
    def __init__(self) -> None:
        self.layers: dict[str, tuple[str, str, Shape]] = {}  # name, kind, output
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)

    def forward(self, name: str, layer: Layer, x: Array) -> tuple[Array, Cache]:
        (y, cache), seconds = _timed(lambda: layer.forward(x))
        self.layers[name] = (name, type(layer).__name__, tuple(y.shape[1:]))
        self.seconds[name, "forward"] += seconds
        return y, cache

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        result: tuple[Array | None, dict[str, Array]]
        result, seconds = _timed(lambda: layer.backward(dy, cache, input_grad=input_grad))
        self.seconds[name, "backward"] += seconds
        return result


# Keys of rows that are no layers: no layer's dotted name has a space.
CRITERION, BETWEEN = "the criterion", "between the layers"


def _others(criterion: Loss) -> dict[str, tuple[str, str, Shape]]:
    return {CRITERION: ("", type(criterion).__name__, ()), BETWEEN: ("", BETWEEN, ())}


def _layer_by_layer(layers: Layer, criterion: Loss, x: Array, y: Array, hooks: _Times) -> dict[tuple[str, str], float]:
    """Seconds of each layer, forward and backward, in one step."""
    hooks.seconds.clear()
    (logits, cache), forward = _timed(lambda: layers.forward(x))
    (_, loss_cache), loss_forward = _timed(lambda: criterion.forward(logits, y))
    dy, loss_backward = _timed(lambda: criterion.backward(loss_cache))
    _, backward = _timed(lambda: layers.backward(dy, cache, input_grad=False))
    seconds = dict(hooks.seconds)
    for direction, all_of_it in (("forward", forward), ("backward", backward)):
        inside = sum(each for (_, own), each in seconds.items() if own == direction)
        seconds[BETWEEN, direction] = max(all_of_it - inside, 0.0)
    return seconds | {(CRITERION, "forward"): loss_forward, (CRITERION, "backward"): loss_backward}


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """The call's result and its seconds, including a device's work."""
    synchronize()
    begun = time.perf_counter()
    result = call()
    synchronize()
    return result, time.perf_counter() - begun
