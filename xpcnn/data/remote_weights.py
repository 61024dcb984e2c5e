"""A file of weights by its address: downloaded once, by its hash, into the user's cache.

    https://example.org/resnet18.safetensors#sha256=2f0a…

What arrives has that SHA-256, or is not kept. The cache has a folder for each hash, so that two files of one name do
not meet.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote

from ..errors import FormatError, OptionError
from .download import RemoteFile
from .locations import RemoteFiles

_ADDRESS = re.compile(r"(?P<folder>https?://[^#?\s]+/)(?P<name>[^#?/\s]+)#sha256=(?P<sha256>[0-9a-fA-F]{64})")


def is_address(source: object) -> bool:
    """Whether the source of weights is an address, not a path.

    >>> is_address("https://example.org/a.safetensors"), is_address("a.safetensors")
    (True, False)
    """
    return isinstance(source, str) and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", source) is not None


def fetch_weights(address: str) -> Path:
    """The path of the file with that address, after it has been downloaded if it is not in the cache.

    Raises
        OptionError : the address does not end in #sha256= and 64 hexadecimal digits
        DataError : it cannot be downloaded, or has another hash;  FormatError : so has the file in the cache
        MissingExtraError : pooch is needed and not installed;  FileError : the file cannot be written or read
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        expected = "https://…/FILE#sha256=HASH, with the SHA-256 of the file in 64 hexadecimal digits"
        raise OptionError("weights", expected, repr(address)[:120], "sha256sum FILE prints it")
    sha256, name = found["sha256"].lower(), unquote(found["name"])
    if Path(name).name != name:
        raise OptionError("weights", "the name of a file at the end of the address", repr(name)[:80])
    folder = f"weights/{sha256[:16]}"
    source = RemoteFiles(folder, (RemoteFile(name, sha256=sha256),), (found["folder"],), subfolders=(folder,))
    (path,) = source.fetch()
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise FormatError(str(path), f"a file with the SHA-256 {sha256}", "another", "remove it: it is damaged")
    return path
