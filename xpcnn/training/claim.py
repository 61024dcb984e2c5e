"""Only one run at a time writes to a run's folder.

The writer holds an operating system lock on the file `LOCK` in the folder. The lock ends with the process, however it
ends: after kill -9 the file still exists, but nobody holds it. Child processes do not hold it: started programs have
the file closed, and forked processes leave it to their parent.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import count
from pathlib import Path
from types import TracebackType

from ..errors import FileError, OptionError
from ..io.lock import locked, release

LOCK = ".xpcnn-lock"


class Claim:
    """Claims the folder for this run within a block: `with Claim("runs/a") as claim:`.

    It creates a missing folder, and removes it if it is empty at the end. A function that receives the claim may enter
    the block again within itself.

    Parameters
        folder : of the run
        numbered : take an unused folder: this one, or the first of folder-2, folder-3 …; `claim.folder` then is the
            one that was taken
    Raises
        OptionError : another run is writing to the folder, in this process or another one
        FileError : the folder cannot be written to
    """

    def __init__(self, folder: str | os.PathLike[str], *, numbered: bool = False) -> None:
        self.folder = self._asked = Path(folder)
        self._numbered, self._depth = numbered, 0
        self._made: list[Path] = []  # folders that were missing, the innermost first
        self._lock: int | None = None  # descriptor

    def __enter__(self) -> Claim:
        if not self._depth:
            try:
                taken = self._take()
            except OSError as error:
                self._remove_empty()
                got = error.strerror or str(error)
                raise FileError(str(self.folder), "a folder to write to", got, "choose another place") from error
            if not taken:
                raise OptionError(
                    str(self.folder),
                    "a folder that no run is writing to",
                    "one that is in use",
                    "wait until that run has ended, or stop it; a new run takes another folder",
                )
            _claims.add(self)
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            _claims.discard(self)
            if self._lock is not None:
                release(self.folder / LOCK, self._lock)
                self._lock = None
            self._remove_empty()

    def forget(self) -> None:
        """Leave the claim to the process from which this one was forked."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock, self._made = None, []

    def _take(self) -> bool:
        for _ in range(9):
            with suppress(FileNotFoundError):  # another run failed to start, and removed its folders
                return self._take_free() if self._numbered else self._take_this()
        return self._take_free() if self._numbered else self._take_this()

    def _take_this(self) -> bool:
        self._made = [each for each in (self.folder, *self.folder.parents) if not each.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._take_lock()

    def _take_free(self) -> bool:
        for folder in names(self._asked):
            self._made = [each for each in folder.parents if not each.exists()]
            folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                folder.mkdir()  # only one of several processes succeeds
                self.folder, self._made = folder, [folder, *self._made]
                if self._take_lock():
                    break
        return True

    def _take_lock(self) -> bool:
        self._lock = locked(self.folder / LOCK)
        return self._lock is not None

    def _remove_empty(self) -> None:
        with suppress(OSError):  # stop at the first that is not empty
            for each in self._made:
                each.rmdir()
        self._made = []


def claimed(folder: Path | None, claim: Claim | None) -> AbstractContextManager[object]:
    """The claim, or a new one for the folder; without a folder there is nothing to claim."""
    return nullcontext() if folder is None else claim or Claim(folder)


def names(folder: Path) -> Iterator[Path]:
    """The folder, folder-2, folder-3 and so on."""
    yield folder
    for number in count(2):
        yield folder.with_name(f"{folder.name}-{number}")


_claims: weakref.WeakSet[Claim] = weakref.WeakSet()


def _after_fork() -> None:
    for claim in list(_claims):
        claim.forget()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork)
