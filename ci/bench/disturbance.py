"""Measures the share of the machine that other programs used while one worker ran.

Libraries whose threads wait for each other by spinning slow down a hundredfold if another program takes a core for a
moment. A round in which that happens tells nothing about the peers, so it is measured again. The processors' clocks
show whether it happened, not the figures.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

MOST = 0.15  # share of the cores that others may use
SHORTEST = 0.1  # seconds: the clocks tick every 10 ms


class Others:
    """A stopwatch: `share` is the share of all cores that processes other than `pid` have used since it was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begun, self._all, self._own = time.perf_counter(), _machine(), _process(pid)

    def share(self) -> float | None:
        """None if the system does not report it, or the time was too short."""
        elapsed, total, own = time.perf_counter() - self._begun, _machine(), _process(self._pid)
        if total is None or own is None or self._all is None or self._own is None or elapsed < SHORTEST:
            return None
        others = (total - self._all) - (own - self._own)
        return max(0.0, others / (elapsed * len(os.sched_getaffinity(0))))


def _machine() -> float | None:
    """Seconds that our cores have been busy, or taken by a hypervisor."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    except (OSError, AttributeError):
        return None
    busy = 0
    for name, *fields in (line.split() for line in lines):
        if name in ours:
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields[:8])
            busy += user + nice + system + interrupts + soft + stolen
    return busy / os.sysconf("SC_CLK_TCK")


def _process(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
