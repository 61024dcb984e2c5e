"""What a compressed file can hold at most.

Source: zlib's technical details, https://zlib.net/zlib_tech.html, "Maximum Compression Factor"
"""

DEFLATE_LIMIT = 1032  # bytes that deflate makes of 1, at most
