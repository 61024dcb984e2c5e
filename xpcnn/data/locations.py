"""Finds a named data set's files on this machine, or downloads them into the user's cache."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .. import settings
from ..errors import DataError
from ..options import expanded
from .download import RemoteFile, download

Folder: TypeAlias = str | os.PathLike[str] | None
Mirrors: TypeAlias = str | Iterable[str] | None  # one address, or several


@dataclass(frozen=True)
class RemoteFiles:
    """A named data set's files, and the places to find them.

    Parameters
        mirrors : addresses of folders that have the files; () if there is no download
        subfolders : of XPCNN_DATA, searched in this order; "" is that folder itself
    """

    name: str
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = ("",)

    def find(self) -> list[Path | None]:
        """The path of each file on this machine, or None.

        Raises
            DataError : the folder of XPCNN_DATA does not exist
        """
        folders = self.folders()
        return [_find(file, folders) for file in self.files]

    def fetch(self, folder: Folder = None, mirrors: Mirrors = None) -> list[Path]:
        """The path of each file, after missing ones have been downloaded.

        Parameters
            folder : the folder to search, and for downloads; by default XPCNN_DATA is searched first, and then the
                user's cache, which gets the downloads
            mirrors : other addresses to download from
        Raises
            DataError : a folder does not exist, or a file is not found and no mirror has it
            MissingExtraError : pooch is needed and not installed;  FileError : a file cannot be written
        """
        folders = self.folders(folder)
        chosen = self.mirrors if mirrors is None else (mirrors,) if isinstance(mirrors, str) else tuple(mirrors)
        return [_find(file, folders) or download(self.name, file, chosen, folders) for file in self.files]

    def folders(self, folder: Folder = None) -> list[Path]:
        """The folders to search, in this order; the last one gets downloads."""
        if folder is not None:
            return [self._existing("folder", expanded(self.name, folder))]
        from platformdirs import user_cache_path

        named, first = settings.data_folder(), []
        if named is not None:
            named = self._existing("XPCNN_DATA", expanded("XPCNN_DATA", named))
            first = [named / name for name in self.subfolders]
        return [*first, user_cache_path("xpcnn") / self.name]

    def _existing(self, what: str, folder: Path) -> Path:
        if not folder.is_dir():
            raise DataError(self.name, f"{what}: a folder that exists", f"'{folder}'", "make it, or correct the name")
        return folder


def _find(file: RemoteFile, folders: list[Path]) -> Path | None:
    for folder in folders:
        for name in (file.name, *file.also):
            if (folder / name).exists():
                return folder / name
    return None
