"""Kernels of CuPy's template for elementwise operations, and when they run.

A kernel is the text of what one thread does. It reads arrays and writes its own elements of other arrays: it has no
shared memory, no atomics, and no order among threads. So a processor that runs the threads one by one gets the same
results, and the stand-in for CuPy in `tests/stand_in` does that, after g++ has compiled the text.

In a kernel's text, `index` is the type of positions: 32 bits, which a GPU divides in fewer instructions, or 64 where an
array is too large for these. CuPy's number of a thread, i, always has 64 bits (`CUPY_FOR` in its carray.cuh).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

Array: TypeAlias = Any  # one of CuPy's: without CuPy there is no name for it
LARGEST = 2**31 - 2**16  # positions that 32 bits can hold, and some steps beyond them
KERNELS: dict[str, Kernel] = {}  # by name, for those who compile all of them


@dataclass(frozen=True)
class Kernel:
    """A kernel, compiled by CuPy for each dtype when it is first called.

    Parameters
        name : an identifier
        reads, writes : CuPy's parameters, such as "raw T x, index n": T is the arrays' dtype; a parameter that is not
            `raw` is the thread's own element
        code : what thread i does
    """

    name: str
    reads: str
    writes: str
    code: str

    def __post_init__(self) -> None:
        KERNELS[self.name] = self

    def __call__(self, *args: Any, size: int | None = None, reach: int = 0) -> Any:
        """Run it.

        Parameters
            args : all that is read, then all that is written, which may be left out where it is not `raw`
            size : the number of threads, if all parameters are `raw`
            reach : a number that positions may reach beyond the sizes of the arrays
        Returns
            what is written, one array or a tuple of them
        """
        import cupy

        largest, given = max(reach, size or 0), list(args)
        for number, arg in enumerate(given):
            if isinstance(arg, cupy.ndarray):
                largest = max(largest, arg.size)
                if number in self.raw and not arg.flags.c_contiguous:
                    assert number < self.reads.count(",") + 1, f"{self.name} writes into an array that is no block"
                    given[number] = cupy.ascontiguousarray(arg)
        compiled = _compiled(self, largest > LARGEST)
        return compiled(*given) if size is None else compiled(*given, size=size)

    @cached_property
    def raw(self) -> frozenset[int]:
        """The numbers of the `raw` parameters."""
        parameters = f"{self.reads}, {self.writes}".split(",")
        return frozenset(number for number, each in enumerate(parameters) if each.split()[0] == "raw")

    def texts(self, wide: bool) -> tuple[str, str, str, str]:
        """What CuPy's ElementwiseKernel takes; `wide` for positions of 64 bits."""
        parameters, c = ("int64", "long long") if wide else ("int32", "int")
        reads, writes = (re.sub(r"\bindex\b", parameters, each) for each in (self.reads, self.writes))
        code = "\n".join(line.strip() for line in self.code.strip().splitlines())
        if re.search(r"\bi\b", code):
            code = "const index thread = i;\n" + re.sub(r"\bi\b", "thread", code)
        return reads, writes, re.sub(r"\bindex\b", c, code), f"xpcnn_{self.name}{'_wide' * wide}"


@cache
def _compiled(kernel: Kernel, wide: bool) -> Any:
    import cupy

    return cupy.ElementwiseKernel(*kernel.texts(wide))


def refuses_kind(*arrays: Array | None) -> str | None:
    """The reason why no kernel takes these arrays, or None."""
    for number, x in enumerate(arrays):
        if x is None:
            if number:
                continue
            return "not an array"
        if type(x).__module__.partition(".")[0] != "cupy":
            return "the arrays are not CuPy's"
        if x.dtype.char not in "fd":
            return f"{x.dtype} is neither float32 nor float64"
    return None
