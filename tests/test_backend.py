"""Switching backends: where arrays are made, how they move, and the error if a backend is not available."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

import xpcnn
from xpcnn.backend import array_namespace, current_backend, dtype_name
from xpcnn.errors import BackendError, DTypeError

from .arrays import assert_close


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


def test_arrays_are_born_in_the_current_backend(xp):
    assert current_backend().name == xp.backend
    assert_close(xpcnn.asarray([[1.0, 2.0]]), np.array([[1.0, 2.0]], "float32"))
    assert dtype_name(xpcnn.asarray([1, 2])) == "int64"
    assert dtype_name(xpcnn.asarray(np.zeros(2, "uint8"))) == "uint8"
    assert_close(xpcnn.asarray(np.arange(3.0)), np.arange(3.0))
    assert_close(xpcnn.asarray(np.arange(3.0), dtype="float32"), np.arange(3, dtype="float32"))
    assert xpcnn.asarray(3.5).shape == ()


@pytest.mark.parametrize("data", [[[1.0], [2.0, 3.0]], (np.ones((2, 3)), np.ones((2, 4)))])
def test_rows_of_several_lengths_are_refused(data):
    with pytest.raises(DTypeError, match=r"asarray: expected numbers in rows of one length, got a (list|tuple)"):
        xpcnn.asarray(data)


def test_to_numpy_comes_back(xp, rng):
    host, array = xp.normal(rng, 3, 4)
    np.testing.assert_array_equal(xpcnn.to_numpy(array), host)
    assert xpcnn.asarray(array) is array
    xpcnn.synchronize()


@pytest.mark.parametrize("dtype", ["float16", "complex64", "datetime64", "ones", "nonsense"])
def test_element_types_that_not_every_backend_has_are_refused(xp, dtype):
    for call in (xpcnn.asarray, xpcnn.backend.astype):
        with pytest.raises(DTypeError, match=f"^dtype: expected one of float32, .*, got '{dtype}'$"):
            call(xp.array(np.ones(2)), dtype)


def test_an_array_that_has_the_element_type_is_not_copied():
    host = np.arange(3.0)
    assert np.shares_memory(xpcnn.asarray(host, "float64"), host)
    assert not np.shares_memory(xpcnn.asarray(host, "float32"), host)


def test_synchronize_waits_for_cupy_alone(monkeypatch):
    waited = []
    stream = SimpleNamespace(synchronize=lambda: waited.append("for its stream"))
    cuda = SimpleNamespace(get_current_stream=lambda: stream)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    xpcnn.synchronize()
    assert waited == []
    monkeypatch.setattr("xpcnn.backend.current_backend", lambda: SimpleNamespace(name="cupy"))
    xpcnn.synchronize()
    assert waited == ["for its stream"]


def test_asarray_moves_between_backends(xp, rng):
    _, array = xp.normal(rng, 3, 4)
    with xpcnn.use_backend("numpy"):
        assert type(xpcnn.asarray(array)) is np.ndarray
    assert_close(xpcnn.asarray(np.asarray(xpcnn.to_numpy(array))[::-1].T), xpcnn.to_numpy(array)[::-1].T)


def test_environment_is_read_at_first_use_and_decides():
    code = "import xpcnn, os; os.environ['XPCNN_BACKEND'] = 'numpy'; print(xpcnn.backend.current_backend().name)"
    assert run_python(code, XPCNN_BACKEND="nonsense").stdout == "numpy\n"


def test_unknown_backend_names_the_known_ones():
    done = run_python("import xpcnn; xpcnn.asarray([1.0])", XPCNN_BACKEND="nonsense")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "xpcnn.errors.BackendError: XPCNN_BACKEND: expected one of numpy, cupy, torch, array_api_strict, "
        "got 'nonsense'; set it to numpy, or to cupy for a GPU"
    )
    with pytest.raises(BackendError, match="'jax'"):
        xpcnn.use_backend("jax")


@pytest.mark.parametrize("name", ["cupy", "torch", "array_api_strict"])
def test_missing_library_says_what_to_install(name):
    code = f"import sys; sys.modules[{name!r}] = None; import xpcnn; xpcnn.use_backend({name!r})"
    done = run_python(code, XPCNN_BACKEND="numpy")
    assert "BackendError" in done.stderr.splitlines()[-1]
    assert "pip install" in done.stderr.splitlines()[-1]


def test_a_cupy_that_does_not_load_says_why(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libcublas.so.12: cannot open\\n  shared object file')")
    done = run_python("import xpcnn; xpcnn.use_backend('cupy')", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    line = done.stderr.splitlines()[-1]
    assert "backend cupy: expected CuPy, got libcublas.so.12: cannot open shared object file; pip install" in line


@pytest.mark.skipif(current_backend().name == "cupy", reason="there is a GPU")
def test_cupy_without_gpu_is_a_backend_error():
    with pytest.raises(BackendError, match="nvidia-smi" if find_spec("cupy") else "cuda12"):
        xpcnn.use_backend("cupy")


def test_plain_call_and_block():
    before = current_backend().name
    with xpcnn.use_backend("numpy") as backend:
        assert backend.name == current_backend().name == "numpy"
    assert current_backend().name == before
    with pytest.raises(ZeroDivisionError), xpcnn.use_backend("numpy"):
        _ = 1 / 0
    assert current_backend().name == before


@pytest.mark.skipif(not find_spec("array_api_strict"), reason="needs a second backend")
def test_the_choice_belongs_to_its_thread():
    seen = []
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with xpcnn.use_backend("array_api_strict"):
            inside.set()
            go_on.wait(10)
            seen.append(current_backend().name)

    thread = threading.Thread(target=other)
    with xpcnn.use_backend("numpy"):
        thread.start()
        inside.wait(10)
        assert current_backend().name == "numpy"
        go_on.set()
        thread.join()
    assert seen == ["array_api_strict"]


@pytest.mark.skipif(not find_spec("array_api_strict"), reason="needs a second backend")
def test_mixed_backends_are_refused():
    with xpcnn.use_backend("array_api_strict"):
        strict = xpcnn.asarray([1.0])
    with pytest.raises(BackendError, match=r"numpy.ndarray and array_api_strict.*xpcnn.asarray"):
        array_namespace(np.zeros(1), strict)
    with pytest.raises(BackendError, match=r"builtins\.list"):
        array_namespace([1.0])
