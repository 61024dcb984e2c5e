"""A window that slides over an image: its sizes, its taps, and their adjoint.

A kernel of K taps, D apart, moving S at a time over an axis of L elements padded by P₀ before and P₁ after,
takes

    O = ⌊(L + P₀ + P₁ − D·(K − 1) − 1) / S⌋ + 1                                        (1)

positions. At output position i, its tap u reads the padded element

    i·S + u·D                                                                          (2)

so that the elements which tap u reads at *all* positions are one strided slice. Convolution and pooling
are sums over these slices, and their gradients add into the same slices: there is no other indexing in
this library.

Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016, relations 5, 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from ..errors import OptionError, ShapeError
from ..typing import Array, Pair
from .check import pair

Padding: TypeAlias = str | int | tuple[int, int] | tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """Kernel, stride, padding and dilation, each (height, width).

    `padding` is (top, bottom, left, right) or "same", which pads as evenly as it can (the odd one after)
    until O = ⌈L / S⌉. `ceil` rounds up in (1): a last window may begin in the image and reach past the
    padding, which is then extended.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] | str = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil: bool = False

    @classmethod
    def of(
        cls, who: str, kernel: Pair, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1, ceil: bool = False
    ) -> Window:
        """A window from arguments as users write them.

        Parameters
            padding : a number; (height, width); (top, bottom, left, right); "valid" (none); "same"
        Raises
            OptionError : one of them makes no sense

        >>> Window.of("example", 3, stride=(2, 1), padding=1).place(5, 5).out
        (3, 5)
        """
        return cls(
            pair(who, "kernel_size", kernel),
            pair(who, "stride", stride),
            _padding(who, padding),
            pair(who, "dilation", dilation),
            bool(ceil),
        )

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

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
    """A window over images of one size: everything that depends on that size."""

    window: Window
    size: tuple[int, int]  # (H, W)
    out: tuple[int, int]  # (OH, OW)
    pads: tuple[int, int, int, int]  # top, bottom, left, right

    def slices(self) -> Iterator[tuple[slice, slice]]:
        """For each tap (u, v), row by row: the padded rows and columns that it reads, by (2)."""
        (kh, kw), (sh, sw), (dh, dw) = self.window.kernel, self.window.stride, self.window.dilation
        oh, ow = self.out
        for u in range(kh):
            rows = slice(u * dh, u * dh + (oh - 1) * sh + 1, sh)
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
        """For each tap: what it reads at every position, a view (N, OH, OW, C) of the padded images."""
        padded = self.pad(x, xp, value)
        for rows, columns in self.slices():
            yield padded[:, rows, columns, :]

    def fold(self, taps: Iterator[Array], shape: tuple[int, ...], xp: Any) -> Array:
        """The adjoint of `taps`: each (N, OH, OW, C) is added where it was read, and the padding is cut off."""
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

    def covered(self) -> bool:
        """Whether every position has at least one tap inside the image, not only padding."""
        return all(
            all(any(0 <= i * stride + u * dilation - before < size for u in range(kernel)) for i in range(out))
            for size, out, before, kernel, stride, dilation in zip(
                self.size,
                self.out,
                self.pads[::2],
                self.window.kernel,
                self.window.stride,
                self.window.dilation,
                strict=True,
            )
        )


@lru_cache(maxsize=1024)
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
        if size < 1 or room < 0:
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
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise OptionError(who, 'padding: "same", "valid" or numbers', repr(padding))
        return padding if padding == "same" else (0, 0, 0, 0)
    if isinstance(padding, (tuple, list)) and len(padding) == 4:
        top, bottom = pair(who, "padding", padding[:2], least=0)
        left, right = pair(who, "padding", padding[2:], least=0)
        return top, bottom, left, right
    h, w = pair(who, "padding", padding, least=0)
    return h, h, w, w
