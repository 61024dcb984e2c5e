"""`xpcnn info`."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .. import __version__, settings
from ..backend import asarray, current_backend
from ..errors import BackendError, OptionError
from ..extras import EXTRAS
from ..nn import BatchNorm2d, Conv2d, Linear
from ..ops import Window, dispatch
from ..ops.implementations import ACTIVATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> None:
    for name, value in machine() + _implementations():
        print(f"{name:<20} {value}")


def machine() -> list[tuple[str, str]]:
    """Versions, backend, BLAS, threads and optional packages."""
    rows = [
        ("xpcnn", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("numpy", np.__version__),
        ("backend", _backend()),
        ("cpu", f"{cores()} cores"),
        *_blas(),
        ("threads", _threads()),
        *_cupy(),
    ]
    for package, extra in (
        ("array-api-compat", ""),
        *((name, f", the extra xpcnn[{extra}]") for name, extra in EXTRAS.values()),
        ("torch", ""),
    ):
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, f"not installed{extra}"))
    return rows


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _backend() -> str:
    try:
        backend = current_backend()
    except BackendError as error:
        return f"not usable: {error}"
    return f"{backend.name}, device {backend.device}"


def _threads() -> str:
    try:
        return str(settings.num_threads() or "as many as BLAS")
    except OptionError as error:
        return f"not usable: {error}"


def _blas() -> list[tuple[str, str]]:
    from threadpoolctl import threadpool_info

    return [
        (
            "blas",
            f"{pool['internal_api']} {pool['version']}, core {pool.get('architecture', 'unknown')}, "
            f"{pool['num_threads']} threads",
        )
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]


def _cupy() -> list[tuple[str, str]]:
    from ..backend import use_backend

    try:
        with use_backend("cupy") as backend:
            import cupy

            runtime = cupy.cuda.runtime
            return [
                ("cupy", cupy.__version__),
                ("cuda", f"runtime {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}"),
                ("gpu", runtime.getDeviceProperties(backend.device.id)["name"].decode()),
            ]
    except BackendError as error:
        return [("cupy", f"not usable: {error.got}")]


_OTHER_LIBRARY = "the arrays are not "  # NumPy's, or CuPy's: the reason of all implementations of that library


def _implementations() -> list[tuple[str, str]]:
    """For each operation with a choice: what runs for a batch of 64 on the current backend, and why not the others."""
    try:
        layer, dense = Conv2d(32, 64, 3, padding=1, rng=0), Linear(32, 10, rng=0)
        x, rows = asarray(np.zeros((64, 28, 28, 32), np.float32)), asarray(np.zeros((64, 32), np.float32))
    except BackendError:
        return []
    norm = BatchNorm2d(32)
    affine = (norm.weight, norm.bias)
    calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "conv2d": ((x, layer.weight, layer.bias), {"window": layer.window}),
        "conv2d_inference": ((x, layer.weight, layer.bias), {"window": layer.window, "relu": True}),
        "linear": ((rows, dense.weight, dense.bias), {}),
        "relu": ((x,), {}),
        "max_pool2d": ((x,), {"window": Window(2, 2)}),
        "max_pool2d_inference": ((x,), {"window": Window(2, 2)}),
        "avg_pool2d": ((x,), {"window": Window(2, 2)}),
        "global_avg_pool2d": ((x,), {}),
        "batch_norm": ((x, *affine), {}),
        "batch_norm_relu": ((x, *affine), {}),
        "batch_norm_add": ((x, x, *affine), {"relu": True}),
        "batch_norm_inference": ((x, *affine, norm.running_mean, norm.running_var), {}),
        "batch_norm_affine": ((*affine, norm.running_mean, norm.running_var), {}),
        "running_statistics": ((*2 * (norm.running_mean, norm.running_var),), {"momentum": 0.1, "count": 64}),
        "cross_entropy": ((rows, asarray(np.zeros(64, np.int64))), {}),
        "gather_images": ((asarray(np.zeros((64, 28, 28, 1), np.uint8)), asarray(np.arange(64))), {"scale": 255}),
        "shift_images": ((x, *2 * (asarray(np.zeros(64, np.int64)),)), {"fill": 0.0}),
        "zero_pad": ((x, [(1, 1), (1, 1), (0, 0)]), {}),
        "add": ((x, x), {}),
        "prelu": ((x, norm.weight), {}),
    }
    calls |= {op: (((x, x),), {}) for op in ("add_join", "multiply", "maximum", "minimum")}
    calls |= {op: ((x,), {}) for op in ACTIVATIONS}
    told_rows = []
    for op in dispatch.operations():
        arrays, options = calls[op]
        runs = dispatch.choose(op, *arrays, **options)
        others = []
        for each in dispatch.implementations(op):
            if each.name == "numba" and not settings.numba():
                continue
            reason = each.refuses(*arrays, **options)
            if each is not runs and not (reason or "").startswith(_OTHER_LIBRARY):
                others.append(each.name if reason is None else f"{each.name}, which refuses: {reason}")
        if others:
            told_rows.append((op, f"{runs.name} (others: {'; '.join(others)})"))
    return [*told_rows, ("other operations", "reference")]
