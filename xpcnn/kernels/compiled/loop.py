"""A loop that numba compiles: how it is declared, and when it is compiled.

`@loop` declares a function; the annotations of its arguments say what it takes:

    In3, Out3       arrays of the numbers that it is compiled for, float32 or float64, to read, and to write
    InInts1, OutInts1   arrays of integers
    InBytes4, OutBytes4
    Sums2           an array of float64, to add to
    int, float, bool

All arrays are C-contiguous. A constant with a decimal point is of the numbers' type, as in NumPy. `@part` declares what
several loops have in common, `@exact` such a part whose operations keep their order, `@run` one of runs of numbers,
`@external` a function of a library that they call, and `loop_with` a loop that takes in a formula. Without numba all
are functions of Python, and compute the same.

The loops of a group, which is a file unless they say otherwise, are compiled, or read from where they are kept (see
`kept`), when the first of them is called with numbers of a type.

Compiled, a loop holds no interpreter's lock. Sums may be taken in another order than the loop's, so that the processor
can add several numbers at once; the order depends on nothing but the sizes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...typing import NDArray
from . import kept
from .kept import NAME as NAME

In1: TypeAlias = NDArray
In2: TypeAlias = NDArray
In3: TypeAlias = NDArray
In4: TypeAlias = NDArray
Out1: TypeAlias = NDArray
Out2: TypeAlias = NDArray
Out3: TypeAlias = NDArray
Out4: TypeAlias = NDArray
InInts1: TypeAlias = NDArray
InInts2: TypeAlias = NDArray
OutInts1: TypeAlias = NDArray
InBytes4: TypeAlias = NDArray
OutBytes4: TypeAlias = NDArray
Sums1: TypeAlias = NDArray
Sums2: TypeAlias = NDArray

NUMBERS = {"f": "float32", "d": "float64"}
_ARRAY = re.compile(r"(In|Out|Sums)(Ints|Bytes)?(\d)")
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
    "_nrt": False,  # loops allocate nothing; so references to parts of arrays, 15 ns each, need not be counted
}

_EXACT = _OPTIONS | {"fastmath": {"contract"}, "forceinline": True}
_FORMULA = _EXACT | {"fastmath": False}


class _Part(NamedTuple):
    """A function that loops and later parts call."""

    function: Callable[..., Any]
    options: dict[str, Any]  # numba's
    apart: bool = False  # whether its arrays have no memory in common
    made_by: Callable[[Any, str], Callable[..., Any]] | None = None  # what makes the function that is compiled instead


_loops: list[Loop] = []
_parts: list[_Part] = []
_lock = threading.RLock()


class Loop:
    """A loop, which compiles itself and all others of its group when it is first called.

    Parameters
        function : the loop
        group : its name
        formulas : functions that it calls by these names
    """

    def __init__(self, function: Callable[..., None], group: str, formulas: Mapping[str, Callable[..., Any]]) -> None:
        self.function: Any = function
        if formulas:
            self.function = FunctionType(function.__code__, function.__globals__ | dict(formulas), function.__name__)
        self.group, self.formulas = group, formulas
        self.annotations = [each for name, each in function.__annotations__.items() if name != "return"]
        self.first = next(at for at, each in enumerate(self.annotations) if re.fullmatch(r"(In|Out)\d", each))
        self.compiled: dict[str, Callable[..., None]] = {}
        _loops.append(self)

    def __call__(self, *arguments: Any) -> None:
        number = arguments[self.first].dtype.char
        if number not in self.compiled:
            _compile_group(self.group, number)
        self.compiled[number](*arguments)


def loop(function: Callable[..., None]) -> Loop:
    """Declare a loop."""
    return Loop(function, function.__module__.rpartition(".")[2], {})


def loop_with(function: Callable[..., None], group: str, **formulas: Callable[..., Any]) -> Loop:
    """Declare a loop that calls these formulas by these names."""
    return Loop(function, group, formulas)


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a function that loops, and parts after it, call."""
    _parts.append(_Part(function, _OPTIONS | {"inline": "always"}))
    return function


def exact(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a part whose results depend on the order of its operations."""
    _parts.append(_Part(function, _EXACT))
    return function


def run(function: Callable[..., None]) -> Callable[..., None]:
    """Declare a function that loops call with runs of numbers, none of which has memory in common with one it writes.

    The runs may be parts of one array; so only the caller can know this.
    """
    _parts.append(_Part(function, _OPTIONS | {"forceinline": True}, apart=True))
    return function


def external(compiled: Callable[[Any, str], Callable[..., Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function of Python for which compiled loops call another.

    Parameters
        compiled : takes numba and the char of a dtype, and returns what numba compiles instead
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        _parts.append(_Part(function, _OPTIONS, made_by=compiled))
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
    ready: NDArray = x if x.flags.c_contiguous and x.flags.aligned else np.require(x, requirements=["C", "A"])
    return ready


def _compile_group(group: str, number: str) -> None:
    with _lock:
        loops = [each for each in _loops if each.group == group and number not in each.compiled]
        if not loops:  # another thread was faster
            return
        numba = import_module(NAME)
        folder = kept.kept_in() / NUMBERS[number] / group
        telling = kept.Telling(f"{len(loops)} loop{'s' * (len(loops) != 1)} of {group} for {NUMBERS[number]}", folder)
        try:
            parts = _compiled_parts(numba, number)
            compiled = [_compile(numba, each, number, parts, folder, telling) for each in loops]
        finally:
            telling.end()
        for each, ready in zip(loops, compiled, strict=True):
            each.compiled[number] = ready


def _compiled_parts(numba: Any, number: str) -> dict[int, Any]:
    """All parts for that type of numbers, by the `id` of their functions: two files may use one name."""
    compiled: dict[int, Any] = {}
    for function, options, apart, made_by in _parts:
        if made_by is None or numba.config.DISABLE_JIT:
            own = _calling(function, compiled, number)
        else:
            own = made_by(numba, number)
        made = numba.njit(**options)(own)
        if apart:
            _without_overlap(made)
        compiled[id(function)] = made
    return compiled


def _compile(
    numba: Any, each: Loop, number: str, parts: dict[int, Any], folder: Path, telling: kept.Telling
) -> Callable[..., None]:
    formulas = {name: numba.njit(**_FORMULA)(_calling(one, parts, number)) for name, one in each.formulas.items()}
    function = _calling(each.function, parts, number, formulas)
    dispatcher: Any = numba.njit(**_OPTIONS)(function)
    if hasattr(dispatcher, "compile"):  # not where NUMBA_DISABLE_JIT is set
        _without_overlap(dispatcher)
        dispatcher._cache = kept.kept(function, folder, telling)
        dispatcher.compile(tuple(_type(numba, kind, number) for kind in each.annotations))
        dispatcher.disable_compile()
    ready: Callable[..., None] = dispatcher
    return ready


def _calling(
    function: Any, parts: Mapping[int, Any], number: str, formulas: Mapping[str, Any] = MappingProxyType({})
) -> Any:
    """The function, calling these parts and formulas, and with its constants of that type of numbers."""
    constants = tuple(_typed(each, number) for each in function.__code__.co_consts)
    names = {name: parts.get(id(each), _typed(each, number)) for name, each in function.__globals__.items()}
    return FunctionType(function.__code__.replace(co_consts=constants), names | dict(formulas), function.__name__)


def _typed(constant: Any, number: str) -> Any:
    """A float, or a tuple of floats, in that type of numbers; others as they are."""
    if type(constant) is tuple and constant and all(type(each) is float for each in constant):
        return tuple(_typed(each, number) for each in constant)
    return np.dtype(number).type(constant) if type(constant) is float else constant


def _without_overlap(dispatcher: Any) -> Any:
    """Lets the compiler know that what is written is nothing that is read; it need not find this out at each run."""

    def customized(flags: Any) -> Any:
        flags.noalias = True
        return flags

    if hasattr(dispatcher, "_compiler"):
        dispatcher._compiler._customize_flags = customized
    return dispatcher


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
