"""Measures the memory of training: the peak of resident memory, over several steps in a fresh process.

The growth is the peak minus the memory of the process just before the model is built, with the library imported and
the batch in memory: model, optimizer, activations and workspace, without the library itself. On a device it is the
device memory of the process, which the libraries keep once they have it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .errors import NotPossible
from .nets import Net
from .peers.base import Peer

MIB = 2**20


def measure(peer: Peer, net: str, document: dict[str, Any], arrays: str, steps: int) -> dict[str, Any]:
    """MiB: "before" the model is built, "peak", and "growth" from one to the other."""
    batch = Net.read(net, document, arrays)
    if peer.device != "cpu":
        return _on_device(peer, batch, steps)
    reset = _reset_peak()
    before = _resident() if reset else _peak()
    training = peer.training(batch)
    for _ in range(steps):
        training.step()
    peak = _peak()
    return {"before": before / MIB, "peak": peak / MIB, "growth": (peak - before) / MIB, "reset": reset}


def _on_device(peer: Peer, batch: Net, steps: int) -> dict[str, Any]:
    before = peer.device_memory()
    training = peer.training(batch)
    for _ in range(steps):
        training.step()
    peer.synchronize()
    peak = peer.device_memory()
    return {"before": before / MIB, "peak": peak / MIB, "growth": (peak - before) / MIB, "reset": True}


def _reset_peak() -> bool:
    """Reset the peak after importing, on Linux if it is permitted; otherwise "before" is that peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident() -> int:
    return _status("VmRSS")


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        raise NotPossible("this system does not tell a process's peak memory") from None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {key}")
