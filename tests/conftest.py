"""One `xp` fixture over all backends: each test with it runs on every installed array library.

`XPCNN_BACKEND=cupy pytest` (or any other name) runs the whole suite on that library only.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import xpcnn

from .arrays import Library

if sys.dont_write_bytecode:  # hundreds of tests start Python, which would compile the library each time
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent.parent / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
settings.register_profile("default", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=200, **_COMMON)  # pytest --hypothesis-profile=thorough
settings.load_profile("default")


def _libraries() -> list[str]:
    chosen = os.environ.get("XPCNN_BACKEND")
    if chosen and chosen != "numpy":
        return [chosen]
    here = ["numpy", "numpy_readonly"]
    if not chosen:
        here += [name for name in ("array_api_strict", "torch") if find_spec(name)]
    return here


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "xp" in metafunc.fixturenames:
        metafunc.parametrize("xp", _libraries(), indirect=True)


@pytest.fixture
def xp(request: pytest.FixtureRequest) -> Iterator[Library]:
    library = Library(request.param)
    with xpcnn.use_backend(library.backend):
        if library.backend == "array_api_strict":
            import array_api_strict

            with array_api_strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False):
                yield library
        else:
            yield library


_USUAL = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}


@pytest.fixture(autouse=True, scope="module")
def _signals_of_fixtures() -> None:
    _signals_as_at_the_start_of_a_program()


@pytest.fixture(autouse=True)
def _signals() -> None:
    """The command line's `main` leaves those of the end of a process, and a shell's background ignores some."""
    _signals_as_at_the_start_of_a_program()


def _signals_as_at_the_start_of_a_program() -> None:
    for name, handler in _USUAL.items():
        number = getattr(signal, name, signal.SIGINT)  # Windows has no SIGHUP
        if hasattr(signal, name) and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20170522)


@pytest.fixture(autouse=True)
def _numpy_where_no_library_is_asked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test without `xp` concerns the host: errors, files, bookkeeping. It runs on NumPy."""
    if "xp" in request.fixturenames:
        yield
    else:
        with xpcnn.use_backend("numpy"):
            yield


@pytest.fixture
def any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast implementations also accept batches that they usually refuse because they would not pay."""
    monkeypatch.setattr("xpcnn.kernels.batch_last.MINIMUM_BATCH", 1)
    monkeypatch.setattr("xpcnn.kernels.batch_last.COMPILED_BATCH", 1)
    monkeypatch.setattr("xpcnn.kernels.batch_last.FEW_CHANNELS", 1)
    monkeypatch.setattr("xpcnn.kernels.elementwise.MINIMUM_SIZE", 1)
    monkeypatch.setattr("xpcnn.kernels.winograd.FEWEST_CHANNELS", 1)
    monkeypatch.setattr("xpcnn.kernels.winograd.LEAST_SAVING", -9.0)
    monkeypatch.setattr("xpcnn.kernels.tiles.CHANNELS", 1)
    monkeypatch.setattr("xpcnn.kernels.tiles.TILES", 1)
    monkeypatch.setattr("xpcnn.kernels.tiles.LEAST_SAVING", -99.0)
    monkeypatch.setattr("xpcnn.kernels.compiled.winograd.FEWEST_IMAGES", 1)
    monkeypatch.setattr("xpcnn.kernels.compiled.winograd.MOST_WORK", 99.0)


@pytest.fixture(autouse=bool(os.environ.get("XPCNN_IMPLEMENTATION")))
def _any_batch_where_an_implementation_is_forced(any_batch: None) -> None:
    pass


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    xpcnn.seed(1)
