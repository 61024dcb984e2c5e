"""Describes the machine of a measurement: the figures mean nothing without it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from xpcnn.cli.info import cores

from .errors import BenchError
from .processes import ROOT


def describe(threads: int, pools: list[dict[str, Any]]) -> dict[str, Any]:
    """The machine, the libraries that xpcnn uses, and the state of the source.

    Parameters
        pools : the thread pools in xpcnn's worker
    Raises
        BenchError : BLAS does not report the core that it is optimized for, so that two runs could not be told apart
    """
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "ram_gib": _ram(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "blas": _blas(pools),
        "threads": threads,
        "implementation": os.environ.get("XPCNN_IMPLEMENTATION") or "chosen by xpcnn",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
    }


def _blas(pools: list[dict[str, Any]]) -> str:
    blas = [pool for pool in pools if pool["user_api"] == "blas"]
    blas.sort(key=lambda pool: pool["library"] != "numpy")
    core = blas[0]["architecture"] if blas else None
    if not core or core.lower() == "unknown":
        found = blas[0]["internal_api"] if blas else "none that threadpoolctl knows"
        raise BenchError(f"NumPy's BLAS ({found}) does not tell its core: without it the figures say nothing")
    return f"{blas[0]['internal_api']} {blas[0]['version']}, core {core}"


def _cpu() -> str:
    try:
        fields = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
        about = {key.strip(): value.strip() for key, value in reversed(fields)}
    except OSError:
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or platform.machine()
    name = about.get("model name") or about.get("Model") or platform.machine()
    if "cpu family" in about:  # virtual machines hide the number in the name
        name += f" (family {about['cpu family']}, model {about['model']})"
    return name


def _ram() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _commit() -> str:
    commit = _output("git", "rev-parse", "--short", "HEAD")
    if commit is None:
        return "unknown"
    return commit + (" with changes" if _output("git", "status", "--porcelain", "--", "xpcnn") else "")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
