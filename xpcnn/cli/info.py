"""`xpcnn info`."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from .. import __version__
from ..backend import current_backend
from ..errors import BackendError
from ..nn import Conv2d
from ..ops import dispatch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> None:
    for name, value in _rows():
        print(f"{name:<16} {value}")


def _rows() -> list[tuple[str, str]]:
    rows = [
        ("xpcnn", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("numpy", np.__version__),
        ("backend", _backend()),
        ("cpu", f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"),
        *_blas(),
        *_cupy(),
    ]
    for package in ("array-api-compat", "safetensors", "torch", "matplotlib", "pillow"):
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
    return rows + _implementations()


def _backend() -> str:
    try:
        backend = current_backend()
    except BackendError as error:
        return f"not usable: {error}"
    return f"{backend.name}, device {backend.device}"


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


def _implementations() -> list[tuple[str, str]]:
    """For each operation that has a choice: what would run on the current backend, and why not the others."""
    try:
        layer = Conv2d(32, 64, 3, padding=1, rng=0)
    except BackendError:
        return []
    calls = {"conv2d": ((layer.zeros((28, 28, 32)), layer.weight, layer.bias), {"window": layer.window})}
    rows = []
    for op, (arrays, options) in calls.items():
        runs = dispatch.choose(op, *arrays, **options)
        told = [f"{runs.name} runs"]
        for each in dispatch.implementations(op):
            if each is not runs:
                told.append(f"{each.name} {each.refuses(*arrays, **options) or 'could run'}")
        rows.append((op, ", ".join(told)))
    return [*rows, ("other operations", "reference")]
