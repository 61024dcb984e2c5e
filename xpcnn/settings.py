"""The environment variables that xpcnn reads. Nothing else in the package reads the environment.

XPCNN_BACKEND         numpy (default), cupy; torch and array_api_strict for tests
XPCNN_IMPLEMENTATION  the implementation to run, such as `reference`; if an operation has none of that name, or it
                      refuses, the reference runs
XPCNN_NUMBA           1 asks for the implementations and plans that numba compiles, where they are faster
XPCNN_NUM_THREADS     threads that the fast implementations on NumPy use; if unset, as many as NumPy's BLAS would use
XPCNN_CACHE_MIB       MiB of freed arrays' memory that the fast implementations on NumPy keep for the next ones: 512
XPCNN_DATA            the folder in which data sets are searched first
HF_ENDPOINT           the address of Hugging Face's hub, or of a mirror of it

PMI_RANK and its like, which programs such as mpiexec set, say that the program was started under MPI.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from .errors import OptionError
from .renamed import warn_of_new_name

Value = TypeVar("Value")
_known: ContextVar[dict[Any, Any] | None] = ContextVar("xpcnn_settings", default=None)


class once:
    """A block in which each setting is read once; reading takes a microsecond, and each layer asks several times."""

    def __enter__(self) -> None:
        self._token: Token[dict[Any, Any] | None] | None = None if _known.get() is not None else _known.set({})

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            _known.reset(self._token)


def _setting(read: Callable[[], Value]) -> Callable[[], Value]:
    """The function, whose value is kept to the end of the block of `once` in which it is called."""

    @wraps(read)
    def value() -> Value:
        known = _known.get()
        if known is None:
            return read()
        if read not in known:
            known[read] = read()
        return known[read]  # type: ignore[no-any-return]

    return value


@_setting
def backend_name() -> str:
    return os.environ.get("XPCNN_BACKEND") or "numpy"


@_setting
def implementation_name() -> str | None:
    return os.environ.get("XPCNN_IMPLEMENTATION") or None


@_setting
def numba() -> bool:
    """True if compiled loops are asked for."""
    text = os.environ.get("XPCNN_NUMBA") or "0"
    if text not in ("0", "1"):
        raise OptionError("XPCNN_NUMBA", "0 or 1", repr(text))
    return text == "1"


@_setting
def num_threads() -> int | None:
    return _count("XPCNN_NUM_THREADS", "a number of threads", 1)


@_setting
def cache_bytes() -> int:
    name = "XPCNN_CACHE_MIB"
    if os.environ.get("XPCNN_KEPT_MIB") is not None and os.environ.get(name) is None:
        warn_of_new_name("XPCNN_KEPT_MIB", name)
        name = "XPCNN_KEPT_MIB"
    number = _count(name, "a number of MiB", 0)
    return (512 if number is None else number) << 20


def data_folder() -> Path | None:
    folder = os.environ.get("XPCNN_DATA")
    return Path(folder) if folder else None


def started_by_mpi() -> bool:
    return any(name in os.environ for name in ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID"))


def threads_are_set() -> bool:
    """True if the user has said how many threads to use."""
    return any(os.environ.get(name) for name in ("XPCNN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))


def hub_address() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _count(name: str, what: str, least: int) -> int | None:
    text = os.environ.get(name)
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18 or int(text) < least:
        raise OptionError(name, f"{what} ≥ {least}", repr(text))
    return int(text)
