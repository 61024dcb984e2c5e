"""The kernels for CuPy compute positions right next to 2³¹ elements, for which no array is made.

    PYTHONPATH=tests/stand_in XPCNN_BACKEND=cupy pytest tests/kernels/test_cuda_positions.py

Each operation runs on arrays that have a shape and no memory. Of each kernel that it calls, g++ compiles the text with
positions of 32 and of 64 bits, which must read and write at the same places, within the arrays, in some threads, of
which the last reach farthest. Where an array is larger, 64 bits must have been chosen, and 32 would not do.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import xpcnn
from xpcnn.kernels.cuda import batch_norm, conv, cross_entropy, gather, kernel, pad, pool, steps
from xpcnn.ops import Window

pytestmark = pytest.mark.skipif(
    os.environ.get("XPCNN_BACKEND") != "cupy" or not shutil.which("g++"), reason="needs the stand-in for CuPy, and g++"
)


def hollow(shape, dtype="float32", order="C"):
    """An array without memory of its own, which a kernel takes for one in C order."""
    from cupy._ndarray import _wrap

    return _wrap(np.broadcast_to(np.zeros((), dtype), shape))


def product(a, b, out=None):
    return out if out is not None else hollow((a.shape[0], a.shape[1], b.shape[2]), a.dtype)


@pytest.fixture
def calls(monkeypatch):
    """The calls of kernels: (kernel, wide, arguments, number of threads)."""
    cupy = pytest.importorskip("cupy")
    if "stand-in" not in cupy.__version__:
        pytest.skip("of the stand-in")
    made = []

    def compiled(each, wide):
        def run(*args, size=None):
            made.append((each, wide, args, size))
            written = args[each.reads.count(",") + 1 :]
            return written[0] if len(written) == 1 else written

        return run

    monkeypatch.setattr(kernel, "_compiled", compiled)
    monkeypatch.setattr(cupy, "empty", hollow)
    monkeypatch.setattr(conv, "_matmul", product)
    monkeypatch.setattr(cupy.ndarray, "flags", SimpleNamespace(c_contiguous=True))
    monkeypatch.setattr(cupy.ndarray, "__repr__", lambda array: f"hollow {array.shape}")  # for a failure's report
    with xpcnn.use_backend("cupy"):
        yield made


def places(each, wide, args, threads, size):
    """For each thread a number that depends on all positions in their order; −1 if one is out of bounds."""
    import cupy
    from cupy._elementwise import _compiled

    template = cupy.ElementwiseKernel(*each.texts(wide))
    source = template._source(template._types(args), [isinstance(arg, cupy.ndarray) for arg in args])
    source = source.replace("return p[k]; }", "if (p) return p[k]; seen = seen * 1000003 + k; return *(A *)&none; }")
    source = source.replace("static long long bad;", "static long long bad, seen;")
    source = re.sub(r"for \(long long i = n - 1.*?\n.*?(thread\()i(.*?;)", r"\1n\2 bad = bad ? -1 : seen;", source)
    source = source.replace("bad = 0;", "bad = 0; seen = 0;")
    run, table, keep = _compiled(source), (ctypes.c_void_p * len(args))(), []
    for number, (arg, (letter, *_)) in enumerate(zip(args, template.params, strict=True)):
        if isinstance(arg, cupy.ndarray):
            here, count = 0, arg.size
        else:
            keep.append(np.array([arg]).astype("float32" if letter == "T" else letter))
            here, count = keep[-1].ctypes.data, 1
        keep.append(np.array([here, count], np.int64))
        table[number] = keep[-1].ctypes.data
    return [run(ctypes.c_longlong(i), table) for i in threads]


def with_workspace(size, call):
    def run():
        before, conv.WORKSPACE = conv.WORKSPACE, size
        try:
            call()
        finally:
            conv.WORKSPACE = before

    return run


def forward_and_back(pair, *args, **options):
    y, cache, *_ = pair[0](*args, **options)
    pair[1](hollow(y.shape), cache)


CONV, MAX = (conv.forward, conv.backward), (pool.max_forward, pool.max_backward)
AVG = (pool.avg_forward, pool.avg_backward)
GLOBAL = (pool.global_forward, pool.global_backward)
NORM = (batch_norm.forward, batch_norm.backward)
SQUARE = Window((4, 4), 1, (1, 2, 1, 2))  # 16 taps, and an output of the input's size
OPERATIONS = {  # with N items, of which 2¹⁵ − 1 make just as many elements as 32 bits are for
    "conv2d": lambda n: forward_and_back(CONV, hollow((n, 32, 32, 64)), hollow((9, 3, 3, 64)), hollow((9,)),
                                         window=Window(3, 2, 1)),
    "conv2d, rows": lambda n: with_workspace(1 << 60, lambda: forward_and_back(
        CONV, hollow((n, 8, 8, 64)), hollow((64, 4, 4, 64)), None, window=SQUARE))(),
    "conv2d, part of an image": lambda n: with_workspace(1 << 30, lambda: forward_and_back(
        CONV, hollow((1, n, 1024, 64)), hollow((8, 1, 1, 64)), None, window=Window(1, 1, (1, 0, 0, 0))))(),
    "conv2d_inference": lambda n: conv.inference(hollow((n, 32, 32, 3)), hollow((64, 1, 1, 3)), hollow((64,)),
                                                 window=Window(1), scale=hollow((64,)), relu=True),
    "depthwise": lambda n: forward_and_back(CONV, hollow((n, 32, 32, 64)), hollow((64, 3, 3, 1)), None,
                                            window=Window(3, 1, 1), groups=64),
    "max_pool2d": lambda n: forward_and_back(MAX, hollow((n, 32, 32, 64)), window=Window(3, 2, 1)),
    "max_pool2d_inference": lambda n: pool.max_inference(hollow((n, 32, 32, 64)), window=Window(2, 1)),
    "avg_pool2d": lambda n: forward_and_back(AVG, hollow((n, 32, 32, 64)), window=Window(3, 1, 1),
                                             count_include_pad=False),
    "global_avg_pool2d": lambda n: forward_and_back(GLOBAL, hollow((n, 8, 8, 1024))),
    "batch_norm": lambda n: forward_and_back(NORM, hollow((n, 1 << 16)), hollow((1 << 16,)), hollow((1 << 16,))),
    "batch_norm_inference": lambda n: batch_norm.inference(hollow((n, 32, 32, 64)), None, *3 * (hollow((64,)),)),
    "zero_pad": lambda n: pad.forward(hollow((n, 32, 31, 64)), [(0, 0), (0, 1), (0, 0)]),
    "gather_images": lambda n: gather.forward(hollow((9, 32, 32, 64), "uint8"), hollow((n,), "int64"), scale=255.0),
    "shift_images": lambda n: gather.shift(hollow((n, 32, 32, 64)), *2 * (hollow((n,), "int64"),), fill=0.0),
    "cross_entropy": lambda n: (lambda cache: cross_entropy.backward(cache))(
        cross_entropy.forward(hollow((n, 1 << 16)), hollow((n,), "int64"))[1]),
    "steps": lambda n: steps.step("p -= r * g;", {"r": 0.1}, (), [(hollow((n, 1 << 15)), hollow((n, 1 << 15)))] * 2),
}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [2**15 - 1, 2**15 + 9])
def test_positions_next_to_the_limit_of_32_bits(operation, n, calls):
    OPERATIONS[operation](n)
    known, wides = {}, 0
    for each, wide, args, size in calls:
        arrays = [arg.size for arg in args if hasattr(arg, "size")]
        if size is None or (each.name, wide, arrays[-1]) in known:
            continue
        known[each.name, wide, arrays[-1]] = None
        near = (i for k in (1, 2, 65, 4099, 10**6) for i in (size - k, size // 2 - k, k - 1))
        threads = sorted({i for i in near if 0 <= i < size})
        exact = places(each, True, args, threads, size)
        assert -1 not in exact, (each.name, "out of bounds")
        short = places(each, False, args, threads, size)
        if wide:
            wides += short != exact
        else:
            assert short == exact, each.name
    assert calls
    assert (wides > 0) == (n > 2**15), "the negative control"
