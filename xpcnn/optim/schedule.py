"""Learning rates that change: `optimizer.lr = schedule.lr_at(step)` before each step.

`step` counts the batches trained on so far, over all epochs, from 0. For a schedule that changes by epochs,
multiply: `StepDecay(0.1, every=30 * len(loader))`. All are pure functions of the step, except `Plateau`: it also
depends on the values that `observe` receives, and keeps them in its `state_dict`.

    Constant      lr                                                                         (1)
    StepDecay     lr · factor^⌊step / every⌋                                                 (2)
    Exponential   lr · factor^(step / every)                                                 (3)
    Cosine        final + (lr − final) · (1 + cos(π·step/total)) / 2;  final after total     (4)
    WarmUp        inner(0) · (step + 1)/(steps + 1) for step < steps, then inner(step − steps)    (5)
    OneCycle      two cosines: up to max_lr over the first part of total, down over the rest      (6)
    Plateau       lr · factor^(number of times without improvement for too long)             (7)

Sources
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, 2016, equation 5    → (4)
    P. Goyal et al., Accurate, large minibatch SGD, 2017, section 2.2                                      → (5)
    L. Smith and N. Topin, Super-convergence, 2017                                                         → (6)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError, OptionError
from ..options import as_choice, as_count, as_number


class Schedule(ABC):
    """Base class of all schedules; your own defines `lr_at`.

    >>> class Halves(Schedule):
    ...     def lr_at(self, step):
    ...         return 0.1 * 0.5**step
    >>> [Halves().lr_at(step) for step in range(3)]
    [0.1, 0.05, 0.025]
    """

    @abstractmethod
    def lr_at(self, step: int) -> float:
        """The learning rate for batch number `step`, from 0."""

    def observe(self, value: float) -> None:  # noqa: B027 (optional to override)
        """Receive the validation's result, once per epoch; most schedules ignore it."""

    def state_dict(self) -> dict[str, Any]:
        """The observed values, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict()`.

        Raises
            FormatError : it belongs to another schedule
        """
        _check_state(self, state)


@dataclass(frozen=True)
class Constant(Schedule):
    """A constant rate, (1).

    >>> Constant(0.1).lr_at(1000)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        _as_numbers(self, lr="[0, inf)")

    def lr_at(self, step: int) -> float:
        return self.lr  # (1)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Multiply the rate by `factor` once every `every` steps, (2).

    >>> [StepDecay(1.0, every=2, factor=0.5).lr_at(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _as_numbers(self, lr="[0, inf)", factor="(0, inf)")
        _as_counts(self, "every")

    def lr_at(self, step: int) -> float:
        return self.lr * self.factor ** (step // self.every)  # (2)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the rate by `factor` over every `every` steps, a little at each step, (3).

    >>> Exponential(1.0, 0.25, every=2).lr_at(1)
    0.5
    """

    lr: float
    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        _as_numbers(self, lr="[0, inf)", factor="(0, inf)")
        _as_counts(self, "every")

    def lr_at(self, step: int) -> float:
        return float(self.lr * self.factor ** (step / self.every))  # (3)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Decrease along half a cosine in `total` steps, then stay at `final`, (4).

    >>> [round(Cosine(1.0, total=4).lr_at(step), 3) for step in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    lr: float
    total: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _as_numbers(self, lr="[0, inf)", final="[0, inf)")
        _as_counts(self, "total")

    def lr_at(self, step: int) -> float:
        return _cosine(self.lr, self.final, min(step / self.total, 1.0))  # (4)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rise linearly for `steps` steps to the first rate of another schedule, which then begins, (5).

    >>> [WarmUp(Constant(1.0), steps=3).lr_at(step) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    schedule: Schedule
    steps: int

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise OptionError("WarmUp", "a schedule", repr(self.schedule), "for one rate, pass Constant(lr)")
        _as_counts(self, "steps")

    def lr_at(self, step: int) -> float:
        if step < self.steps:
            return self.schedule.lr_at(0) * (step + 1) / (self.steps + 1)  # (5)
        return self.schedule.lr_at(step - self.steps)

    def observe(self, value: float) -> None:
        self.schedule.observe(value)

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.schedule.load_state_dict(state)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Rise to `max_lr` and fall to nearly 0, each along half a cosine, (6): PyTorch's OneCycleLR.

    From max_lr/div_factor at step 0, to max_lr at step pct_start·total − 1, to
    max_lr/(div_factor·final_div_factor) at step total − 1 and later.

    >>> cycle = OneCycle(1.0, total=100)
    >>> [round(cycle.lr_at(step), 6) for step in (0, 29, 99)]
    [0.04, 1.0, 4e-06]
    """

    max_lr: float
    total: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        positive = "(0, inf)"
        _as_numbers(self, max_lr="[0, inf)", pct_start="[0, 1)", div_factor=positive, final_div_factor=positive)
        _as_counts(self, "total")

    def lr_at(self, step: int) -> float:
        peak, last = self.pct_start * self.total - 1, self.total - 1
        step = min(step, last)
        first_lr = self.max_lr / self.div_factor
        if peak > 0 and step <= peak:
            return _cosine(first_lr, self.max_lr, step / peak)  # (6)
        return _cosine(self.max_lr, first_lr / self.final_div_factor, (step - peak) / (last - peak))


class Plateau(Schedule):
    """Multiply the rate by `factor` after more than `patience` observations without improvement, (7).

    Parameters
        lr : the initial rate
        factor : 0 < factor < 1
        patience : the number of observations without improvement that are tolerated
        mode : "min" if smaller values are better (a loss), "max" if larger ones are (an accuracy)
        threshold : the smallest relative improvement that counts
        min_lr : the rate does not fall below this
    Raises
        OptionError

    >>> schedule = Plateau(1.0, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.observe(loss)
    >>> schedule.lr_at(4)
    0.5
    """

    def __init__(
        self,
        lr: float,
        *,
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "min",
        threshold: float = 1e-4,
        min_lr: float = 0.0,
    ) -> None:
        self.lr = as_number("Plateau", "lr", lr, "[0, inf)")
        self.factor = as_number("Plateau", "factor", factor, "(0, 1)")
        self.patience = as_number("Plateau", "patience", patience, "[0, inf)")
        self.mode = as_choice("Plateau", "mode", mode, ("min", "max"))
        self.threshold = as_number("Plateau", "threshold", threshold, "[0, inf)")
        self.min_lr = as_number("Plateau", "min_lr", min_lr, "[0, inf)")
        self._state: dict[str, Any] = {"lr": self.lr, "best": None, "waited": 0}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name != "_state")
        return f"Plateau({options})"

    def lr_at(self, step: int) -> float:
        return float(self._state["lr"])

    def observe(self, value: float) -> None:
        state, value = self._state, float(value)
        if math.isfinite(value) and (state["best"] is None or self._better(value, state["best"])):
            state["best"], state["waited"] = value, 0
        else:
            state["waited"] += 1
        if state["waited"] > self.patience:
            state["lr"], state["waited"] = max(state["lr"] * self.factor, self.min_lr), 0  # (7)

    def state_dict(self) -> dict[str, Any]:
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        _check_state(self, state)
        who, best = "Plateau load_state_dict", state["best"]
        try:
            self._state = {
                "lr": as_number(who, "lr", state["lr"], f"[0, {max(self.lr, self.min_lr)}]"),
                "best": None if best is None else as_number(who, "best", best),
                "waited": as_count(who, "waited", state["waited"], least=0),
            }
        except OptionError as error:
            raise FormatError(error.who, error.expected, error.got) from None

    def _better(self, value: float, best: float) -> bool:
        least = self.threshold * abs(best)  # a loss may be negative, such as a log-density
        return value < best - least if self.mode == "min" else value > best + least


def _as_numbers(schedule: Schedule, **intervals: str) -> None:
    """Check that each of these fields lies in its interval; convert them to plain floats."""
    for name, interval in intervals.items():
        value = as_number(type(schedule).__name__, name, getattr(schedule, name), interval)
        object.__setattr__(schedule, name, value)


def _as_counts(schedule: Schedule, *names: str) -> None:
    """Check that each of these fields is at least 1; convert them to plain integers."""
    for name in names:
        object.__setattr__(schedule, name, as_count(type(schedule).__name__, name, getattr(schedule, name)))


def _cosine(start: float, end: float, part: float) -> float:
    """Go from start to end along half a cosine, at the fraction `part` in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _check_state(schedule: Schedule, state: Mapping[str, Any]) -> None:
    own, who = schedule.state_dict(), f"{type(schedule).__name__} load_state_dict"
    if not isinstance(state, Mapping):
        raise FormatError(who, "what state_dict() was", repr(state)[:80])
    if own.keys() != state.keys():
        raise FormatError(who, str(sorted(own)), str(sorted(state)))
