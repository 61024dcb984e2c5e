"""The stand-in for CuPy refuses what CuPy refuses, and has CuPy's signatures.

    PYTHONPATH=tests/stand_in XPCNN_BACKEND=cupy pytest tests/test_cupy_stand_in.py     its rules
    pytest tests/test_cupy_stand_in.py     with CuPy 14, with or without a GPU: compares its signatures

The rules also hold for CuPy itself: if there is a GPU, they are tested on it.
"""

from __future__ import annotations

import ast
import inspect
import os
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.backend import array_namespace

STAND_IN = Path(__file__).parent / "stand_in" / "cupy"
SPEC = find_spec("cupy")
IS_STAND_IN = SPEC is not None and Path(SPEC.origin).parent == STAND_IN
on_cupy = pytest.mark.skipif(os.environ.get("XPCNN_BACKEND") != "cupy", reason="needs XPCNN_BACKEND=cupy")


@pytest.fixture
def x():
    with xpcnn.use_backend("cupy"):
        yield xpcnn.asarray(np.array([[1.0, -2.0], [3.0, 4.0]], np.float32))


@pytest.fixture
def cupy():
    """CuPy itself, in the version that the stand-in imitates."""
    if SPEC is None or IS_STAND_IN:
        pytest.skip("needs CuPy")
    import cupy

    if cupy.__version__.partition(".")[0] != "14":
        pytest.skip("needs CuPy 14")
    return cupy


def assign(x, key, value):
    x[key] = value


def add_in_place(x, other):
    x += other


@on_cupy
@pytest.mark.parametrize(
    "call",
    [
        np.asarray, lambda x: np.add(x, np.ones(2)), lambda x: x + np.ones((2, 2)),
        lambda x: np.ones((2, 2)) * x, lambda x: x @ np.ones((2, 2)), lambda x: x == np.ones((2, 2)),
        lambda x: add_in_place(x, np.ones((2, 2))),
        lambda x: add_in_place(x, x.astype("complex64")),
    ],
)  # fmt: skip
def test_nothing_of_numpys_slips_in(x, call):
    with pytest.raises(TypeError):
        call(x)


@on_cupy
@pytest.mark.parametrize(
    "call",
    [lambda x: assign(x, ..., np.ones((2, 2), np.float32)), lambda x: bool(x), lambda x: assign(x, 0, np.ones(2))],
)
def test_what_needs_one_value_refuses_more(x, call):
    with pytest.raises(ValueError, match=r"non-scalar numpy|ambiguous"):
        call(x)


@on_cupy
@pytest.mark.parametrize("name", ["sum", "mean", "max", "argmax", "all"])
def test_reductions_leave_arrays_on_the_device(x, name):
    done = getattr(array_namespace(x), name)(x)
    assert type(done).__module__ == "cupy"
    assert done.shape == ()


@on_cupy
def test_dtypes_are_those_of_nep_50(x):
    assert (x * 2.0).dtype == (2 / x).dtype == (x + 1).dtype == (x * np.float32(2)).dtype == np.float32
    assert (x * np.float64(2)).dtype == (x * x.astype("float64")[0, 0]).dtype == np.float64
    assert type(np.exp(x)).__module__ == "cupy"


@on_cupy
def test_integers_out_of_bounds_wrap_around(x):
    assert array_namespace(x).take(x[0], xpcnn.asarray([2, -1])).tolist() == [1.0, -2.0]
    assert x[0][[3, 0]].tolist() == [-2.0, 1.0]
    with pytest.raises(IndexError):
        x[2]


@on_cupy
@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize")
@pytest.mark.parametrize(
    "read",
    [
        float, int, str, lambda x: bool(x > 0), lambda x: x.get(), lambda x: x.item(), lambda x: x.tolist(),
        lambda x: x[x > 0], lambda x: assign(x, x > 0, 1.0),
    ],
)  # fmt: skip
def test_what_waits_for_the_device(x, read):
    import cupyx

    x = x[1, 0]
    read(x)
    with cupyx.allow_synchronize(False), pytest.raises(RuntimeError, match="synchronization"):
        read(x)


@pytest.mark.skipif(not IS_STAND_IN, reason="of the stand-in")
def test_nobody_takes_it_for_cupy():
    import cupy

    assert "stand-in" in cupy.__version__
    assert b"stand-in" in cupy.cuda.runtime.getDeviceProperties(0)["name"]


@pytest.mark.skipif(not IS_STAND_IN, reason="of the stand-in")
@on_cupy
@pytest.mark.parametrize(
    ("call", "counted"),
    [
        (lambda x, xp: x + 1, {"launch": 1}), (lambda x, xp: assign(x, 0, 1.0), {"launch": 1}),
        (lambda x, xp: x @ x.T, {"launch": 1}), (lambda x, xp: x[::-1, ::-1] @ x, {"launch": 2}),
        (lambda x, xp: xp.reshape(x, (4,)), {}), (lambda x, xp: xp.reshape(x.T, (4,)), {"launch": 1}),
        (lambda x, xp: xp.concatenate([x, x]), {"launch": 2}), (lambda x, xp: xp.where(x > 0, x, x), {"launch": 2}),
        (lambda x, xp: xp.zeros((2,)), {"launch": 1}), (lambda x, xp: xp.empty((2,)), {}),
        (lambda x, xp: x[0, 0], {}), (lambda x, xp: float(x[0, 0]), {"to_host": 1, "wait": 1}),
        (lambda x, xp: xp.asarray(np.ones(2)), {"to_device": 1}), (lambda x, xp: x[x > 0], {"launch": 3, "wait": 1}),
        (lambda x, xp: add_in_place(x[:, ::2], x[:, ::2]), {"launch": 1}),
    ],
)  # fmt: skip
def test_what_a_gpu_would_do_is_counted(x, call, counted):
    from cupyx import _ledger

    xp = array_namespace(x)
    _ledger.records = []
    try:
        call(x, xp)
        assert Counter(each.kind for each in _ledger.records) == counted
    finally:
        _ledger.records = None


@pytest.mark.skipif(not IS_STAND_IN, reason="of the stand-in")
@on_cupy
def test_the_counts_are_the_same_where_nothing_is_computed():
    from ci.launches import counting

    found = []
    with xpcnn.use_backend("cupy"):
        layers = (nn.Conv2d(1, 2, 3, padding=1, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        model = nn.Sequential(*layers, nn.Linear(8, 3, rng=1))
        x = xpcnn.asarray(np.ones((4, 4, 4, 1), np.float32))
        model.forward(x)  # the kernels are compared with the reference
        for computes in (True, False):
            with counting(computes) as records:
                y, cache = model.forward(x)
                model.backward(y, cache)
            found.append([vars(each) for each in records])
    assert found[0] == found[1]
    assert len(found[0]) > 15


def test_a_count_that_grows_is_said():
    from ci.committed import grown

    before = {"nets": {"lenet5": {"launches": 5, "waits": 0, "pytorch": 3}}}
    after = {"nets": {"lenet5": {"launches": 6, "waits": 0, "pytorch": 4}}}
    assert grown(after, before) == ["nets lenet5 launches: 6, committed 5"]
    assert grown(before, before) == []
    assert grown(before, {}) == ["nets lenet5 launches: 5, committed none", "nets lenet5 waits: 0, committed none"]


def parameters(arguments: ast.arguments) -> list[tuple[str, str, bool]]:
    """The name and kind of each, and True if it has a default."""
    plain = arguments.posonlyargs + arguments.args
    missing = len(plain) - len(arguments.defaults)
    found = [(a.arg, "POSITIONAL_OR_KEYWORD", i >= missing) for i, a in enumerate(plain)]
    if arguments.vararg:
        found.append((arguments.vararg.arg, "VAR_POSITIONAL", False))
    found += [
        (a.arg, "KEYWORD_ONLY", default is not None)
        for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return found


def signatures(scope: ast.AST) -> dict[str, ast.arguments]:
    """The arguments of the functions in that scope, and of those in tables."""
    found = {n.name: n.args for n in scope.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}
    for node in scope.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            rows = zip(node.value.keys, node.value.values, strict=True)
            found |= {name.value: function.args for name, function in rows}
    return found


MODULE, ARRAY = (ast.parse((STAND_IN / name).read_text()) for name in ("__init__.py", "_ndarray.py"))
FUNCTIONS = signatures(MODULE)
METHODS = signatures(next(node for node in ARRAY.body if isinstance(node, ast.ClassDef) and node.name == "ndarray"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_cupys_signatures(cupy, name):
    theirs = inspect.signature(getattr(cupy, name)).parameters.values()
    assert parameters(FUNCTIONS[name]) == [(p.name, p.kind.name, p.default is not p.empty) for p in theirs]


@pytest.mark.parametrize("name", METHODS)
def test_methods_have_cupys_signatures(cupy, name):
    line = getattr(cupy.ndarray, name).__doc__.splitlines()[0]  # "_ndarray_base.copy(self, order='C') -> …"
    head = line.partition(".")[2].partition(" -> ")[0].replace("Py_ssize_t ", "")
    assert parameters(METHODS[name]) == parameters(ast.parse(f"def {head}: pass").body[0].args)


def test_cupy_has_every_name(cupy):
    values = [node.value for node in MODULE.body if isinstance(node, ast.Assign)]
    names = [each.value for value in values if isinstance(value, ast.Tuple) for each in value.elts]
    assert len(names) > 60
    assert [name for name in names if not hasattr(cupy, name)] == []
