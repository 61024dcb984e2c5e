"""A loop that numba compiles: how it is declared, when it is compiled, and where the result is kept.

`@loop` declares a function; the annotations of its arguments say what it takes:

    In3, Out3       arrays of the numbers that it is compiled for, float32 or float64, to read, and to write
    InInts1         an array of indices, to read
    InBytes3, OutBytes3
    Sums2           an array of float64, to add to
    int, float, bool

All arrays are C-contiguous. `@part` declares what several loops have in common, `@external` a function of a library
that they call. Without numba all are functions of Python, and compute the same.

All loops are compiled, or read from where they are kept, when the first of them is called with numbers of a type. They
are kept in the user's cache folder, in a folder for these sources, this processor, this version of numba and this type
of numbers. As a file there never holds anything else, several processes may write it at once; if it cannot be read, or
written, the loop is compiled.

Compiled, a loop holds no interpreter's lock. Sums may be taken in another order than the loop's, so that the processor
can add several numbers at once; the order depends on nothing but the sizes.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from ...typing import NDArray
from .. import blas

In1: TypeAlias = NDArray
In2: TypeAlias = NDArray
In3: TypeAlias = NDArray
In4: TypeAlias = NDArray
Out1: TypeAlias = NDArray
Out2: TypeAlias = NDArray
Out3: TypeAlias = NDArray
Out4: TypeAlias = NDArray
InInts1: TypeAlias = NDArray
InBytes3: TypeAlias = NDArray
OutBytes3: TypeAlias = NDArray
Sums1: TypeAlias = NDArray
Sums2: TypeAlias = NDArray

NAME = "numba"  # of all implementations with such loops
NUMBERS = {"f": "float32", "d": "float64"}
FOLDER = Path(__file__).parent
_ARRAY = re.compile(r"(In|Out|Sums)(Ints|Bytes)?(\d)")
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
    "_nrt": False,  # loops allocate nothing; so references to parts of arrays, 15 ns each, need not be counted
}

_loops: list[Loop] = []
_parts: list[Callable[..., Any]] = []
_externals: dict[Callable[..., Any], Callable[[Any, str], Callable[..., Any]]] = {}
_lock = threading.RLock()


class Loop:
    """A loop, which compiles itself and all others when it is first called."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function: Any = function
        self.annotations = [each for name, each in function.__annotations__.items() if name != "return"]
        self.first = next(at for at, each in enumerate(self.annotations) if re.fullmatch(r"(In|Out)\d", each))
        self.compiled: dict[str, Callable[..., None]] = {}

    def __call__(self, *arguments: Any) -> None:
        number = arguments[self.first].dtype.char
        if number not in self.compiled:
            _compile_all(number)
        self.compiled[number](*arguments)


def loop(function: Callable[..., None]) -> Loop:
    """Declare a loop."""
    _loops.append(Loop(function))
    return _loops[-1]


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a function that loops call, and parts that are declared after it."""
    _parts.append(function)
    return function


def external(compiled: Callable[[Any, str], Callable[..., Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function of Python for which compiled loops call another.

    Parameters
        compiled : takes numba and the char of a dtype, and returns what numba compiles instead
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        _externals[function] = compiled
        return function

    return declare


def refuses_numbers(x: Any) -> str | None:
    """The reason why no loop takes this array, or None."""
    if not isinstance(x, np.ndarray):
        return "the arrays are not NumPy's"
    if x.dtype.char not in NUMBERS or not x.dtype.isnative:
        return "loops are compiled for float32 and float64"
    return None if _is_installed() else f"{NAME} is not installed"


@cache
def _is_installed() -> bool:
    return find_spec(NAME) is not None


def contiguous(x: NDArray) -> NDArray:
    """x as loops take it: C-contiguous and aligned; a view if it is so already."""
    ready: NDArray = np.require(x, requirements=["C", "A"])
    return ready


def _compile_all(number: str) -> None:
    with _lock:
        if all(number in each.compiled for each in _loops):
            return
        numba = import_module(NAME)
        for found in iter_modules([str(FOLDER)]):
            import_module(f"{__package__}.{found.name}")
        folder = kept_in() / NUMBERS[number]
        telling = _Telling(f"{len(_loops)} loops for {NUMBERS[number]}", folder)
        parts = {each: numba.njit(**_OPTIONS)(make(numba, number)) for each, make in _externals.items()}
        for each in _parts:
            parts[each] = numba.njit(inline="always", **_OPTIONS)(_calling(each, parts))
        compiled = [_compile(numba, each, number, parts, folder, telling) for each in _loops]
        for each, ready in zip(_loops, compiled, strict=True):
            each.compiled[number] = ready
        telling.end()


def _compile(
    numba: Any, each: Loop, number: str, parts: dict[Any, Any], folder: Path, telling: _Telling
) -> Callable[..., None]:
    function = _calling(each.function, parts)
    dispatcher: Any = numba.njit(**_OPTIONS)(function)
    if hasattr(dispatcher, "compile"):  # not where NUMBA_DISABLE_JIT is set
        dispatcher._compiler._customize_flags = _outputs_are_no_inputs
        dispatcher._cache = _kept(function, folder, telling)
        dispatcher.compile(tuple(_type(numba, kind, number) for kind in each.annotations))
        dispatcher.disable_compile()
    ready: Callable[..., None] = dispatcher
    return ready


def _calling(function: Any, others: dict[Any, Any]) -> Any:
    """The function, which calls what these others are compiled to."""
    known = function.__globals__
    found = {name: others[each] for name, each in known.items() if isinstance(each, FunctionType) and each in others}
    return FunctionType(function.__code__, known | found, function.__name__)


def _outputs_are_no_inputs(flags: Any) -> Any:
    """Lets the compiler know that what is written is nothing that is read; it need not find this out at each run."""
    flags.noalias = True
    return flags


def _type(numba: Any, annotation: str, number: str) -> Any:
    """numba's type of an argument."""
    own = getattr(numba.types, NUMBERS[number])
    if (array := _ARRAY.fullmatch(annotation)) is None:
        return {"int": numba.types.int64, "float": own, "bool": numba.types.boolean}[annotation]
    kind, of, axes = array.groups()
    element = {None: own, "Ints": numba.types.int64, "Bytes": numba.types.uint8}[of]
    if kind == "Sums":
        element = numba.types.float64
    return numba.types.Array(element, int(axes), "C", readonly=kind == "In")


@cache
def kept_in() -> Path:
    """The folder of compiled loops for these sources, this processor and this version of numba."""
    from numba import __version__
    from numba.core.registry import cpu_target
    from platformdirs import user_cache_path

    sources = b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.py")))
    processor = cpu_target.target_context.codegen().magic_tuple()
    facts = __version__, processor, sys.version_info[:2], blas.sizes()
    key = hashlib.sha256(sources + repr(facts).encode()).hexdigest()
    return user_cache_path("xpcnn") / NAME / key[:16]


def _kept(function: Any, folder: Path, telling: _Telling) -> Any:
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


class _Telling:
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
