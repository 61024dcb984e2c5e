"""What an optimizer is: the one place in this library that writes into a network's parameters.

    optimizer = SGD(network.parameters(), lr=0.1)
    optimizer.step(grads)                           grads as the network's backward returned them

Your own optimizer says which arrays it keeps for each parameter, and how one step is made:

    >>> from xpcnn import ops
    >>> class SignSGD(Optimizer):
    ...     def update(self, p, g):
    ...         p -= self.lr * ops.sign(g)

Every number that multiplies an array is a Python float, so that all arithmetic is in the parameter's dtype.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ..backend import array_namespace, copy_into, dtype_name
from ..errors import DTypeError, FormatError, OptionError, ShapeError
from ..options import as_count, as_number
from ..typing import Array


class Optimizer(ABC):
    """Base of all optimizers.

    Parameters
        parameters : `network.parameters()`, or some of them: the arrays themselves, which `step` writes
        lr : learning rate; the attribute may be set before any step, which is what schedules do
        weight_decay : λ: λ·p is added to each gradient, as an L2 penalty λ/2·‖p‖² does
        slots : names of the arrays of zeros that the subclass wants for each parameter
    Raises
        OptionError, DTypeError
    """

    def __init__(
        self, parameters: Mapping[str, Array], *, lr: float, weight_decay: float = 0.0, slots: tuple[str, ...] = ()
    ) -> None:
        who = type(self).__name__
        if not isinstance(parameters, Mapping):
            raise OptionError(who, "a mapping of parameters", type(parameters).__name__, "pass network.parameters()")
        if not parameters:
            raise OptionError(who, "at least one parameter", "none", "pass network.parameters()")
        for name, p in parameters.items():
            if not array_namespace(p).isdtype(p.dtype, "real floating"):
                raise DTypeError(who, f"{name} in float32 or float64", dtype_name(p), "network.astype('float32')")
        self.lr = lr
        self.weight_decay = as_number(who, "weight_decay", weight_decay, "[0, inf)")
        self.steps = 0  # taken so far
        self.parameters = dict(parameters)
        self._slots = {
            slot: {name: array_namespace(p).zeros_like(p) for name, p in parameters.items()} for slot in slots
        }

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = as_number(type(self).__name__, "lr", value, "[0, inf)")

    @abstractmethod
    def update(self, p: Array, g: Array, *slots: Any, **unused: Any) -> None:  # any (p, g, v, …) overrides it
        """Write one parameter, given its gradient (which belongs to somebody else), and its slots."""

    def step(self, grads: Mapping[str, Array]) -> None:
        """Write all parameters, once.

        Parameters
            grads : the gradient of every parameter, by its name
        Raises
            OptionError, ShapeError, DTypeError, BackendError : before anything has been changed
        """
        self._check(grads)
        self.steps += 1
        for name, p in self.parameters.items():
            g = grads[name]
            if self.weight_decay:
                g = self.decay(p, g)
            self.update(p, g, *(arrays[name] for arrays in self._slots.values()))

    def own(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """Of a network's gradients those of this optimizer's parameters, which may be some of the network's."""
        self._check_mapping("own", grads)
        return {name: g for name, g in grads.items() if name in self.parameters}

    def decay(self, p: Array, g: Array) -> Array:
        """The gradient, with weight decay."""
        return g + self.weight_decay * p

    def state_dict(self) -> dict[str, Array]:
        """The arrays that the next step depends on, such as "velocity.0.weight"; no copies."""
        return {f"{slot}.{name}": array for slot, arrays in self._slots.items() for name, array in arrays.items()}

    def scalars(self) -> dict[str, Any]:
        """The numbers that the next step depends on and that change: `steps` and `lr`."""
        return {"steps": self.steps, "lr": self.lr}

    def load_state_dict(self, state: Mapping[str, Any], *, steps: int, lr: float | None = None) -> None:
        """Go on bit for bit from where another one was: `load_state_dict(other.state_dict(), **other.scalars())`.

        Parameters
            state : arrays of any backend; they are copied
            steps : how many had been taken
            lr : the learning rate; None leaves it to a schedule
        Raises
            FormatError : names or shapes do not match; nothing has been changed then
        """
        who, own = f"{type(self).__name__} load_state_dict", self.state_dict()
        if own.keys() != state.keys():
            remedy = "build the same optimizer for the same network"
            raise FormatError(who, *_names(own.keys(), state.keys()), remedy)
        steps = as_count(who, "steps", steps, least=0)
        rate = self.lr if lr is None else as_number(who, "lr", lr, "[0, inf)")
        copy_into(own, state, who)
        self.steps, self.lr = steps, rate

    def __repr__(self) -> str:
        options = {"lr": self.lr} | {name: value for name, value in vars(self).items() if name[0] != "_"}
        plain = {name: v for name, v in options.items() if isinstance(v, float | int | str | tuple) and name != "steps"}
        said = ", ".join(f"{name}={value!r}" for name, value in plain.items())
        return f"{type(self).__name__}({len(self.parameters)} parameters, {said})"

    def _check_mapping(self, method: str, grads: Mapping[str, Array]) -> None:
        if not isinstance(grads, Mapping):
            remedy = "dx, grads = network.backward(…): pass grads"
            who = f"{type(self).__name__} {method}"
            raise OptionError(who, "a mapping of gradients", type(grads).__name__, remedy)

    def _check(self, grads: Mapping[str, Array]) -> None:
        who = f"{type(self).__name__} step"
        self._check_mapping("step", grads)
        if grads.keys() != self.parameters.keys():
            part = self.parameters.keys() < grads.keys()
            remedy = "optimizer.own(grads) trains these alone" if part else "pass what the network's backward returned"
            raise OptionError(who, *_names(self.parameters.keys(), grads.keys()), remedy)
        for name, p in self.parameters.items():
            g = grads[name]
            array_namespace(p, g)
            if tuple(g.shape) != tuple(p.shape):
                raise ShapeError(who, f"the gradient of {name} {tuple(p.shape)}", str(tuple(g.shape)))
            if g.dtype != p.dtype:
                raise DTypeError(who, f"the gradient of {name} in {dtype_name(p)}", dtype_name(g))


def check_optimizer(who: str, optimizer: Optimizer, parameters: Mapping[str, Array]) -> None:
    """Refuse what is no optimizer of these very arrays, or of some of them.

    Raises
        OptionError : such as for one that was made before the network was moved
    """
    if not isinstance(optimizer, Optimizer):
        raise OptionError(who, "an optimizer, such as SGD(model.parameters(), lr=0.1)", repr(optimizer)[:80])
    if any(parameters.get(name) is not p for name, p in optimizer.parameters.items()):
        remedy = "make it from model.parameters(), after any astype or to_backend"
        raise OptionError(who, "an optimizer of this model's parameters", "one of other arrays", remedy)


def _names(mine: Any, theirs: Any) -> tuple[str, str]:
    """What was expected and what came, for an error."""
    missing, unknown = sorted(mine - theirs), sorted(theirs - mine)
    return f"the {len(mine)} names of this optimizer", f"missing {missing}, unknown {unknown}"
