"""Ctrl-C, SIGTERM and SIGHUP request an end: the current step is finished first, so that complete state is saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none


class Interrupt:
    """Within the block, the first of these signals sets `requested`; a second one has its usual effect.

    Exception: closing a terminal sends SIGHUP twice, by the system and by the shell, and the second has no effect.
    Signals that are already ignored, such as SIGHUP under nohup, stay ignored. Signals arrive in the main thread only;
    in any other thread this class does nothing.
    """

    def __init__(self) -> None:
        self.requested = 0  # the signal's number, after one arrived
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: not set by Python
                    self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = number
        self._restore(but=number if number == _HANG_UP else None)

    def _restore(self, but: int | None = None) -> None:
        for number in self._before.keys() - {but}:
            signal.signal(number, self._before.pop(number))
