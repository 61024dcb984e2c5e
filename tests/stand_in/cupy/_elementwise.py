"""cupy.ElementwiseKernel, which g++ compiles for the processor (_core/_kernel.pyx).

    ElementwiseKernel("T x, raw T w, int64 n", "T y", "y = x * w[i % n]", "name")

A thread i runs the operation once. A parameter is `raw` (indexed by the operation, as if it lay in C order), or an
element, broadcast with the others. One capital letter is a type that the arrays agree on. What a GPU would not say is
an error here: an index out of bounds. Threads run in an order that none of them may depend on.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from cupyx import _ledger
from cupyx._ledger import note

from ._ndarray import _wrap, ndarray

_C = {
    "float32": "float", "float64": "double", "int32": "int", "int64": "long long", "uint8": "unsigned char",
    "bool": "bool",
}  # fmt: skip
_FLAGS = ("-x", "c++", "-std=c++17", "-O1", "-fwrapv", "-Wall", "-Wno-unused", "-shared", "-fPIC", "-")
_SOURCE = """
#include <cmath>
using namespace std;
static long long bad;
template <typename A> struct CArray {{
    A *p; long long n;
    A &operator[](long long k) const {{ static thread_local typename remove_const<A>::type none; \
if (k < 0 || k >= n) {{ bad = 1; return *(A *)&none; }} return p[k]; }}
    long long size() const {{ return n; }}
}};
{types}
{preamble}
static void thread(long long i{formal}) {{ {elements} {operation}; }}
extern "C" long long run(long long n, void **a) {{
    bad = 0;
    {bound}
    for (long long i = n - 1 - (n & 1); i >= 0; i -= 2) thread(i{actual});
    for (long long i = 0; i < n; i += 2) thread(i{actual});
    return bad;
}}
"""


class ElementwiseKernel:
    def __init__(
        self, in_params, out_params, operation, name="kernel", reduce_dims=True, preamble="", no_return=False,
        return_tuple=False, **kwargs
    ):  # fmt: skip
        if re.fullmatch(r"[A-Za-z_]\w*", name) is None:
            raise ValueError(f"Invalid kernel name: '{name}'")
        self.params = [(*_parse(each), kind) for kind, text in (("in", in_params), ("out", out_params))
                       for each in text.split(",") if each.strip()]  # fmt: skip
        self.operation, self.name, self.preamble = operation, name, preamble
        self.nin = sum(kind == "in" for *_, kind in self.params)

    def __call__(self, *args, size=None, stream=None, block_size=128):
        if len(args) not in (self.nin, len(self.params)):
            raise TypeError(f"Wrong number of arguments for '{self.name}'")
        given = [*args, *[None] * (len(self.params) - len(args))]
        types = self._types(given)
        elements = [a._host for a, (_, raw, *_) in zip(given, self.params, strict=True)
                    if not raw and isinstance(a, ndarray)]  # fmt: skip
        if size is not None and elements:
            raise ValueError("Specified 'size' can be used only if all of the ndarray are 'raw'.")
        if size is None and not elements:
            raise ValueError("Loop size is undecided.")
        shape = (size,) if size is not None else np.broadcast_shapes(*(each.shape for each in elements))
        hosts, returned, pointers, keep = [], [], [], []
        for a, (letter, raw, _, kind) in zip(given, self.params, strict=True):
            dtype = np.dtype(types.get(letter, letter))
            if a is None:
                if raw:
                    raise ValueError("Output array size is Undecided")
                a = _wrap(np.empty(shape, dtype))
            if kind == "out":
                if not raw and a.shape != shape:
                    raise ValueError("Out shape is mismatched")
                returned.append(a)
            host = a._host if isinstance(a, ndarray) else np.array(a, dtype)
            flat = host if raw or not isinstance(a, ndarray) else np.broadcast_to(host, shape)
            flat = flat if flat.flags.c_contiguous else np.ascontiguousarray(flat)
            hosts.append((a, flat, raw, kind))
            keep.append(np.array([flat.ctypes.data, flat.size], np.int64))
            pointers.append(keep[-1].ctypes.data)
        table = (ctypes.c_void_p * len(pointers))(*pointers)
        n = int(np.prod(shape))
        run = _compiled(self._source(types, [isinstance(a, ndarray) for a, *_ in hosts]))
        if _ledger.computes and run(ctypes.c_longlong(n), table):
            raise IndexError(f"{self.name}: an index out of bounds, which a GPU would not say")
        for a, flat, _, kind in hosts:
            if kind == "out" and flat.ctypes.data != a._host.ctypes.data:
                a._host[...] = flat.reshape(a.shape)
        note("launch", self.name, [flat for a, flat, _, kind in hosts if kind == "in" and isinstance(a, ndarray)],
             [flat for _, flat, _, kind in hosts if kind == "out"])  # fmt: skip
        return returned[0] if len(returned) == 1 else tuple(returned)

    def _types(self, given):
        types = {}
        for a, (letter, *_, kind) in zip(given, self.params, strict=True):
            if isinstance(a, np.ndarray) or (kind == "out" and not isinstance(a, ndarray | None)):
                raise TypeError(f"Unsupported type {type(a)}")
            if isinstance(a, ndarray) and str(a.dtype) != types.setdefault(letter, str(a.dtype)):
                raise TypeError(f"Type is mismatched. {letter} {a.dtype} {types[letter]}")
        for letter, dtype in types.items():
            if len(letter) > 1 and letter != dtype:
                raise TypeError(f"Type is mismatched. {letter} {dtype}")
        return types

    def _source(self, types, arrays):
        formal, elements, bound, actual = "", [], [], ""
        for number, ((letter, raw, name, kind), array) in enumerate(zip(self.params, arrays, strict=True)):
            c = _C[types.get(letter, letter)]
            const = "const " * (kind == "in")
            formal += f", CArray<{const}{c}> _{name}"
            bound.append(f"CArray<{const}{c}> _{name} {{({const}{c} *)((long long *)a[{number}])[0], "
                         f"((long long *)a[{number}])[1]}};")  # fmt: skip
            elements.append(f"auto &{name} = _{name}{'' if raw else '[i]' if array else '[0]'};")
            actual += f", _{name}"
        return _SOURCE.format(
            types="".join(f"typedef {_C[dtype]} {letter};\n" for letter, dtype in types.items() if len(letter) == 1),
            preamble=self.preamble, formal=formal, elements=" ".join(elements), operation=self.operation,
            bound=" ".join(bound), actual=actual,
        )  # fmt: skip


def _parse(text):
    """(type, True if raw, name)"""
    *words, name = text.split()
    if not words or words[:-1] not in ([], ["raw"]):
        raise ValueError(f"Syntax error: {text}")
    if len(words[-1]) > 1 and words[-1] not in _C:
        raise TypeError(f"data type {words[-1]!r} not understood")
    return words[-1], words[0] == "raw", name


@cache
def _compiled(source):
    """The function, compiled once for all processes of this user."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise RuntimeError("the stand-in for CuPy needs g++ to compile kernels")
    folder = Path(tempfile.gettempdir()) / f"stand-in-for-cupy-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{hashlib.sha256(repr((_FLAGS, source)).encode()).hexdigest()[:32]}.so"
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}")
        command = [compiler, *_FLAGS, "-o", made]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        if done.returncode or "warning" in done.stderr:
            raise RuntimeError(f"{done.stderr}\n{source}")
        made.replace(path)
    function = ctypes.CDLL(str(path)).run
    function.restype = ctypes.c_longlong
    return function
