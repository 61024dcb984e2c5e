"""PNG pictures without another package, for pages that hold their pictures.

Source: ISO/IEC 15948, chapters 5, 9 and 11
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any


def data_url(pixels: Any) -> str:
    """A PNG as a data URL, from a NumPy array of bytes (H, W, 1, 3 or 4): grey, RGB or RGBA."""
    height, width, channels = pixels.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)  # each row unfiltered

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()
