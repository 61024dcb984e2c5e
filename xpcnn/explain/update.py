"""The update of a parameter: what an optimizer's own formulas make of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..optim import SGD, Adadelta, AdaGrad, Adam, AdamW, RMSProp
from ..optim.optimizer import Optimizer
from ..typing import NDArray
from .equations import Equation, equations
from .explanation import Axes, Explanation
from .rules import Text
from .sums import largest


@dataclass
class Updated:
    """One parameter before and after a step.

    Parameters
        name : of the parameter
        before, after : the parameter, "p", and the optimizer's arrays by their slots
        gradient : from the network's backward
        factor : by which clipping has multiplied it
    """

    name: str
    before: Mapping[str, NDArray]
    after: Mapping[str, NDArray]
    gradient: NDArray
    factor: float = 1.0


def update(optimizer: Optimizer, done: Updated, axes: Axes) -> Explanation:
    """The update of one parameter, by the optimizer's formulas; of one without formulas here, what it made."""
    page = Explanation(repr(optimizer), done.name, type(optimizer).__module__)
    work = _Update(page, optimizer, done, axes)
    page.add("p", f"{done.name}, before the step", axes, done.before["p"])
    page.add("g", f"∂L/∂p, the gradient of {done.name}", axes, done.gradient)
    if done.factor != 1:
        clipped = (done.gradient * done.factor).astype(done.gradient.dtype)
        work.make("ĝ", "the gradient, clipped", "{g}·{factor}", clipped, {"factor": done.factor})
        work.gradient = "ĝ"
    known = FORMULAS.get(type(optimizer))
    if known is None:
        work.result(None)
    else:
        known(work, optimizer)
    return page


class _Update:
    """The page of one parameter; elements of its arrays are written {p}, {g}, …."""

    def __init__(self, page: Explanation, optimizer: Optimizer, done: Updated, axes: Axes) -> None:
        self.page, self.done, self.axes = page, done, axes
        self.equations = equations(type(optimizer).__doc__ or "")
        self.gradient = "g"
        self.focus = largest(done.gradient)

    def make(
        self, name: str, meaning: str, text: str | None, values: NDArray, constants: Mapping[str, float], *numbers: int
    ) -> None:
        """Add an array and the step that makes it."""
        self.page.add(name, meaning, self.axes, values)
        at = f"[{','.join(self.axes)}]"
        rule, reads = None, [*self.page.arrays][:-1]
        if text is not None:
            reads = [each for each in self.page.arrays if f"{{{each}}}" in text]
            for each in reads:
                text = text.replace(f"{{{each}}}", f"{{{each}{at}}}")
            rule = Text(text, constants)
        found: tuple[Equation, ...] = tuple(each for each in self.equations if set(numbers) & set(each.numbers))
        self.page.add_step(meaning[0].upper() + meaning[1:], found, tuple(reads), name, self.focus, rule)

    def decay(self, weight_decay: float) -> None:
        """Weight decay that is added to the gradient."""
        if weight_decay:
            decayed = self.page.arrays[self.gradient].values + weight_decay * self.done.before["p"]
            self.make(
                "gλ",
                "the gradient, with weight decay",
                f"{{{self.gradient}}} + {{λ}}·{{p}}",
                decayed,
                {"λ": weight_decay},
            )
            self.gradient = "gλ"

    def slot(
        self, slot: str, letter: str, meaning: str, text: str, constants: Mapping[str, float], *numbers: int
    ) -> None:
        """An array that the optimizer keeps, before and after; `letter` is its name, letter₀ what it was."""
        self.page.add(f"{letter}₀", f"{meaning}, before the step", self.axes, self.done.before[slot])
        text = text.replace("{g}", f"{{{self.gradient}}}")
        self.make(letter, meaning, text, self.done.after[slot], constants, *numbers)

    def result(self, text: str | None, constants: Mapping[str, float] | None = None, *numbers: int) -> None:
        """The parameter after the step."""
        text = text and text.replace("{g}", f"{{{self.gradient}}}")
        self.make("p′", f"{self.done.name}, after the step", text, self.done.after["p"], constants or {}, *numbers)


def _sgd(work: _Update, own: SGD) -> None:
    work.decay(own.weight_decay)
    numbers = {"lr": own.lr, "μ": own.momentum}
    if own.momentum:
        work.slot("velocity", "v", "the velocity", "{μ}·{v₀} + {g}", numbers, 2)
    if own.nesterov:
        work.result("{p} − {lr}·({g} + {μ}·{v})", numbers, 4)
    else:
        work.result("{p} − {lr}·{v}" if own.momentum else "{p} − {lr}·{g}", numbers, 3)


def _adam(work: _Update, own: Adam) -> None:
    decoupled = isinstance(own, AdamW)
    work.equations = equations(Adam.__doc__ or "")
    if not decoupled:
        work.decay(own.weight_decay)
    (first, second), t = own.betas, own.steps
    numbers = {"lr": own.lr, "β₁": first, "β₂": second, "λ": own.weight_decay, "ε": own.eps}
    numbers |= {"c₁": 1 - first**t, "c₂": 1 - second**t, "a₁": 1 - first, "a₂": 1 - second}
    work.slot("mean", "m", "the running mean of the gradient", "{β₁}·{m₀} + {a₁}·{g}", numbers, 1)
    work.slot("square_mean", "v", "the running mean of its square", "{β₂}·{v₀} + {a₂}·{g}·{g}", numbers, 2)
    kept = "{p}"
    if decoupled and own.weight_decay:
        kept = "{p} − {lr}·{λ}·{p}"
        work.equations = [each for each in work.equations if 1 not in each.numbers] + equations(AdamW.__doc__ or "")
    work.result(
        f"{kept} − {{lr}}·({{m}}/{{c₁}}) / (√({{v}}/{{c₂}}) + {{ε}})", numbers, *([1] if kept != "{p}" else []), 3, 4
    )


def _adagrad(work: _Update, own: AdaGrad) -> None:
    work.decay(own.weight_decay)
    numbers = {"lr": own.lr, "ε": own.eps}
    work.slot("sum", "s", "the sum of squared gradients", "{s₀} + {g}·{g}", numbers, 1)
    work.result("{p} − {lr}·{g} / (√({s}) + {ε})", numbers, 2)


def _rmsprop(work: _Update, own: RMSProp) -> None:
    work.decay(own.weight_decay)
    numbers = {"lr": own.lr, "ε": own.eps, "α": own.alpha, "a": 1 - own.alpha, "μ": own.momentum}
    if own.centered:
        work.page.add("a₀", "the running mean of the gradient, before the step", work.axes, work.done.before["mean"])
        square = "{α}·({s₀} + {a}·({g} − {a₀})·({g} − {a₀}))"
        work.slot("variance", "s", "the running variance of the gradient", square, numbers, 2)
    else:
        work.slot("square_mean", "s", "the running mean of the squared gradient", "{α}·{s₀} + {a}·{g}·{g}", numbers, 1)
    step = "{g} / (√({s}) + {ε})"
    if own.momentum:
        work.slot("velocity", "v", "the velocity", f"{{μ}}·{{v₀}} + {step}", numbers, 4)
        step = "{v}"
    work.result(f"{{p}} − {{lr}}·{step}", numbers, 4)


def _adadelta(work: _Update, own: Adadelta) -> None:
    work.decay(own.weight_decay)
    numbers = {"lr": own.lr, "ε": own.eps, "ρ": own.rho, "a": 1 - own.rho}
    work.slot("square_mean", "s", "the running mean of the squared gradient", "{ρ}·{s₀} + {a}·{g}·{g}", numbers, 1)
    u, s, g = (
        work.done.before["step_square_mean"],
        work.done.after["square_mean"],
        work.page.arrays[work.gradient].values,
    )
    d = g * np.sqrt(u + own.eps) / np.sqrt(s + own.eps)
    work.page.add("u₀", "the running mean of squared steps, before the step", work.axes, u)
    work.make("d", "the step", f"{{{work.gradient}}}·√({{u₀}} + {{ε}}) / √({{s}} + {{ε}})", d, numbers, 2)
    work.result("{p} − {lr}·{d}", numbers, 4)


FORMULAS: dict[type[Optimizer], Callable[[_Update, Any], None]] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adam,
    AdaGrad: _adagrad,
    RMSProp: _rmsprop,
    Adadelta: _adadelta,
}  # what the optimizer's docstring says, in its letters; `Explanation.check` compares it with what the optimizer did
