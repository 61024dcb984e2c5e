"""Limits on memory: that of this machine, and the most that is accepted from a compressed file.

Source: zlib's technical details, https://zlib.net/zlib_tech.html, "Maximum Compression Factor"
"""

import os

DEFLATE_LIMIT = 1032  # most bytes that deflate decompresses from 1
_LIKELY = 100  # most for images; only zeros reach the limit
_SMALL = 2**28  # bytes that are accepted with any factor
REMEDY = "save it again without compression"  # for larger data


def most_inflated(stored: int) -> int:
    """The most decompressed bytes that are accepted from `stored` compressed ones.

    >>> most_inflated(100), most_inflated(10**6), most_inflated(10**8)
    (103200, 268435456, 10000000000)
    """
    return min(stored * DEFLATE_LIMIT, max(stored * _LIKELY, _SMALL))


def machine_memory() -> int:
    """This machine's memory in bytes; if the system does not report it, more than any machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**63
