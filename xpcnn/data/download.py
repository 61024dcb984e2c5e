"""Downloads a file by its hash, from the first mirror that has it, with pooch.

A file gets its name only when it is complete and its hash is right. Until then it has a temporary name in the same
folder, and is removed if the download fails or is interrupted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ..errors import DataError, FileError, MissingExtraError
from ..extras import need

_TIMEOUT = 20  # seconds without an answer
_CHUNK = 2**16  # bytes
_MOST_UNSTATED = 2**33  # bytes of a file whose size neither we nor its server state


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set.

    Parameters
        name : its name on a mirror, and on this machine
        size, sha256 : bytes, and their hash or its first digits; 0 if the size is not published, "" if it cannot be
            downloaded
        also : other names of the same contents, such as the unpacked file or folder
    """

    name: str
    size: int = 0
    sha256: str = ""
    also: tuple[str, ...] = ()


class _NotFoundAnywhere(DataError):
    _most: ClassVar = DataError._most | {"got": 1000}  # states each mirror's error


def download(who: str, file: RemoteFile, mirrors: Sequence[str], folders: Sequence[Path]) -> Path:
    """The file, downloaded into the last of the folders, after it was found in none of them.

    Parameters
        mirrors : addresses of folders, tried in turn
    Raises
        DataError : no mirror has the file, or there is none
        MissingExtraError : pooch is not installed
        FileError : it cannot be written, such as on a full disk
    """
    looked = "none in " + ", ".join(map(str, folders))
    known = f" (SHA-256 {file.sha256})" if file.sha256 else ""
    remedy = f"put that file{known} into {folders[-1]}, or set XPCNN_DATA to the folder that has it"
    expected = f"the file {file.name}"
    if not mirrors:
        raise DataError(who, expected, f"{looked}; there is no download", remedy)
    try:
        pooch = need("pooch", who, f"to download {file.name}")
    except MissingExtraError as error:
        raise MissingExtraError(who, expected, f"{looked}, and no pooch", f"{error.remedy}; or {remedy}") from None
    reasons = []
    is_new = not folders[-1].exists()
    try:
        for mirror in mirrors:
            try:
                return _retrieve(pooch, mirror.rstrip("/") + f"/{file.name}", file, folders[-1])
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno is not None:  # the disk's; those of requests have none
                    raise FileError(str(folders[-1]), f"to write {file.name}", error.strerror or str(error)) from error
                reasons.append(f"from {mirror} ({_reason(error)})")
    finally:
        if is_new:
            with suppress(OSError):  # pooch raises it if the file exists
                folders[-1].rmdir()
    raise _NotFoundAnywhere(who, expected, f"{looked}, nor {', nor '.join(reasons)}", remedy)


def _retrieve(pooch: Any, url: str, file: RemoteFile, folder: Path) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        http = pooch.HTTPDownloader(
            progressbar=_ProgressBar(file, bar),
            chunk_size=_CHUNK,
            timeout=_TIMEOUT,
            headers={"Accept-Encoding": "identity"},  # the raw file, not unpacked in transit
        )
        logger = pooch.get_logger()
        level = logger.level
        logger.setLevel("WARNING")  # it would repeat the bar, or the error
        try:
            path = pooch.retrieve(
                url, None, fname=file.name, path=folder, downloader=partial(_checked, http, file.sha256)
            )
        finally:
            logger.setLevel(level)
    return Path(path)


def _checked(http: Any, sha256: str, url: str, temporary: str, _pooch: Any) -> None:
    """Download into the temporary file, which gets its name if the hash begins with these digits.

    Raises
        ValueError : it does not
    """
    http(url, temporary, _pooch)
    with open(temporary, "rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if not sha256 or not found.startswith(sha256):
        raise ValueError(f"its SHA-256 is {found[:16]}…, which does not match the known hash {sha256[:16]}")


class _ProgressBar:
    """Receives pooch's progress, moves the bar, and ends a download that is larger than its file."""

    def __init__(self, file: RemoteFile, bar: Any) -> None:
        self.total = 0  # bytes, from the mirror; pooch sets it
        self._file, self._bar, self._done = file, bar, 0
        self._task = bar.add_task(file.name, total=file.size or None)

    def update(self, size: int) -> None:
        self._done += size
        most = self._file.size or self.total or _MOST_UNSTATED  # of the file, or what the mirror says
        if self._done > most + _CHUNK:
            raise ValueError(f"more than the file's {most} bytes")
        self._bar.update(self._task, completed=self._done)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def _reason(error: BaseException) -> str:
    """The root cause, in a few words."""
    while error.__context__ is not None:
        error = error.__context__
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).partition(". ")[0].split())
