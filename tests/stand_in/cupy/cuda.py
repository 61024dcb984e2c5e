"""cupy.cuda, as far as xpcnn and array-api-compat go: one device, which has nothing to wait for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from cupyx._ledger import note


class Device:
    def __init__(self, device=None):
        self.id = 0 if device is None else int(device)

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


device = sys.modules[__name__ + ".device"] = sys.modules[__name__]  # array-api-compat imports Device from there
_stream = SimpleNamespace(synchronize=lambda: note("wait", "synchronize"))


def get_current_stream(device_id=-1):
    return _stream


runtime = SimpleNamespace(
    getDeviceCount=lambda: 1,
    getDeviceProperties=lambda device: {"name": b"no GPU: a stand-in for CuPy"},
    runtimeGetVersion=lambda: 0,
    driverGetVersion=lambda: 0,
    memGetInfo=lambda: (1 << 30, 1 << 30),
)
