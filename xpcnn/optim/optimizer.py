"""The base class of optimizers, the only code in this library that writes into a network's parameters.

    optimizer = SGD(network.parameters(), lr=0.1)
    optimizer.step(grads)                           grads from the network's backward

Your own optimizer defines which arrays it keeps for each parameter, and how it makes one step:

    >>> from xpcnn import ops
    >>> class SignSGD(Optimizer):
    ...     def update(self, p, g):
    ...         p -= self.lr * ops.sign(g)

Every number that multiplies an array is a Python float, so that all arithmetic is in the parameter's dtype.

Parameters may have learning rates and weight decays of their own, and may join later (`xpcnn.optim.groups`).

On NumPy, a step that would write NaN or infinity raises an error. The result is known only after the step. So if
numbers are large, the arrays are copied before it, and restored if it fails. On a device, looking at the result would
mean waiting. There, infinity becomes NaN in the parameters, which the next loss shows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Self

import numpy as np

from .. import html
from ..backend import array_namespace, dtype_name, is_numpy
from ..errors import DTypeError, FormatError, NonFiniteError, OptionError
from ..habits import OPTIMIZER, Familiar
from ..ops import dispatch
from ..ops.check import check_array
from ..options import as_count, as_number
from ..renamed import warn_of_new_name
from ..state import copy_into
from ..typing import Array
from .gradients import check_gradients, check_step, differing_names
from .groups import Groups
from .overflow import not_finite, squares

CALM = 1e24  # if sums of squares are below, no step with a rate up to MODEST can overflow in float32
MODEST = 1e3
REMEDY = "lower the learning rate, clip the gradients, or raise eps where it is tiny"


class Optimizer(Familiar, ABC):
    """Base class of all optimizers.

    Parameters
        parameters : `network.parameters()`, or some of them: the arrays themselves, into which `step` writes
        lr : learning rate; you, or a schedule, may set this attribute before any step
        weight_decay : λ; λ·p is added to each gradient, like the gradient of an L2 penalty λ/2·‖p‖²
        slots : names of the arrays, initially zero, that the subclass needs for each parameter
    Raises
        OptionError, DTypeError

    >>> import numpy as np
    >>> class Plain(Optimizer):
    ...     def update(self, p, g, slots):
    ...         p -= self.lr * g
    """

    _elsewhere = OPTIMIZER

    def __init__(
        self, parameters: Mapping[str, Array], *, lr: float, weight_decay: float = 0.0, slots: tuple[str, ...] = ()
    ) -> None:
        who = type(self).__name__
        self.lr = lr
        self.weight_decay = as_number(who, "weight_decay", weight_decay, "[0, inf)")
        self.steps = 0  # taken so far
        self.parameters: dict[str, Array] = {}
        self._slots: dict[str, dict[str, Array]] = {slot: {} for slot in slots}
        self._groups = Groups()
        self.add(parameters)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = as_number(type(self).__name__, "lr", value, "[0, inf)")

    def scale(
        self,
        *,
        lr: Mapping[str, float] | None = None,
        weight_decay: Mapping[str, float] | None = None,
        names: Iterable[str] | None = None,
    ) -> Self:
        """Give parameters their own learning rates and weight decays, instead of any given before.

        Parameters
            lr, weight_decay : factors ≥ 0 by patterns of names, such as {"backbone*": 0.1} or {"*bias": 0}; the last
                pattern that matches a name counts
            names : the names among which a pattern must match one or more; by default those of the optimizer, but
                with those that `add` will bring a pattern may be for these
        Raises
            OptionError : a pattern matches nothing, or a factor is invalid

        >>> import numpy as np
        >>> from xpcnn.optim import SGD
        >>> p, q = np.ones(1), np.ones(1)
        >>> SGD({"0.weight": p, "1.weight": q}, lr=0.5).scale(lr={"0*": 0.1}).step({"0.weight": p, "1.weight": q})
        >>> p.tolist(), q.tolist()
        ([0.95], [0.5])
        """
        known = list(self.parameters if names is None else names)
        self._groups.scale(f"{type(self).__name__} scale", known, lr=lr, weight_decay=weight_decay)
        self._groups.find(self.parameters)
        return self

    def add(self, parameters: Mapping[str, Array]) -> None:
        """Train these parameters, too, from now on: their slots are zero, and their steps are counted from here.

        Raises
            OptionError : there is none, or one of them is there already;  DTypeError : it has no real floating numbers
        """
        who = type(self).__name__
        if not isinstance(parameters, Mapping):
            raise OptionError(who, "a mapping of parameters", type(parameters).__name__, "pass network.parameters()")
        if not parameters:
            raise OptionError(who, "at least one parameter", "none", "pass network.parameters()")
        for name, p in parameters.items():
            check_array(f"{who}: {name}", p)
            if not array_namespace(p).isdtype(p.dtype, "real floating"):
                raise DTypeError(who, f"{name} in float32 or float64", dtype_name(p), "network.astype('float32')")
            if name in self.parameters:
                raise OptionError(f"{who} add", "parameters that it does not have", name)
        self.parameters |= parameters
        for arrays in self._slots.values():
            arrays |= {name: array_namespace(p).zeros_like(p) for name, p in parameters.items()}
        if self.steps:
            self._groups.begun |= dict.fromkeys(parameters, self.steps)
        self._groups.find(self.parameters)
        self._calm = False  # True if parameters and slots are known to be below CALM

    @abstractmethod
    def update(self, p: Array, g: Array, *slots: Any, **unused: Any) -> None:  # any (p, g, v, …) overrides it
        """Update one parameter and its slots in place; do not write into its gradient.

        Meanwhile `lr`, `weight_decay` and `steps` are those of the parameter.
        """

    def in_c(self) -> tuple[str, dict[str, float]] | None:
        """One step of a number `p` with its gradient `g` and its slots as C, and the numbers in it by their names.

        On CuPy it updates all parameters at once, after it has agreed with `update` there. Assignments divided by
        semicolons are Python, too: so it is also a compiled loop. No class inherits it.
        """
        return None

    def step(self, grads: Mapping[str, Array]) -> None:
        """Update all parameters once.

        Parameters
            grads : the gradient of every parameter, by its name
        Raises
            OptionError, ShapeError, DTypeError, BackendError : before anything has been changed
            NonFiniteError : a gradient, or a number that the step would write, is NaN or infinite; on NumPy only
        """
        check_step(f"{type(self).__name__} step", self.parameters, grads)
        if all(map(is_numpy, grads.values())):
            self._step_and_look(grads)
        else:
            self._step(grads)

    def of_parameter(self, name: str) -> Self:
        """A copy whose `lr`, `weight_decay` and `steps` are those of the parameter, for who shows its update."""
        other = copy(self)
        other._lr, other.weight_decay, other.steps = self._groups.of(name, self._lr, self.weight_decay, self.steps)
        return other

    def _step(self, grads: Mapping[str, Array]) -> bool:
        """Step, and return whether all numbers written are known to be finite."""
        self.steps += 1
        finite = True
        whole = self._lr, self.weight_decay, self.steps
        alike: dict[tuple[float, float, int], list[str]] = {}
        for name in self.parameters:
            alike.setdefault(self._groups.of(name, *whole), []).append(name)
        try:
            for own, names in alike.items():
                self._lr, self.weight_decay, self.steps = own
                rows = self.rows(grads, names)
                done = dispatch.step_at_once(self, rows) if "in_c" in vars(type(self)) else None
                if done is None:
                    self.update_each(rows)
                finite = finite and bool(done)
        finally:
            self._lr, self.weight_decay, self.steps = whole
        return finite

    def update_each(self, rows: Iterable[tuple[Array, ...]]) -> None:
        """Update one parameter after the other, given (p, g, *slots) of each."""
        for p, g, *slots in rows:
            self.update(p, self.decay(p, g) if self.weight_decay else g, *slots)

    def rows(self, grads: Mapping[str, Array], names: Iterable[str]) -> list[tuple[Array, ...]]:
        """For each of these parameters: itself, its gradient, its slots."""
        slots = self._slots.values()
        return [(self.parameters[name], grads[name], *(each[name] for each in slots)) for name in names]

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the arrays that are kept for each parameter."""
        return tuple(self._slots)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the results are checked
    def _step_and_look(self, grads: Mapping[str, Array]) -> None:
        who, kept = f"{type(self).__name__} step", list[Any]()
        written: list[tuple[str, Any]] = [*self.parameters.items(), *self.state_dict().items()]
        calm = self._calm and self.lr * self._groups.largest < MODEST and squares(grads.items()) < CALM
        if not calm:
            if bad := not_finite(grads.items()):
                raise NonFiniteError(who, "finite gradients", f"NaN or infinity in that of {bad}", REMEDY)
            kept = [array.copy() for _, array in written]
        if not self._step(grads) and (bad := not_finite(written)):
            for (_, array), before in zip(written, kept, strict=False):
                array[...] = before
            self.steps -= bool(kept)
            changed = "nothing has been changed" if kept else "which has been written"
            raise NonFiniteError(who, "finite numbers to write", f"NaN or infinity in {bad}; {changed}", REMEDY)
        self._calm = calm or squares(written) < CALM

    def select(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """From a network's gradients, select those of this optimizer's parameters (it may have only some of them)."""
        check_gradients(f"{type(self).__name__} select", grads)
        return {name: g for name, g in grads.items() if name in self.parameters}

    def own(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """The old name of `select`."""
        warn_of_new_name("optimizer.own", "optimizer.select")
        return self.select(grads)

    def decay(self, p: Array, g: Array) -> Array:
        """The gradient, with weight decay."""
        return g + self.weight_decay * p

    def state_dict(self) -> dict[str, Array]:
        """The arrays on which the next step depends, such as "velocity.0.weight"; no copies."""
        return {f"{slot}.{name}": array for slot, arrays in self._slots.items() for name, array in arrays.items()}

    def scalars(self) -> dict[str, Any]:
        """The changing numbers on which the next step depends: `steps`, `lr`, and `begun` if parameters were added."""
        return {"steps": self.steps, "lr": self.lr} | ({"begun": dict(begun)} if (begun := self._groups.begun) else {})

    def load_state_dict(self, state: Mapping[str, Any], **scalars: Any) -> None:
        """Continue bit for bit from the state of another: `load_state_dict(other.state_dict(), **other.scalars())`.

        Parameters
            state : arrays of any backend; they are copied
            scalars : as in `load_scalars`
        Raises
            FormatError : names or shapes do not match; in this case nothing is changed
        """
        who, own = f"{type(self).__name__} load_state_dict", self.state_dict()
        if own.keys() != state.keys():
            remedy = "build the same optimizer for the same network"
            raise FormatError(who, *differing_names(own.keys(), state.keys()), remedy)
        trial = copy(self)
        trial.load_scalars(who, **scalars)
        copy_into(own, state, who)
        self.load_scalars(who, **scalars)

    def load_scalars(self, who: str, *, steps: int, lr: float | None = None, begun: Any = None) -> None:
        """Continue with the numbers of another's `scalars`.

        Parameters
            who : for the error
            steps : the number of steps taken so far
            lr : the learning rate; None leaves it to a schedule
            begun : for parameters that were added, by name, the number of steps before
        Raises
            OptionError : one is invalid; in this case nothing is changed
        """
        steps = as_count(who, "steps", steps, least=0)
        rate = self.lr if lr is None else as_number(who, "lr", lr, "[0, inf)")
        self._groups = self._groups.begun_at(who, begun, self.parameters, steps)
        self.steps, self.lr, self._calm = steps, rate, False

    def __repr__(self) -> str:
        options = {"lr": self.lr} | {name: value for name, value in vars(self).items() if name[0] != "_"}
        plain = {name: v for name, v in options.items() if isinstance(v, float | int | str | tuple) and name != "steps"}
        said = ", ".join(f"{name}={value!r}" for name, value in plain.items())
        return f"{type(self).__name__}({len(self.parameters)} parameters, {said})"

    def _repr_html_(self) -> str:
        said = {"steps taken": self.steps, "parameters": ", ".join(self.parameters)}
        return html.panel(repr(self), html.facts(said))


def check_optimizer(who: str, optimizer: Optimizer, parameters: Mapping[str, Array]) -> None:
    """Raise an error unless `optimizer` is an optimizer of these very arrays, or of some of them.

    Raises
        OptionError : such as for an optimizer that was created before the network was moved
    """
    if not isinstance(optimizer, Optimizer):
        raise OptionError(who, "an optimizer, such as SGD(model.parameters(), lr=0.1)", repr(optimizer)[:80])
    if any(parameters.get(name) is not p for name, p in optimizer.parameters.items()):
        remedy = "make it from model.parameters(), after any astype or to_backend"
        raise OptionError(who, "an optimizer of this model's parameters", "one of other arrays", remedy)
