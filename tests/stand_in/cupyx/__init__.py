"""cupyx.allow_synchronize: whether waiting for the device raises (_core/syncdetect.py)."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from ._ledger import note

_thread = threading.local()


class DeviceSynchronized(RuntimeError):
    pass


def _synchronize():
    """The stand-in's own: called wherever CuPy waits for the device to read something back."""
    note("wait", "synchronization")
    if not getattr(_thread, "allowed", True):
        raise DeviceSynchronized("Device synchronization was detected while disallowed.")


@contextmanager
def allow_synchronize(allow):
    before = getattr(_thread, "allowed", True)
    _thread.allowed = allow
    try:
        yield
    finally:
        _thread.allowed = before
