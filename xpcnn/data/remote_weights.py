"""A file of weights by its address: downloaded once, by its hash, into the user's cache.

    https://example.org/resnet18.safetensors#sha256=2f0a…       the SHA-256, 64 digits
    https://example.org/resnet18-2f0a71c3.safetensors           its first 8 digits or more, as PyTorch's hub names files
    hf:OWNER/NAME/FILE@REVISION#sha256=2f0a…                    a file in a repository on Hugging Face; without FILE
                                                                model.safetensors, without REVISION main
    https://huggingface.co/OWNER/NAME/blob/REVISION/FILE#…      the page of such a file

What arrives has that hash, or is not kept. A short hash finds damage, but does not protect from a file made to have it.
The cache has a folder for each hash, so that two files of one name do not meet. HF_ENDPOINT names a mirror of the hub.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from .. import settings
from ..errors import FormatError, OptionError
from .download import RemoteFile
from .locations import RemoteFiles

_PLACE = re.compile(r"(?P<folder>https?://[^#?\s]+/)(?P<name>[^#?/\s]+)(#sha256=(?P<sha256>\S*))?")
_HUB = re.compile(
    r"hf(-hub)?:/*(?P<owner>[\w.-]+)/(?P<repository>[\w.-]+)(/(?P<file>[^@#?\s]+))?(@(?P<revision>[^#?\s]+))?"
    r"(?P<hash>#\S*)?"
)
_PAGE = re.compile(r"(https?://huggingface\.co/[\w.-]+/[\w.-]+)/(?:blob|resolve)/([^?#\s]+)(?:\?download=true)?(#\S*)?")
_SHORT = re.compile(r"-([0-9a-f]{8,64})\.[^.]+")  # at the end of a name
_FILE = "model.safetensors"


class _Address(NamedTuple):
    folder: str
    name: str  # as the server has it
    sha256: str  # the whole hash, or its first digits


def is_address(source: object) -> bool:
    """Whether the source of weights is an address, not a path.

    >>> is_address("https://example.org/a.safetensors"), is_address("hf:owner/name"), is_address("a.safetensors")
    (True, True, False)
    """
    return isinstance(source, str) and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://|hf(-hub)?:", source) is not None


def fetch_weights(address: str) -> Path:
    """The path of the file with that address, after it has been downloaded if it is not in the cache.

    Raises
        OptionError : the address has none of the forms above, or no hash
        DataError : it cannot be downloaded, or has another hash;  FormatError : so has the file in the cache
        MissingExtraError : pooch is needed and not installed;  FileError : the file cannot be written or read
    """
    folder, quoted, sha256 = _parsed(address)
    name = unquote(quoted)
    if Path(name).name != name or "\\" in name:
        raise OptionError("weights", "the name of a file at the end of the address", repr(name)[:80])
    kept = f"weights/{sha256[:16]}"
    source = RemoteFiles(kept, (RemoteFile(name, sha256=sha256),), (folder,), subfolders=(kept,))
    (path,) = source.fetch()
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256):
            raise FormatError(str(path), f"a file with the SHA-256 {sha256}", "another", "remove it: it is damaged")
    return path


def _parsed(address: str) -> _Address:
    hub = _HUB.fullmatch(address)
    if hub is not None:
        file, revision = (hub[key] or other for key, other in (("file", _FILE), ("revision", "main")))
        at = f"{settings.hub_address()}/{hub['owner']}/{hub['repository']}/resolve/"
        at += f"{quote(revision, safe='')}/{quote(file)}"
        place = _PLACE.fullmatch(at + (hub["hash"] or ""))
    else:
        place = _PLACE.fullmatch(_PAGE.sub(r"\1/resolve/\2\3", address))
    if place is not None:
        short = _SHORT.search(place["name"])
        sha256 = (place["sha256"] or "").lower()
        if re.fullmatch("[0-9a-f]{64}", sha256) or (place["sha256"] is None and short):
            return _Address(place["folder"], place["name"], sha256 or (short[1] if short else ""))
    if address.startswith("hf"):
        expected = f"hf:OWNER/NAME/FILE@REVISION#sha256=HASH, without FILE {_FILE}, without REVISION main"
        remedy = "the file's page on the hub states its SHA-256"
    else:
        expected = "https://…/FILE#sha256=HASH, with the SHA-256 of the file in 64 hexadecimal digits"
        remedy = "sha256sum FILE prints it"
    raise OptionError("weights", expected, repr(address)[:120], remedy)
