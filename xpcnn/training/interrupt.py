"""Ctrl-C, SIGTERM and SIGHUP as a request: the step at hand is finished first, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from ..errors import Interrupted

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none


class Interrupt:
    """Within the block, the first of these signals sets `requested`; a second one acts as it always does.

    But SIGHUP is sent twice where a terminal is closed, by the system and by the shell: the second changes nothing.
    What is ignored already, such as SIGHUP under nohup, stays ignored. Signals arrive in the main thread only; in any
    other thread this changes nothing.
    """

    def __init__(self) -> None:
        self.requested = 0  # the signal's number, once there was one
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

    def error(self, text: str) -> Interrupted:
        """What ends the training, once all is saved."""
        return Interrupted(text, self.requested)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = number
        self._restore(but=number if number == _HANG_UP else None)

    def _restore(self, but: int | None = None) -> None:
        for number in self._before.keys() - {but}:
            signal.signal(number, self._before.pop(number))
