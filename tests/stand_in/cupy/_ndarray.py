"""CuPy's array, which is none of NumPy's and does not become one unless asked, and its elementwise functions."""

from __future__ import annotations

from types import SimpleNamespace

import cupyx
import numpy as np
from cupyx import _ledger
from cupyx._ledger import note

from .cuda import Device


def _wrap(host):
    array = object.__new__(ndarray)
    array._host = np.asarray(host)
    return array


def _of(array):
    """The NumPy array within an array; other arguments are refused (_core/core.pyx: `_ndarray_base a`)."""
    if not isinstance(array, ndarray):
        raise TypeError(f"Argument 'a' has incorrect type (expected cupy.ndarray, got {type(array).__name__})")
    return array._host


def _host(value):
    return value._host if isinstance(value, ndarray) else value


def _launched(name, made, *read):
    """The array that one kernel makes of these; none is needed for a view of one of them."""
    hosts = [_host(each) for each in read]
    if made.base is None or not any(isinstance(host, np.ndarray) and _shares(made, host) for host in hosts):
        note("launch", name, hosts, [made])
    return _wrap(made)


def _shares(a, b):
    return np.may_share_memory(a, b)


def _product_like(a, b):
    """An array for the product a b, of two arrays or more axes."""
    stacked = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.empty((*stacked, a.shape[-2], b.shape[-1]), np.result_type(a, b))


def _product_noted(args, made):
    """One launch; and a copy of each factor whose matrices are neither rows nor columns in memory (linalg.pyx)."""
    for host in args:
        if host.ndim > 1 and host.size and host.itemsize not in host.strides[-2:]:
            note("launch", "copy", [host], [host])
    note("launch", "matmul", args, [made], 2 * made.size * args[0].shape[-1])


class ufunc:
    """Of arrays of CuPy's and of scalars, never of NumPy's arrays (_core/_kernel.pyx, _core/_scalar.pyx: CScalar)."""

    def __init__(self, function, nin):
        self.function, self.nin = function, nin

    def __call__(self, *args, out=None, dtype=None, casting="same_kind"):
        options = {} if self.function is np.where else {"dtype": dtype, "casting": casting}
        for each in args:
            if not isinstance(each, (ndarray, bool, int, float, complex, np.generic)):
                raise TypeError(f"Unsupported type {type(each)}")
        hosts = [_host(each) for each in args]
        if self.function is np.matmul and not _ledger.computes:
            made = _wrap(_product_like(*hosts)) if out is None else out
        elif out is None:
            made = _wrap(self.function(*hosts, **options))
        else:
            (made,) = out if isinstance(out, tuple) else (out,)
            self.function(*hosts, out=_of(made), **options)
        if self.function is np.matmul:
            _product_noted(hosts, made._host)
        else:
            note("launch", self.function.__name__, hosts, [made._host])
        return made


class ndarray:
    __module__ = "cupy"
    __array_priority__ = 100
    __hash__ = None

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: SimpleNamespace(c_contiguous=self._host.flags.c_contiguous))
    device = property(lambda self: Device(0))
    T = property(lambda self: _wrap(self._host.T))

    # To the host, for which CuPy waits for the device (core.pyx: all of these call get)

    def get(self, stream=None, order="C", out=None, blocking=True):
        cupyx._synchronize()
        note("to_host", "get", [self._host])
        return self._host.copy(order)

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    __bool__, __int__, __float__, __complex__, __repr__, __str__ = (
        lambda self, convert=convert: convert(self.get()) for convert in (bool, int, float, complex, repr, str)
    )

    def __array__(self, dtype=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    # Copies (core.pyx)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("casting is not supported yet")
        return self if not copy and self.dtype == dtype else _launched("astype", self._host.astype(dtype, order), self)

    def copy(self, order="C"):
        return _launched("copy", self._host.copy(order), self)

    # Views, and copies where there is no view (_core/_routines_manipulation.pyx)

    def reshape(self, *shape, order="C", copy=None):
        return _launched("reshape", self._host.reshape(*shape, order=order), self)

    def swapaxes(self, axis1, axis2):
        return _wrap(self._host.swapaxes(axis1, axis2))

    def __deepcopy__(self, memo):
        return self.copy()

    def __reduce__(self):
        import cupy

        return cupy.array, (self.get(order="A"),)

    # Indexing (_core/_routines_indexing.pyx)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        key = self._key(key)
        if isinstance(key, tuple) and not any(isinstance(each, np.ndarray | list) for each in key):
            return _wrap(self._host[key])  # a view
        return _launched("take", self._host[key], self)

    def __setitem__(self, key, value):
        if isinstance(value, np.ndarray) and value.shape:  # core.pyx, fill
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        key, host = self._key(key), _host(value)
        part = self._host[key]
        into = part.__array_interface__["data"], part.strides, part.shape
        if isinstance(host, np.ndarray) and into == (host.__array_interface__["data"], host.strides, host.shape):
            return  # what += has already written (_core/_routines_indexing.pyx)
        self._host[key] = host
        note("launch", "setitem", [host], [part])

    def _key(self, key):
        """To read and to write: a mask's elements are counted, int(mask_scanned[-1]); one array of integers wraps."""
        keys = [_host(each) for each in (key if isinstance(key, tuple) else (key,))]
        kinds = [np.asarray(each).dtype.kind for each in keys if isinstance(each, (np.ndarray, list))]
        if "b" in kinds:
            cupyx._synchronize()
            note("launch", "count of a mask", [np.asarray(keys[0])])
        elif kinds and len(keys) == 1:
            return np.asarray(keys[0]) % self.shape[0]
        return tuple(keys)

    # Operators (core.pyx: __add__ …): with scalars through NumPy's functions, which come back to __array_ufunc__

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        import cupy

        name = {"absolute": "abs", "divide": "true_divide"}.get(ufunc.__name__, ufunc.__name__)
        if method != "__call__" or not hasattr(cupy, name):
            return NotImplemented
        return getattr(cupy, name)(*inputs, out=out, **options)


def _operator(function, turned=False, into=False):
    def operate(self, other):
        operands = (other, self) if turned else (self, other)
        return function(*operands, out=(self,)) if into else function(*operands)

    return operate


for _name, _function in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "floordiv": np.floor_divide,
    "pow": np.power, "matmul": np.matmul, "and": np.bitwise_and, "or": np.bitwise_or,
}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", _operator(_function))
    setattr(ndarray, f"__r{_name}__", _operator(_function, turned=True))
    setattr(ndarray, f"__i{_name}__", _operator(_function, into=True))
for _name, _function in {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal
}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", _operator(_function))
ndarray.__neg__ = lambda self: np.negative(self)
ndarray.__invert__ = lambda self: np.invert(self)
ndarray.__abs__ = lambda self: np.absolute(self)
