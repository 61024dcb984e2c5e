"""Choose the implementation of an operation.

Operations have a reference implementation and faster ones (`xpcnn.ops.implementations`). Each of these may refuse a
call, with a reason; the first that does not refuse runs. The choice is made here, once, when forward runs. The cache
records it for backward.

`XPCNN_IMPLEMENTATION=reference` and `use_implementation` force the choice. So does the name of a faster
implementation, but that one may still refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import cache, partial
from importlib import import_module
from types import TracebackType
from typing import Any

from .. import settings
from ..errors import OptionError
from ..extras import need
from ..typing import Array, Cache
from .implementations import FASTER, REFERENCE, Implementation

_COMPILED = "numba"  # the name of all implementations whose loops are compiled

_forced: ContextVar[str | None] = ContextVar("xpcnn_implementation", default=None)


@cache
def implementations(op: str) -> tuple[Implementation, ...]:
    """All implementations of the operation, in the order in which they are tried; the reference is last."""
    import_module("xpcnn.kernels.threads").reserve(1)  # before any matrix product, in any implementation
    faster = []
    for entry in FASTER[op]:
        module, _, name = entry.rpartition(".")
        faster.append(getattr(import_module(f"xpcnn.kernels.{module}"), name))
    return (*faster, REFERENCE[op])


@cache
def _faster(op: str, name: str | None, compiled: bool) -> tuple[Implementation, ...]:
    """What is tried before the reference, in order; `compiled`: whether those of numba are asked for."""
    every = implementations(op)[:-1]
    if name is not None:
        return tuple(each for each in every if each.name == name)
    return tuple(each for each in every if compiled or each.name != _COMPILED)


def planned() -> Any:
    """The module of the steps that operations have in a plan."""
    return import_module("xpcnn.kernels.planned")


def asks_for_loops() -> bool:
    """Whether compiled loops are asked for, where no implementation is forced."""
    wanted = settings.numba()
    if wanted:
        need(_COMPILED, "compiled loops", "to compile them")
    return wanted


def parts() -> Any:
    """The module of the steps that operations have in training in parts."""
    return import_module("xpcnn.kernels.parts")


def verdicts(optimizers: Iterable[Any]) -> dict[str, Callable[[], str]]:
    """For CuPy, by the names of operations and optimizers: what says whether their kernels agree with the reference.

    Each returns "agrees", or what is wrong on the current device.
    """
    proof, steps = (import_module(f"xpcnn.kernels.cuda.{name}") for name in ("proof", "steps"))
    found: dict[str, Callable[[], str]] = {op: partial(proof.verdict, op) for op in proof.operations()}
    return found | {f"{type(each).__name__} step": partial(steps.verdict, each) for each in optimizers}


def step_at_once(optimizer: Any, rows: Any) -> bool | None:
    """Update these parameters of the optimizer by its text, in kernels or in compiled loops, where that is possible.

    Parameters
        rows : (p, g, *slots) of each
    Returns
        None if nothing was done; else whether all numbers written are known to be finite
    """
    name = forced()
    if name == "reference":
        return None
    if name == _COMPILED or (name is None and settings.numba()):
        need(_COMPILED, "compiled loops", "to compile them")
        (text, numbers), loops = optimizer.in_c(), import_module("xpcnn.kernels.compiled.steps")
        if loops.refuses(text, rows) is None:
            finite: bool = loops.step(text, numbers, optimizer.slots, rows)
            return finite
    steps = import_module("xpcnn.kernels.cuda.steps")
    if steps.refuses(optimizer, rows) is not None:
        return None
    steps.step(*optimizer.in_c(), optimizer.slots, rows)
    return False


def one_blas_thread() -> AbstractContextManager[int]:
    """A block in which NumPy's BLAS uses one thread, so that its sums depend on nothing else."""
    limit: AbstractContextManager[int] = import_module("xpcnn.kernels.threads").one_blas_thread
    return limit


def operations() -> tuple[str, ...]:
    """The operations with several implementations; all others have only the reference."""
    return tuple(FASTER)


@cache
def names() -> tuple[str, ...]:
    """The names of the implementations of all operations."""
    return tuple(dict.fromkeys(each.name for op in FASTER for each in implementations(op)))


class use_implementation:
    """Run the named implementation wherever it does not refuse, from here on or for a `with` block.

    Like `use_backend`, it applies to the calling thread only.

    Parameters
        name : of the implementation; None lets xpcnn choose
    Raises
        OptionError : no operation has an implementation with this name

    >>> with use_implementation("reference"):
    ...     choose("conv2d").name
    'reference'
    """

    def __init__(self, name: str | None) -> None:
        _check_name("use_implementation", name)
        self._token = _forced.set(name)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _forced.reset(self._token)


def choose(op: str, *args: Any, **options: Any) -> Implementation:
    """The implementation that runs for these arguments."""
    name = forced()
    compiled = settings.numba() if name is None else name == _COMPILED
    if compiled:
        need(_COMPILED, "compiled loops", "to compile them")
    return _first(op, _faster(op, name, compiled), args, options)


def choose_without_loops(op: str, *args: Any, **options: Any) -> Implementation:
    """The implementation that would run if no compiled loops were asked for."""
    return _first(op, _faster(op, forced(), False), args, options)


def _first(op: str, candidates: Iterable[Implementation], args: Any, options: Any) -> Implementation:
    for each in candidates:
        if each.refuses(*args, **options) is None:
            return each
    return REFERENCE[op]


def forward(op: str, *args: Any, **options: Any) -> Any:
    """Run the operation's forward; the cache records which implementation ran."""
    chosen = choose(op, *args, **options)
    y, cache, *more = chosen.forward(*args, **options)
    return y, (chosen, cache), *more


def backward(dy: Array, cache: Cache, **options: Any) -> Any:
    """Run the backward of the implementation that made the cache."""
    chosen, cache = cache
    return chosen.backward(dy, cache, **options)


def output(op: str, *args: Any, **options: Any) -> Array:
    """Run an operation that has no backward of its own."""
    y: Array = choose(op, *args, **options).forward(*args, **options)
    return y


def sums_in_norm(x: Array) -> bool:
    """Whether batch norm takes the sum after it: on CuPy. On NumPy that saves nothing, and holds one more gradient."""
    return type(x).__module__.partition(".")[0] == "cupy"


def pair(op: str) -> tuple[Callable[..., tuple[Array, Cache]], Callable[[Array, Cache], Array]]:
    """The operation's (forward, backward), for a layer that consists of this one operation."""
    return partial(forward, op), backward


def loss_pair(op: str) -> tuple[Callable[..., tuple[Array, Cache]], Callable[[Cache], Array]]:
    """The operation's (forward, backward), for a loss, whose backward takes the cache alone."""
    return partial(forward, op), lambda cache: cache[0].backward(cache[1])


def forced() -> str | None:
    """The name of the implementation that is forced, or None."""
    name = _forced.get()
    if name is None and (name := settings.implementation_name()) is not None:
        _check_name("XPCNN_IMPLEMENTATION", name)
    return name


def _check_name(who: str, name: str | None) -> None:
    if name is not None and name not in names():
        raise OptionError(who, "one of " + ", ".join(names()), repr(name))
