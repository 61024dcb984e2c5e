"""Random cases of every layer's and loss's gradient, against central differences, complex steps and adjoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

import xpcnn
from xpcnn import nn
from xpcnn.errors import GradientError
from xpcnn.gradient_check import Report, check_pair, gradcheck
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.loss_examples import EXAMPLES as LOSSES
from xpcnn.ops import dispatch

from .child import share
from .layers import Rng, random_layer
from .row import Effort, Row

RIGHT, WRONG, KINK = "agrees", "wrong gradient", "at a kink, where there is none"
OPTIONS: dict[str, Callable[[Rng, int], Any]] = {  # of losses, by their names; random ones for k classes
    "reduction": lambda rng, k: str(rng.choice(["mean", "sum"])),
    "weight": lambda rng, k: rng.uniform(0.5, 2, k) if rng.random() < 0.5 else None,
    "pos_weight": lambda rng, k: rng.uniform(0.5, 2, k) if rng.random() < 0.5 else None,
    "label_smoothing": lambda rng, k: float(rng.choice([0.0, 0.2])),
    "delta": lambda rng, k: float(rng.uniform(0.3, 2)),
    "gamma": lambda rng, k: float(rng.choice([0.0, 0.5, 2.0])),
    "ignore_index": lambda rng, k: 0 if rng.random() < 0.5 else None,
    "smooth": lambda rng, k: float(rng.uniform(0.1, 2)),
    "sigmoid": lambda rng, k: False,  # of labels; tests/ops/test_loss_positions.py tries the other
}
Check = Callable[[str, Rng], Report]
WITNESSES = ("central difference", "complex step", "adjoint identity")


def rows(effort: Effort) -> list[Row]:
    """A row for layers, one for losses."""
    return [_row("layers", tuple(EXAMPLES), _layer, effort), _row("losses", tuple(LOSSES), _loss, effort)]


def _row(kind: str, names: tuple[str, ...], check: Check, effort: Effort) -> Row:
    times = effort.times(2000, 40)
    what = f"{len(names)} {kind}, {times:,} random cases each, against {', '.join(WITNESSES)}"

    def made() -> Row:
        return Row(f"gradients of {kind}", what, (RIGHT, KINK), (RIGHT,))

    def count(name: str) -> Row:
        row = made()
        for number in range(times):
            try:
                report = check(name, effort.rng("gradients", name, number))
            except GradientError as error:
                row.add(KINK if "kink" in str(error) else WRONG, f"case {number}: {error}", part=name)
            else:
                row.add(RIGHT if report.passed else WRONG, f"case {number}: {report}", part=name)
        return row

    whole = made()
    whole.parts = names
    share([partial(count, name) for name in names], whole)
    return whole


def _layer(name: str, rng: Rng) -> Report:
    layer, x = random_layer(name, rng)
    implementations = (None, *dispatch.names())
    with xpcnn.use_implementation(implementations[rng.integers(len(implementations))]):
        return gradcheck(layer, x, directions=1, rng=rng)


def _loss(name: str, rng: Rng) -> Report:
    criterion, shape, target = random_loss(name, rng)

    def backward(dy: Any, cache: Any) -> tuple[Any]:
        return (criterion.backward(cache) * dy,)

    y = rng.normal(size=shape) * rng.choice([0.1, 1.0, 10.0])
    return check_pair(lambda y: criterion.forward(y, target), backward, {"y": y}, directions=1, rng=rng)


def random_loss(name: str, rng: Rng) -> tuple[nn.Loss, tuple[int, ...], Any]:
    """A criterion of random options, a shape of outputs, and targets for it."""
    k = int(rng.integers(2, 9))
    _, y, like = LOSSES[name]()
    shape = (*(int(size) for size in rng.integers(1, 9, y.ndim - 1)), k)
    kind = getattr(nn, name)
    criterion = kind(**{option: OPTIONS[option](rng, k) for option in signature(kind).parameters})
    if like.dtype.kind == "i":
        if name == "CrossEntropyLoss" and vars(criterion)["ignore_index"] is None and rng.random() < 0.5:
            return criterion, shape, rng.dirichlet(np.ones(k), shape[:-1])
        labels = rng.integers(0, k, shape[:-1])
        labels.flat[0] = 1  # not all are ignored
        return criterion, shape, labels
    unit = like.min() >= 0 and like.max() <= 1
    return criterion, shape, rng.uniform(size=shape) if unit else rng.normal(size=shape)
