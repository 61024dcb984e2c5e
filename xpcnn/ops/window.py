"""A window that slides over an image: its sizes, its taps, and their adjoint.

A kernel has K taps, D elements apart. It moves S elements at a time over an axis of L elements, padded by P₀ before
and P₁ after. The number of its positions is

    O = ⌊(L + P₀ + P₁ − D·(K − 1) − 1) / S⌋ + 1                                        (1)

At output position i, its tap u reads the padded element

    i·S + u·D                                                                          (2)

so the elements that tap u reads at *all* positions are one strided slice. Convolution and pooling
are sums over these slices, and their gradients add to the same slices. The library has no other indexing of windows.

Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016, relations 6, 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

from ..errors import OptionError, ShapeError
from ..options import as_flag, as_pair
from ..typing import Array

Padding: TypeAlias = str | int | tuple[int, int] | tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """A kernel's geometry; each pair is (height, width), and one number stands for both.

    Parameters
        kernel : taps along each axis
        stride : the step of the window
        padding : a number; (height, width); (top, bottom, left, right); "valid" for none; or "same", which
            pads as evenly as it can (the odd one after) until O = ⌈L / S⌉
        dilation : the distance between neighbouring taps
        ceil : True rounds (1) up: a last window may begin in the image and reach beyond the padding
    Raises
        OptionError : one of them is invalid

    >>> Window(3, stride=(2, 1), padding=1).place(5, 5).out
    (3, 5)
    """

    kernel: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    ceil: bool = False
    who: InitVar[str] = "Window"  # the name in errors

    def __post_init__(self, who: str) -> None:
        checked = {
            "kernel": as_pair(who, "kernel_size", self.kernel),
            "stride": as_pair(who, "stride", self.stride),
            "padding": _padding(who, self.padding),
            "dilation": as_pair(who, "dilation", self.dilation),
            "ceil": as_flag(who, "ceil_mode", self.ceil),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def taps(self) -> int:
        return int(self.kernel[0] * self.kernel[1])

    def place(self, height: int, width: int, who: str = "window") -> Placement:
        """This window over images of that height and width.

        Raises
            ShapeError : the padded image is smaller than the window
        """
        return _place(self, height, width, who)

    def __str__(self) -> str:
        return f"{self.kernel[0]}×{self.kernel[1]}"


@dataclass(frozen=True)
class Placement:
    """A window over images of one size, and everything that depends on that size."""

    window: Window
    size: tuple[int, int]  # (H, W)
    out: tuple[int, int]  # (OH, OW)
    pads: tuple[int, int, int, int]  # top, bottom, left, right

    def slices(self) -> Iterator[tuple[slice, slice]]:
        """For each tap (u, v), row by row: the padded rows and columns that it reads, by (2)."""
        (kh, kw), (sh, sw), (dh, dw) = self.window.kernel, self.window.stride, self.window.dilation
        oh, ow = self.out
        for u in range(kh):
            rows = slice(u * dh, u * dh + (oh - 1) * sh + 1, sh)  # (2)
            for v in range(kw):
                yield rows, slice(v * dw, v * dw + (ow - 1) * sw + 1, sw)

    def pad(self, x: Array, xp: Any, value: float = 0.0) -> Array:
        """The images (N, H, W, C) with their padding (N, PH, PW, C), filled with `value`."""
        top, bottom, left, right = self.pads
        if not any(self.pads):
            return x
        n, h, w, c = x.shape
        shape = (n, top + h + bottom, left + w + right, c)
        padded: Array = xp.full(shape, value, dtype=x.dtype, device=x.device)
        padded[:, top : top + h, left : left + w, :] = x
        return padded

    def taps(self, x: Array, xp: Any, value: float = 0.0) -> Iterator[Array]:
        """For each tap: the elements that it reads at all positions, a view (N, OH, OW, C) of the padded images."""
        padded = self.pad(x, xp, value)
        for rows, columns in self.slices():
            yield padded[:, rows, columns, :]

    def fold(self, taps: Iterator[Array], shape: tuple[int, ...], xp: Any) -> Array:
        """The adjoint of `taps`: add each (N, OH, OW, C) to the elements that the tap read; cut off the padding."""
        top, bottom, left, right = self.pads
        n, h, w, c = shape
        padded: Array | None = None
        for (rows, columns), tap in zip(self.slices(), taps, strict=True):
            if padded is None:
                padded_shape = (n, top + h + bottom, left + w + right, c)
                padded = xp.zeros(padded_shape, dtype=tap.dtype, device=tap.device)
            padded[:, rows, columns, :] += tap  # windows overlap: add, never assign
        assert padded is not None
        return padded[:, top : top + h, left : left + w, :]  # (N, H, W, C)

    @cached_property
    def flipped(self) -> Placement | None:
        """For stride 1: the window over y whose taps, rotated by 180°, read what `fold` adds to x; None if none exists.

        Tap u reads element p for the output at position p − u·D + P₀; so y is padded by D·(K − 1) − P₀.
        """
        reach = [d * (k - 1) for k, d in zip(self.window.kernel, self.window.dilation, strict=True)]
        pads = (reach[0] - self.pads[0], reach[0] - self.pads[1], reach[1] - self.pads[2], reach[1] - self.pads[3])
        if self.window.stride != (1, 1) or min(pads) < 0:
            return None
        return Window(self.window.kernel, padding=pads, dilation=self.window.dilation).place(*self.out)

    @cached_property
    def covered(self) -> bool:
        """True if every position has at least one tap inside the image, not only padding."""
        return all(
            all(any(0 <= at < size for at in self.reads(axis, i)) for i in range(self.out[axis]))
            for axis, size in enumerate(self.size)
        )

    def reads(self, axis: int, i: int) -> range:
        """By (2), the elements of the image (not of the padded one) that position i reads along an axis."""
        window = self.window
        start = i * window.stride[axis] - self.pads[2 * axis]
        return range(start, start + window.kernel[axis] * window.dilation[axis], window.dilation[axis])


@lru_cache(maxsize=1024, typed=True)
def _place(window: Window, height: int, width: int, who: str) -> Placement:
    out, pads = [], []
    for axis, size in enumerate((height, width)):
        kernel, stride, dilation = window.kernel[axis], window.stride[axis], window.dilation[axis]
        reach = dilation * (kernel - 1) + 1  # how far one window extends
        if isinstance(window.padding, str):  # "same"
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            before, after = total // 2, total - total // 2
        else:
            before, after = window.padding[2 * axis : 2 * axis + 2]
        room = before + size + after - reach
        if size < 1 or (room < 0 and not (window.ceil and room > -stride)):
            name = ("height", "width")[axis]
            raise ShapeError(
                who,
                f"an image and its padding of {name} ≥ {reach}",
                f"{name} {size} + padding {before + after}",
                "use larger images, more padding or a smaller kernel",
            )
        positions = room // stride + 1  # (1)
        if window.ceil and room % stride and positions * stride < size + before:
            positions += 1
            after += stride - room % stride
        out.append(positions)
        pads += [before, after]
    return Placement(window, (height, width), (out[0], out[1]), (pads[0], pads[1], pads[2], pads[3]))


def _padding(who: str, padding: Padding) -> tuple[int, int, int, int] | str:
    """(top, bottom, left, right), or "same"."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise OptionError(who, 'padding: "same", "valid" or numbers', repr(padding))
        return padding if padding == "same" else (0, 0, 0, 0)
    if isinstance(padding, (tuple, list)) and len(padding) == 4:
        top, bottom = as_pair(who, "padding", (padding[0], padding[1]), least=0)
        left, right = as_pair(who, "padding", (padding[2], padding[3]), least=0)
        return top, bottom, left, right
    h, w = as_pair(who, "padding", padding, least=0)
    return h, h, w, w
