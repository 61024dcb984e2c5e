"""What stops a benchmark, in one line."""

from __future__ import annotations


class BenchError(Exception):
    """The whole run cannot go on; the message says which peer, which net, and why."""


class NotPossible(Exception):
    """One peer cannot do one thing; it is listed with this reason, and the run goes on."""
