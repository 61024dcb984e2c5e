"""Where compiled loops are kept, and what is said when one has to be compiled.

They are kept in the user's cache folder, in a folder for these sources, this processor, this version of numba, the type
of numbers and the group of loops. As a file there never holds anything else, several processes may write it at once; if
it cannot be read, or written, the loop is compiled.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .. import blas

NAME = "numba"  # of all implementations with such loops
FOLDERS = Path(__file__).parent, Path(__file__).parents[2] / "ops"  # formulas have constants of operations


@cache
def kept_in() -> Path:
    """The folder of compiled loops for these sources, this processor and this version of numba."""
    from numba import __version__
    from numba.core.registry import cpu_target
    from platformdirs import user_cache_path

    sources = b"".join(path.read_bytes() for folder in FOLDERS for path in sorted(folder.glob("*.py")))
    processor = cpu_target.target_context.codegen().magic_tuple()
    facts = __version__, processor, sys.version_info[:2], blas.sizes()
    key = hashlib.sha256(sources + repr(facts).encode()).hexdigest()
    return user_cache_path("xpcnn") / NAME / key[:16]


def kept(function: Any, folder: Path, telling: Telling) -> Any:
    """numba's cache of that function, in that folder."""
    from numba.core import caching

    class Locator(caching._CacheLocator):  # type: ignore[misc]
        def get_cache_path(self) -> str:
            return str(folder)

        def get_source_stamp(self) -> str:
            return ""  # the folder's name depends on the sources

        def get_disambiguator(self) -> str:
            return NAME

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            return cls()

    class Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (Locator,)

    class Kept(caching.FunctionCache):  # type: ignore[misc]
        _impl_class = Implementation

        def load_overload(self, signature: Any, context: Any) -> Any:
            found = None
            try:
                found = super().load_overload(signature, context)
            except Exception:  # whatever reading a damaged file raises
                with suppress(OSError):
                    self.flush()
            if found is None:
                telling.begin()
            return found

        def save_overload(self, signature: Any, made: Any) -> None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                super().save_overload(signature, made)
            except Exception as error:  # it is compiled in any case
                telling.not_kept = getattr(error, "strerror", None) or str(error)

    return Kept(function)


class Telling:
    """Says on the error stream that loops are compiled, how long it took, and where they are kept; if any are."""

    def __init__(self, what: str, folder: Path) -> None:
        self.what, self.folder = what, folder
        self.begun = 0.0
        self.not_kept = ""

    def begin(self) -> None:
        if not self.begun:
            self.begun = time.monotonic()
            print(f"compiling {self.what}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.begun:
            where = f"not kept ({self.not_kept})" if self.not_kept else f"kept in {self.folder}"
            rest = f", {time.monotonic() - self.begun:.0f} s, {where}"
            print(rest, file=sys.stderr, flush=True)
            logging.getLogger("xpcnn").info("compiling %s%s", self.what, rest)
