"""Choose the array library in which new arrays are made.

`XPCNN_BACKEND` names it (`numpy`, the default; `cupy`; `torch` and `array_api_strict` for tests), unless a
`use_backend` is in force. It decides only where arrays are *made*: initial weights, batches, loaded files. Every
operation uses the library of its arguments.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np

from . import settings
from .errors import BackendError, DTypeError
from .typing import Array, NDArray

__all__ = ["Backend", "array_namespace", "asarray", "current_backend", "synchronize", "to_numpy", "use_backend"]

DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool", "complex128")
NAMES = ("numpy", "cupy", "torch", "array_api_strict")


@dataclass(frozen=True)
class Backend:
    """An array namespace that follows the array API standard, and the device on which its arrays are made.

    >>> current_backend().name
    'numpy'
    """

    name: str
    xp: Any
    device: Any


_chosen: ContextVar[Backend | None] = ContextVar("xpcnn_backend", default=None)


def current_backend() -> Backend:
    """The backend in which new arrays are made: the last `use_backend` of this thread, else `XPCNN_BACKEND`.

    >>> with use_backend("numpy"):
    ...     print(current_backend().name)
    numpy
    """
    return _chosen.get() or _load(settings.backend_name())


class use_backend:
    """Make new arrays in another backend, from here on or for a `with` block.

    The choice applies to the calling thread only (like `numpy.errstate` and the decimal context). Other threads keep
    theirs, and new ones start from `XPCNN_BACKEND`.

    Parameters
        name : "numpy", "cupy", "torch" or "array_api_strict"
    Raises
        BackendError : the name is unknown, the library is not installed, or CuPy finds no usable GPU

    >>> with use_backend("numpy"):
    ...     asarray([1.0, 2.0]).dtype
    dtype('float32')
    """

    def __init__(self, name: str) -> None:
        self._token: Token[Backend | None] = _chosen.set(_load(name))

    def __enter__(self) -> Backend:
        return current_backend()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _chosen.reset(self._token)


@cache
def _load(name: str) -> Backend:
    if name == "numpy":
        return Backend(name, np, "cpu")
    if name == "cupy":
        return _load_cupy()
    if name == "torch":
        try:
            import array_api_compat.torch as torch
        except ImportError:
            raise BackendError("backend torch", "PyTorch", "no module torch", "pip install torch") from None
        return Backend(name, torch, torch.device("cpu"))
    if name == "array_api_strict":
        try:
            import array_api_strict
        except ImportError:
            raise BackendError(
                "backend array_api_strict",
                "array-api-strict",
                "no such module",
                "pip install array-api-strict",
            ) from None
        # Its second device stands for a GPU: mixing it with host arrays fails, as with CuPy.
        return Backend(name, array_api_strict, array_api_strict.Device("device1"))
    raise BackendError(
        "XPCNN_BACKEND", "one of " + ", ".join(NAMES), repr(name), "set it to numpy, or to cupy for a GPU"
    )


def _load_cupy() -> Backend:
    try:
        import array_api_compat.cupy as cupy
    except ImportError as error:
        reason = "no module cupy" if error.name == "cupy" else " ".join(str(error).split())[:200]
        remedy = (
            "pip install cupy-cuda12x or cupy-cuda13x (≥ 14), to match the driver that nvidia-smi prints; with [ctk] "
            "where there is no CUDA toolkit"
        )
        raise BackendError("backend cupy", "CuPy", reason, remedy) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CUDARuntimeError, or an ImportError from the driver's library
        count, reason = 0, f"{type(error).__name__}: {error}"
    else:
        reason = "no device"
    if not count:
        raise BackendError(
            "backend cupy",
            "a usable CUDA GPU",
            reason,
            "check nvidia-smi and CUDA_VISIBLE_DEVICES, or set XPCNN_BACKEND=numpy",
        )
    return Backend("cupy", cupy, cupy.cuda.Device())


def array_namespace(*arrays: Array | None) -> Any:
    """The namespace to which all of the arrays belong (None is skipped).

    Raises
        BackendError : they belong to several, or one of them is no array

    >>> array_namespace(np.ones(3)).__name__
    'numpy'
    """
    for array in arrays:
        if array is not None and not isinstance(array, (np.ndarray, np.generic)):
            break
    else:
        return np  # NumPy ≥ 2.1 follows the standard; this is the hot path
    from array_api_compat import array_namespace as namespace_of

    try:
        return namespace_of(*(array for array in arrays if array is not None))
    except TypeError:
        kinds = dict.fromkeys(
            f"{type(array).__module__}.{type(array).__qualname__}" for array in arrays if array is not None
        )
        raise BackendError(
            "array_namespace", "arrays of one backend", " and ".join(kinds), "convert them with xpcnn.asarray"
        ) from None


def asarray(data: Any, dtype: Any = None) -> Array:
    """An array of the current backend, from an array of any backend or from (nested) Python numbers.

    Parameters
        data : arrays keep their element type; Python floats become float32, integers int64
        dtype : the element type's name, such as "float32", or an object that stands for it, such as np.float32
    Raises
        BackendError : the current backend cannot be used
        DTypeError : the data are no numbers, or no dtype has that name

    >>> asarray([[1, 2], [3, 4]], dtype="float64").shape
    (2, 2)
    """
    backend = current_backend()
    if isinstance(data, (list, tuple, int, float)):
        try:
            host = np.asarray(data)
        except ValueError:  # rows of different lengths, or arrays that do not form one array
            raise DTypeError("asarray", "numbers in rows of one length", f"a {type(data).__name__} of others") from None
        if host.dtype == np.float64:
            host = host.astype(np.float32)
    elif type(data).__module__.partition(".")[0] == backend.name != "numpy":
        return data if dtype is None else astype(data, dtype)
    else:
        host = to_numpy(data)
    if host.dtype.kind not in "fiubc":
        raise DTypeError("asarray", "numbers", f"{type(data).__name__} of dtype {host.dtype}")
    if dtype is not None:
        host = host.astype(checked_dtype(dtype), copy=False)
    if backend.name == "numpy":
        return host
    if not host.flags.writeable or not host.flags.c_contiguous:
        host = host.copy()
    array: Array = backend.xp.asarray(host, device=backend.device)
    return array


def astype(array: Array, dtype: Any) -> Array:
    """The array with that element type ("float32", "float64", "int64" …); the array itself if it has it already."""
    xp = array_namespace(array)
    result: Array = xp.astype(array, getattr(xp, checked_dtype(dtype)), copy=False)
    return result


def checked_dtype(dtype: Any, who: str = "dtype", known: tuple[str, ...] = DTYPES) -> str:
    """The name of an element type, from its name or an object of NumPy or another library that stands for it.

    Raises
        DTypeError : it is none of those known

    >>> checked_dtype(np.float64), checked_dtype(np.dtype("uint8"))
    ('float64', 'uint8')
    """
    if isinstance(dtype, np.dtype | type):
        name = np.dtype(dtype).name
    else:  # such as torch.float64, and array_api_strict.float64
        name = str(dtype).rpartition(".")[2] if "dtype" in type(dtype).__name__.casefold() else dtype
    if not isinstance(name, str) or name not in known:
        raise DTypeError(who, " or ".join(known) if len(known) == 2 else "one of " + ", ".join(known), repr(dtype))
    return name


def dtype_name(array: Array) -> str:
    """The element type's name, the same on every backend: "float32", "uint8" …"""
    return _numpy_dtype_name(array.dtype) if is_numpy(array) else str(array.dtype).rpartition(".")[2]


@cache  # NumPy takes microseconds to write it
def _numpy_dtype_name(dtype: np.dtype[Any]) -> str:
    return str(dtype)


def to_numpy(array: Any) -> NDArray:
    """The array as a NumPy array on the host; a NumPy array is returned unchanged.

    Raises
        DTypeError : it is no array; or some of its numbers are masked

    >>> to_numpy([1.0, 2.0])
    array([1., 2.])
    """
    refuse_mask("to_numpy", array)
    library = type(array).__module__.partition(".")[0]
    if library == "cupy":
        host = array.get()
    elif library == "torch":
        host = array.detach().cpu().numpy()
    elif library == "array_api_strict":
        import array_api_strict

        host = array.to_device(array_api_strict.Device("CPU_DEVICE"))
    else:
        host = array
    try:
        return np.asarray(host)
    except ValueError:  # rows of different lengths
        raise DTypeError("to_numpy", "an array, or lists of one length each", repr(array)[:80]) from None


def refuse_mask(who: str, array: Any) -> None:
    """Refuse an array of NumPy's `ma` with masked numbers, because NumPy's functions would ignore the mask.

    Raises
        DTypeError
    """
    if isinstance(array, np.ma.MaskedArray) and (masked := int(np.asarray(array.mask).sum())):
        remedy = "leave these out, or say what they are with array.filled(…)"
        raise DTypeError(who, "an array without a mask", f"{masked} of {array.size} numbers masked", remedy)


def is_numpy(array: Array) -> bool:
    """True for a NumPy array, whose values can be read without waiting for a device."""
    return isinstance(array, (np.ndarray, np.generic))


def synchronize() -> None:
    """Wait until the current backend's device has finished its work. Does nothing on the CPU.

    >>> synchronize()  # on NumPy, nothing is outstanding
    """
    if current_backend().name == "cupy":
        import cupy

        cupy.cuda.get_current_stream().synchronize()
