"""What this machine and a compressed file can hold at most, and what is taken of one that swells as images do not.

Source: zlib's technical details, https://zlib.net/zlib_tech.html, "Maximum Compression Factor"
"""

import os

DEFLATE_LIMIT = 1032  # bytes that deflate makes of 1, at most
_LIKELY = 100  # that it makes of images; of zeros alone it is the limit
_SMALL = 2**28  # bytes that are taken whatever the factor
REMEDY = "save it again without compression"  # of what is larger


def most_inflated(stored: int) -> int:
    """How many bytes are taken of so many that are compressed.

    >>> most_inflated(100), most_inflated(10**6), most_inflated(10**8)
    (103200, 268435456, 10000000000)
    """
    return min(stored * DEFLATE_LIMIT, max(stored * _LIKELY, _SMALL))


def machine_memory() -> int:
    """Bytes of memory that this machine has; where the system does not say, more than any."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**63
