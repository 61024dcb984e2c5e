"""Which implementation of an operation runs, and why.

An operation has a reference implementation, in plain array-API code in this folder. Those listed here have faster
ones in `xpcnn.kernels`, too. Each of those may refuse a call, with a reason; the first that does not refuse runs. The
choice is made here, once, when forward runs; backward follows from the cache.

`XPCNN_IMPLEMENTATION=reference` (or the name of a faster one, which may still refuse) and `use_implementation`
force the choice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from types import TracebackType
from typing import Any

from .. import settings
from ..errors import OptionError
from ..typing import Array, Cache
from . import batch_norm, conv, global_pool, linear, pad, pool, rectifier
from .add import add


@dataclass(frozen=True)
class Implementation:
    """A forward/backward pair under the contract of the operation's reference."""

    name: str
    refuses: Callable[..., str | None]  # called with forward's arguments; a reason, or None to accept
    forward: Callable[..., Any]  # (y, cache), and what else the reference returns
    backward: Callable[..., Any] | None  # None where there is nothing to remember


def _never(*args: Any, **options: Any) -> None:
    return None


_REFERENCE = {
    op: Implementation("reference", _never, forward, backward)
    for op, forward, backward in (
        ("conv2d", conv.conv2d_forward, conv.conv2d_backward),
        ("conv2d_inference", conv.conv2d_inference, None),
        ("linear", linear.linear_forward, linear.linear_backward),
        ("relu", rectifier.relu_forward, rectifier.relu_backward),
        ("max_pool2d", pool.max_pool2d_forward, pool.max_pool2d_backward),
        ("max_pool2d_inference", pool.max_pool2d_inference, None),
        ("avg_pool2d", pool.avg_pool2d_forward, pool.avg_pool2d_backward),
        ("global_avg_pool2d", global_pool.global_avg_pool2d_forward, global_pool.global_avg_pool2d_backward),
        ("batch_norm", batch_norm.batch_norm_forward, batch_norm.batch_norm_backward),
        ("batch_norm_relu", batch_norm.batch_norm_relu_forward, batch_norm.batch_norm_relu_backward),
        ("batch_norm_inference", batch_norm.batch_norm_inference, None),
        ("zero_pad", pad.zero_pad_forward, pad.zero_pad_backward),
        ("add", add, None),
    )
}
_FASTER = {  # module and name in xpcnn.kernels, the preferred one first
    "conv2d": ("winograd.IMPLEMENTATION", "rows.IMPLEMENTATION", "im2col.IMPLEMENTATION"),
    "conv2d_inference": ("winograd.INFERENCE", "rows.INFERENCE", "im2col.INFERENCE"),
    "linear": ("linear.IMPLEMENTATION",),
    "relu": ("relu.IMPLEMENTATION",),
    "max_pool2d": ("max_pool.IMPLEMENTATION",),
    "max_pool2d_inference": ("max_pool.INFERENCE",),
    "avg_pool2d": ("avg_pool.IMPLEMENTATION",),
    "global_avg_pool2d": ("global_pool.IMPLEMENTATION",),
    "batch_norm": ("batch_norm.IMPLEMENTATION",),
    "batch_norm_relu": ("batch_norm.WITH_RELU",),
    "batch_norm_inference": ("batch_norm.INFERENCE",),
    "zero_pad": ("zero_pad.IMPLEMENTATION",),
    "add": ("add.IMPLEMENTATION",),
}

_forced: ContextVar[str | None] = ContextVar("xpcnn_implementation", default=None)


@cache
def implementations(op: str) -> tuple[Implementation, ...]:
    """All implementations of the operation, in the order in which they are asked; the reference is last."""
    import_module("xpcnn.kernels.threads").reserve(1)  # before a product of matrices, whichever implementation makes it
    faster = []
    for entry in _FASTER[op]:
        module, _, name = entry.partition(".")
        faster.append(getattr(import_module(f"xpcnn.kernels.{module}"), name))
    return (*faster, _REFERENCE[op])


def operations() -> tuple[str, ...]:
    """The operations that have a choice; all others are the reference."""
    return tuple(_FASTER)


def names() -> tuple[str, ...]:
    """The name of every implementation of any operation."""
    return tuple(dict.fromkeys(each.name for op in _FASTER for each in implementations(op)))


class use_implementation:
    """Run the implementation of that name wherever it does not refuse, from here on or for a `with` block.

    The choice belongs to the calling thread, as that of `use_backend`.

    Parameters
        name : the implementation's; None lets xpcnn choose
    Raises
        OptionError : no operation has an implementation of that name

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
    forced = _forced.get() or _from_settings()
    candidates = implementations(op)
    if forced is not None:
        candidates = (*(each for each in candidates if each.name == forced), _REFERENCE[op])
    return next(each for each in candidates if each.refuses(*args, **options) is None)


def forward(op: str, *args: Any, **options: Any) -> Any:
    """Run the operation's forward; the cache remembers which implementation ran."""
    chosen = choose(op, *args, **options)
    y, cache, *more = chosen.forward(*args, **options)
    return y, (chosen, cache), *more


def backward(dy: Array, cache: Cache, **options: Any) -> Any:
    """Run the backward that belongs to the forward which made the cache."""
    chosen, cache = cache
    return chosen.backward(dy, cache, **options)


def output(op: str, *args: Any, **options: Any) -> Array:
    """Run an operation that has no backward of its own."""
    y: Array = choose(op, *args, **options).forward(*args, **options)
    return y


def pair(op: str) -> tuple[Callable[..., tuple[Array, Cache]], Callable[[Array, Cache], Array]]:
    """The operation's (forward, backward), for a layer that is just that."""
    return partial(forward, op), backward


def _from_settings() -> str | None:
    name = settings.implementation_name()
    _check_name("XPCNN_IMPLEMENTATION", name)
    return name


def _check_name(who: str, name: str | None) -> None:
    if name is not None and name not in names():
        raise OptionError(who, "one of " + ", ".join(names()), repr(name))
