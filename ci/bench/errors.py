"""Errors that stop a benchmark, in one line."""

from __future__ import annotations


class BenchError(Exception):
    """The whole run cannot continue; the message states the peer, the net and the reason."""


class NotPossible(Exception):
    """One peer cannot do one thing; it is listed with this reason, and the run continues."""
