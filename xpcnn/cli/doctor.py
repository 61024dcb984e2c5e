"""`xpcnn doctor`: what this machine has, and whether xpcnn works on it as it should."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from .. import io, models, settings
from ..backend import asarray, current_backend, is_numpy, to_numpy
from ..errors import BackendError, XpcnnError
from ..gradient_check import gradcheck
from ..nn import Conv2d
from ..nn.layer_examples import EXAMPLES
from ..ops import dispatch
from ..ops.dispatch import use_implementation
from ..options import expanded
from .info import cores, machine

LEAST_FREE = 2**30  # bytes on the disk for runs and data sets
LEAST_RATE = 8.0  # GFLOP/s per core in a matrix product: any BLAS with vector instructions reaches it
TOOLKIT = "install a CUDA toolkit, or the extra xpcnn[cuda12-toolkit] or [cuda13-toolkit]"
AGREEMENT = 1e-4  # relative to the largest output, between implementations in float32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    for name, value in machine():
        print(f"{name:<20} {value}")
    print()
    problems, checks = 0, _CHECKS | _kernel_checks()
    width = max(20, *map(len, checks))
    for name, check in checks.items():
        try:
            verdict, well = check()
        except (XpcnnError, OSError) as error:
            verdict, well = " ".join(str(error).split()), False
        except Exception as error:  # whatever a GPU's compiler or driver raises
            verdict, well = _with_toolkit(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"), False
        problems += not well
        print(f"{'ok' if well else 'PROBLEM':<8} {name:<{width}} {verdict}", flush=True)
    print(f"\n{problems or 'no'} problem{'s' * (problems != 1)}")
    return 1 if problems else 0


def _gradients() -> tuple[str, bool]:
    names = ("Conv2d", "MaxPool2d", "BatchNorm2d", "Linear")
    wrong = [name for name in names if not gradcheck(*EXAMPLES[name]()).passed]
    return (f"wrong: {', '.join(wrong)}; see xpcnn gradcheck", False) if wrong else (", ".join(names), True)


def _implementations() -> tuple[str, bool]:
    """Check that the fast implementations agree with the reference on this machine's processor and BLAS."""
    conv = Conv2d(16, 16, 3, padding=1, rng=0)
    x = asarray(np.random.default_rng(0).normal(size=(16, 12, 12, 16)).astype(np.float32))
    with use_implementation("reference"):
        expected = to_numpy(conv.forward(x)[0])
    difference = float(np.abs(to_numpy(conv.forward(x)[0]) - expected).max() / np.abs(expected).max())
    well = difference <= AGREEMENT
    return f"differ from the reference by {difference:.1e}" + (
        "" if well else "; set XPCNN_IMPLEMENTATION=reference"
    ), well


def _blas_rate() -> tuple[str, bool]:
    if not is_numpy(asarray([0.0])):
        return f"not measured: the backend is {current_backend().name}", True
    a = np.ones((1024, 1024), np.float32)
    times = []
    for _ in range(6):
        begun = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begun)
    rate = 2 * 1024**3 / min(times) / 1e9
    told = f"{rate:.0f} GFLOP/s in float32"
    if rate < LEAST_RATE * cores():
        return f"{told}, slow for {cores()} cores; see the BLAS above, and whether other programs are running", False
    return told, True


def _threads() -> tuple[str, bool]:
    from threadpoolctl import threadpool_info

    blas = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    most = max(blas, settings.num_threads() or 1)
    if most > cores():
        return f"{most} for {cores()} cores; set XPCNN_NUM_THREADS and OMP_NUM_THREADS={cores()}", False
    return f"{most} for {cores()} cores", True


def _files() -> tuple[str, bool]:
    model = models.build("lenet5", (28, 28, 1), 10, rng=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        io.save_model(model, path, input_shape=(28, 28, 1))
        again = io.load_model(path).model.state_dict()
    same = all((to_numpy(array) == to_numpy(again[name])).all() for name, array in model.state_dict().items())
    return ("a model is read as it was written", True) if same else ("a model changed when it was saved", False)


def _settings() -> tuple[str, bool]:
    """Read every setting that xpcnn checks; an invalid one is otherwise noticed where it is used."""
    said = []
    for read in (settings.num_threads, settings.cache_bytes, settings.numba, dispatch.forced):
        try:
            read()
        except XpcnnError as error:
            said.append(str(error))
    return "; ".join(said) or "all are valid", not said


def _disk() -> tuple[str, bool]:
    free = shutil.disk_usage(Path.cwd()).free
    told = f"{free / 2**30:.1f} GiB free in {Path.cwd()}"
    return (told, True) if free >= LEAST_FREE else (f"{told}; runs and downloads need some", False)


def _data_folder() -> tuple[str, bool]:
    from platformdirs import user_cache_path

    folder = settings.data_folder()
    if folder is None:
        return f"in the user's cache, {user_cache_path('xpcnn')}", True
    folder = expanded("XPCNN_DATA", folder)
    if not folder.is_dir():
        return f"XPCNN_DATA is {folder}, which is no folder; make it, or correct the name", False
    return f"in XPCNN_DATA, {folder}", True


def _kernel_checks() -> dict[str, Callable[[], tuple[str, bool]]]:
    """On CuPy: each operation's kernels, compared with the reference on this device; see `xpcnn.kernels.cuda`."""
    try:
        if current_backend().name != "cupy":
            return {}
    except BackendError:
        return {}  # which the table above says
    from ..optim import SGD, Adam, AdamW

    optimizers = [kind({"p": asarray([1.0])}, lr=0.1) for kind in (SGD, Adam, AdamW)]
    for each in optimizers:
        each.steps = 1
    return {f"CUDA {name}": partial(_kernels, say) for name, say in dispatch.verdicts(optimizers).items()}


def _kernels(say: Callable[[], str]) -> tuple[str, bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said here
        said = say()
    if said == "agrees":
        return "agrees with the reference on this device", True
    return _with_toolkit(f"left out: {said}"), False


def _with_toolkit(said: str) -> str:
    """The message, and what to install where it is about a part of CUDA that is missing."""
    missing = any(word in said for word in ("nvrtc", "libcu", ".so", "cuda_fp16.h", "headers", "CUDA_PATH"))
    return said + (f"; {TOOLKIT}" if missing else "")


_CHECKS: dict[str, Callable[[], tuple[str, bool]]] = {
    "settings": _settings,
    "gradients": _gradients,
    "implementations": _implementations,
    "product of matrices": _blas_rate,
    "threads": _threads,
    "files": _files,
    "data": _data_folder,
    "disk": _disk,
}
