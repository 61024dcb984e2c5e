"""A stand-in for CuPy 14.2 that needs no GPU: what xpcnn calls, computed by NumPy, refusing what CuPy refuses.

    PYTHONPATH=tests/stand_in XPCNN_BACKEND=cupy pytest

It shows that xpcnn asks CuPy for nothing that CuPy lacks or refuses, by these rules, and no more than that: neither
CuPy's numbers, nor its kernels, memory and speed. Each rule is from the file of CuPy's source that is named with it;
`tests/test_cupy_stand_in.py` tries the rules, and compares the signatures with CuPy's. A name that is missing here
raises AttributeError: add it, with CuPy's signature.
"""

from __future__ import annotations

from functools import wraps as _wraps

import numpy as _np
from cupyx import _ledger
from cupyx._ledger import note as _note

from . import cuda as cuda
from . import fft as fft
from . import linalg as linalg
from ._elementwise import ElementwiseKernel as ElementwiseKernel
from ._ndarray import _host, _launched, _of, _shares, _wrap, ndarray, ufunc

__version__ = "14.2.0 (a stand-in, computed by NumPy)"

_NUMPYS_OWN = (  # cupy/__init__.py
    "bool_", "complex64", "complex128", "complexfloating", "dtype", "finfo", "float32", "float64", "floating", "iinfo",
    "int8", "int16", "int32", "int64", "integer", "intp", "isdtype", "issubdtype", "nan", "number", "signedinteger",
    "uint8", "uint16", "uint32", "uint64", "unsignedinteger", "broadcast_shapes",
)  # fmt: skip
_ELEMENTWISE = (
    "abs", "add", "bitwise_and", "bitwise_or", "equal", "exp", "expm1", "floor", "floor_divide", "greater",
    "greater_equal", "invert", "isfinite", "isnan", "less", "less_equal", "log", "log1p", "matmul", "maximum",
    "minimum", "multiply", "negative", "not_equal", "power", "sqrt", "subtract", "tanh", "true_divide",
)  # fmt: skip
_NAMED = (  # by array_api_compat.cupy when it is imported, and by nobody called
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "left_shift", "right_shift", "round",
)  # fmt: skip


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """_creation/from_data.py, _core/core.pyx"""
    made = _np.array(_host(obj), dtype, copy=copy or None, order=order, ndmin=ndmin)
    if made.dtype.kind not in "?biufc":  # _core/_dtype.pyx, check_supported_dtype
        raise ValueError(f"Unsupported dtype {made.dtype}")
    if isinstance(obj, ndarray):
        return _launched("copy", made, obj)
    _note("to_device", "array", (), [made])
    return _wrap(made)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if isinstance(a, ndarray) and not copy and dtype in (None, a.dtype):
        return a
    return array(a, dtype, copy=True, order=order or "K")  # NumPy's arrays move to the device: always a copy


def full(shape, fill_value, dtype=None, order="C"):
    """_creation/basic.py: no array of NumPy's, unless of shape ()"""
    made = empty(shape, dtype or _np.asarray(_host(fill_value)).dtype, order)
    made[...] = fill_value
    return made


def ascontiguousarray(a, dtype=None):
    return a if _of(a).flags.c_contiguous and dtype in (None, a.dtype) else array(a, dtype, order="C")


def empty(shape, dtype=float, order="C"):
    made = _np.empty(shape, dtype, order)
    if _ledger.computes:
        made[...] = 77  # what is there is no zero
    return _wrap(made)


_FUNCTIONS = {
    "zeros": lambda shape, dtype=float, order="C": full(shape, 0, dtype, order),
    "ones": lambda shape, dtype=float, order="C": full(shape, 1, dtype, order),
    "zeros_like": lambda a, dtype=None, order="K", subok=None, shape=None: _wrap(
        _np.zeros_like(_of(a), dtype, order, shape=shape)
    ),
    "ones_like": lambda a, dtype=None, order="K", subok=None, shape=None: _wrap(
        _np.ones_like(_of(a), dtype, order, shape=shape)
    ),
    "full_like": lambda a, fill_value, dtype=None, order="K", subok=None, shape=None: _wrap(
        _np.full_like(_of(a), fill_value, dtype, order, shape=shape)
    ),
    "arange": lambda start, stop=None, step=1, dtype=None: _wrap(
        _np.arange(0 if stop is None else start, start if stop is None else stop, step, dtype)
    ),
    # _manipulation
    "reshape": lambda a, newshape, order="C", *, copy=None: _wrap(_np.reshape(_of(a), newshape, order, copy=copy)),
    "transpose": lambda a, axes=None: _wrap(_np.transpose(_of(a), axes)),
    "swapaxes": lambda a, axis1, axis2: _wrap(_np.swapaxes(_of(a), axis1, axis2)),
    "flip": lambda a, axis=None: _wrap(_np.flip(_of(a), axis)),
    "broadcast_to": lambda array, shape: _wrap(_np.broadcast_to(_of(array), shape)),
    "stack": lambda tup, axis=0, out=None, *, dtype=None, casting="same_kind": _wrap(
        _np.stack([_of(each) for each in tup], axis, dtype=dtype, casting=casting)
    ),
    "concatenate": lambda tup, axis=0, out=None, *, dtype=None, casting="same_kind": _wrap(
        _np.concatenate([_of(each) for each in tup], axis, dtype=dtype, casting=casting)
    ),
    # _indexing/indexing.py: what is out of bounds wraps around, and raises nothing
    "take": lambda a, indices, axis=None, out=None: _wrap(_np.take(_of(a), _of(indices), axis, mode="wrap")),
    # _math, _statistics, _sorting, _logic: an array () where NumPy has a scalar
    "sum": lambda a, axis=None, dtype=None, out=None, keepdims=False: _wrap(
        _np.sum(_of(a), axis, dtype, keepdims=keepdims)
    ),
    "mean": lambda a, axis=None, dtype=None, out=None, keepdims=False: _wrap(
        _np.mean(_of(a), axis, dtype, keepdims=keepdims)
    ),
    "max": lambda a, axis=None, out=None, keepdims=False: _wrap(_np.max(_of(a), axis, keepdims=keepdims)),
    "min": lambda a, axis=None, out=None, keepdims=False: _wrap(_np.min(_of(a), axis, keepdims=keepdims)),
    "argmax": lambda a, axis=None, dtype=None, out=None, keepdims=False: _wrap(
        _np.argmax(_of(a), axis, keepdims=keepdims)
    ),
    "all": lambda a, axis=None, out=None, keepdims=False: _wrap(_np.all(_of(a), axis, keepdims=keepdims)),
    "where": lambda condition, x=None, y=None: ufunc(_np.where, 3)(condition, x, y),  # _sorting/search.py: a ufunc
}


def _absent(*args, **options):
    raise NotImplementedError("the stand-in for CuPy does not compute this")


def _waits(*args, **options):
    raise RuntimeError(
        "on CuPy, the standard's clip and sign wait for the device: use xpcnn.ops.clip and xpcnn.ops.sign"
    )


def _counted(name, function):
    """The function, which also writes down what a GPU would do."""

    @_wraps(function)
    def call(*args, **options):
        made = function(*args, **options)
        flat = [each for arg in args for each in (arg if isinstance(arg, list | tuple) else (arg,))]
        read = [each._host for each in flat if isinstance(each, ndarray)]
        if name in ("concatenate", "stack"):
            for each in read:
                _note("launch", name, [each], [each])
        elif not any(_shares(made._host, each) for each in read):
            _note("launch", name, read, [made._host])
        return made

    return call


_NOTED = ("zeros", "ones", "where")  # by what they call
globals().update({name: f if name in _NOTED else _counted(name, f) for name, f in _FUNCTIONS.items()})
globals().update({name: getattr(_np, name) for name in _NUMPYS_OWN})
globals().update({name: ufunc(getattr(_np, name), getattr(_np, name).nin) for name in _ELEMENTWISE})
globals().update(dict.fromkeys(_NAMED, _absent))
globals().update(dict.fromkeys(("clip", "sign"), _waits))
