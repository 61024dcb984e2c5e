"""Convolution in a plan, with the batch norm and the ReLU after it.

It is the sum of equation 1 of `xpcnn.ops.conv`. Down the rows, windows of stride 1 overlap: what tap u reads for row i
is what tap 0 reads for row i + u·D. So only the taps v along a row are copied, into a matrix whose rows are runs of
image rows, and each u is a product with the part of it that begins u·D rows further:

    cols[(v,c), (n,r,j)] = x̂[c, n, r, j·S + v·D]                                      (1)
    y[f, t] = Σ_u Σ_k w[f, u, k] cols[k, t + u·D·OW] + b[f],   k = (v,c), t = (n,i,j)  (2)

With a vertical stride, or where cols is small, all taps are copied, and (2) has a single term. Where BLAS adds a
product to what is there (`xpcnn.kernels.blas`), y begins as b, and each term is one call on memory that does not
change. Filters are read as they are stored, without a copy. Batch norm turns w into s w and b into b′ (equations 2, 3
of `xpcnn.nn.fusion`): the smaller of w and y is multiplied by s. Groups are a stack of matrices. The work is divided
into blocks of a few images, or of some rows of an image, and products of few filters into pieces that BLAS computes
without rearranging them.

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ops.window import Placement
from ...typing import NDArray, Shape
from .. import blas
from ..batch_last import chunks
from ..memory import aligned
from ..threads import parallel
from .buffer import NONE, Buffer, Margin
from .step import Call, PlanStep

NUMBERS = 1 << 18  # of cols in a block at most: as many as a core's second-level cache holds
POSITIONS = 256  # of output in a block of several images
MANY = 1 << 13  # numbers of cols for one image: copying fewer than that for each u costs less than a product for each u
LONG = 32  # rows of cols in a term at least: products of fewer are slower than one of all taps
BLOCKS, SHARE = 4, 8e6  # an image is divided for threads into that many blocks of at least so many multiply-adds,
HALVES, WIDE = 2, 128  # into two, or blocks of at least so many positions
LEAST = 3e7  # cost of a step for which its threads, awake from the step before, save more than they take
RUN = 1 << 16  # numbers of a product that ReLU takes as one run, not row by row
FEW, SMALL = 32, 10**6  # filters; multiply-adds of a product that BLAS computes without rearranging them first


class Block(NamedTuple):
    """Some whole images, or some rows of output of one image."""

    images: slice
    rows: slice


class Convolution(PlanStep):
    """The step of a convolution.

    Parameters
        weight : returns the filters (F, KH, KW, C/G)
        affine : returns s and b′, (F,) each or None
        place : of the window
        filters, channels, groups : F, C, G
        relu : whether to replace negative numbers with 0
    """

    def __init__(
        self,
        weight: Callable[[], NDArray],
        affine: Callable[[], tuple[NDArray | None, NDArray | None]],
        place: Placement,
        *,
        filters: int,
        channels: int,
        groups: int = 1,
        relu: bool = False,
    ) -> None:
        self.weight, self.affine, self.place, self.relu = weight, affine, place, relu
        self.margin: Margin = place.pads
        self.filters, self.channels, self.groups = filters, channels, groups
        (kh, kw), (sh, _) = place.window.kernel, place.window.stride
        along = kw * channels // groups
        self.terms = kh if sh == 1 and along >= LONG and along * math.prod(place.out) >= MANY else 1  # of (2)
        self.size = along * kh // self.terms  # rows of cols
        self.extra = (self.terms - 1) * place.window.dilation[0]  # rows of images in cols that no output begins at

    def frozen(self) -> Convolution:
        """With s in the filters."""
        w, (scale, shift) = self.weight(), self.affine()
        own = aligned(w.shape, w.dtype)
        np.multiply(w, 1 if scale is None else scale[:, None, None, None], out=own)
        b = None if shift is None else shift.copy()
        sizes = {"filters": self.filters, "channels": self.channels, "groups": self.groups}
        return Convolution(lambda: own, lambda: (None, b), self.place, relu=self.relu, **sizes)

    def blocks(self, shape: Shape) -> list[Block]:
        n, (oh, ow) = shape[0], self.place.out
        cost = float(self.filters * self.size * self.terms * oh * ow)  # of one image
        pieces = max(1, min(BLOCKS, int(cost / SHARE), max(HALVES, oh * ow // WIDE)))
        rows = max(1, min(-(-oh // pieces), NUMBERS // (self.groups * self.size * ow)))
        if rows < oh:
            return [Block(slice(i, i + 1), part) for i in range(n) for part in chunks(oh, rows)]
        return [Block(images, slice(0, oh)) for images in chunks(n, max(1, POSITIONS // (oh * ow)))]

    def workspace(self, shape: Shape) -> list[Shape]:
        """For each block that runs at the same time: cols, products and one term of (2)."""
        blocks = self.blocks(shape)
        images, rows = (max(part.stop - part.start for part in parts) for parts in zip(*blocks, strict=True))
        positions = images * (rows + self.extra) * self.place.out[1]
        product = (self.groups, self.filters // self.groups, positions)
        count = len(blocks) if self.is_shared(shape) else 1
        shapes = (self.groups, self.size, positions), product, product if self.terms > 1 else (0,)
        return [(count, *each) for each in shapes]

    def cost(self, shape: Shape) -> float:
        return float(2 * self.filters * self.size * self.terms * shape[0] * math.prod(self.place.out))

    def is_shared(self, shape: Shape) -> bool:
        """Whether threads share the blocks."""
        return len(self.blocks(shape)) > 1 and self.cost(shape) >= LEAST

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        positions, cost, shared = x.shape[0] * math.prod(self.place.out), self.cost(x.shape), self.is_shared(x.shape)
        sizes = [math.prod(each[1:]) for each in self.workspace(x.shape)]
        works = []
        for k, block in enumerate(self.blocks(x.shape)):
            place = k if shared else 0
            arrays = [memory[place * size :][:size] for memory, size in zip(workspace, sizes, strict=True)]
            works.append(_Work(self, x, y, block, arrays))
        own = aligned((self.filters, *self.place.window.kernel, self.channels // self.groups), y.inside.dtype)
        scales_filters = own[0].size < positions

        def run() -> None:
            w = self.weight()
            scale, shift = self.affine()
            if scale is not None and scales_filters:
                w, scale = np.multiply(w, scale[:, None, None, None], out=own), None
            elif not w.flags.c_contiguous:
                np.copyto(own, w)
                w = own
            columns = [each if each is None else each.reshape(self.groups, -1, 1) for each in (scale, shift)]
            if shared:
                parallel(lambda work: work(w, *columns), works, cost, least=LEAST)
            else:
                for work in works:
                    work(w, *columns)

        return run


class _Work:
    """A block of a convolution's output, with the memory that it works in."""

    def __init__(self, step: Convolution, x: Buffer, y: Buffer, block: Block, arrays: list[NDArray]) -> None:
        self.step = step
        f, groups, (oh, ow) = step.filters, step.groups, step.place.out
        images, rows = block.images.stop - block.images.start, block.rows.stop - block.rows.start
        self.patches = self._patches(x, block)  # (G, taps, C/G, n, r, OW)
        positions = math.prod(self.patches.shape[-3:])
        read = positions - step.extra * ow  # positions of a product
        start = (block.images.start * oh + block.rows.start) * ow
        window = step.place.window
        in_place = window.kernel == window.stride == (1, 1) and x.margin == NONE
        if in_place:
            cols = x.padded.reshape(groups, step.size, -1)[:, :, start : start + positions]
        else:
            cols = _part(arrays[0], (groups, step.size, positions))
        self.into = None if in_place else cols.reshape(self.patches.shape)
        apart = window.dilation[0] * ow
        self.steps = [cols[:, :, u * apart : u * apart + read] for u in range(step.terms)]
        self.target = y.inside[:, block.images, block.rows]  # (F, n, r, OW)
        if y.margin == NONE and images == 1:
            self.product = y.padded.reshape(groups, f // groups, -1)[:, :, start : start + read]
            self.image = self.target
        else:
            whole = _part(arrays[1], (groups, f // groups, read if images == 1 else positions))
            self.product = whole[:, :, :read]
            self.image = whole.reshape(f, images, -1, ow)[:, :, :rows]
        self.adds = groups == 1 and blas.refuses(y.inside) is None  # whether products add to what is there
        self.term = _part(arrays[2], self.product.shape if step.terms > 1 and not self.adds else (0,))
        one_run = self.product.flags.c_contiguous and self.product.size <= RUN
        self.flat = self.product.reshape(-1) if one_run else self.product
        self.zeros = _zeros(self.flat.shape[-1], y.inside.dtype)  # an array is faster than a number
        self.prepared: tuple[NDArray | None, bool, list[Call]] = (None, False, [])

    def __call__(self, w: NDArray, scale: NDArray | None, shift: NDArray | None) -> None:
        product = self.product
        if self.into is not None:
            np.copyto(self.into, self.patches)  # (1)
        if self.adds:
            begun = False
            if scale is None and shift is not None:
                np.copyto(product, shift)
                begun, shift = True, None
            if self.prepared[0] is not w or self.prepared[1] != begun:
                self.prepared = w, begun, self._calls(w, begun)
            for call in self.prepared[2]:
                call()  # (2)
        else:
            groups, terms = self.step.groups, self.step.terms
            matrices = w.reshape(groups, len(w) // groups, terms, -1).transpose(2, 0, 1, 3)  # (terms, G, F/G, k)
            np.matmul(matrices[0], self.steps[0], out=product)  # (2)
            for u in range(1, terms):
                np.matmul(matrices[u], self.steps[u], out=self.term)  # (2)
                np.add(product, self.term, out=product)
        if scale is not None:
            np.multiply(product, scale, out=product)
        if shift is not None:
            np.add(product, shift, out=product)
        if self.step.relu:
            np.maximum(self.flat, self.zeros, out=self.flat)
        if self.image is not self.target:
            np.copyto(self.target, self.image)

    def _calls(self, w: NDArray, begun: bool) -> list[Call]:
        """The products of (2), prepared for filters in this memory."""
        matrices = w.reshape(len(w), self.step.terms, self.step.size).swapaxes(0, 1)  # (terms, F, k), a view
        positions = self.product.shape[2]
        few = SMALL // matrices[0].size // LONG * LONG if len(w) <= FEW else 0
        return [
            blas.bound(matrix, cols[0, :, piece], self.product[0, :, piece], float(begun or u > 0))
            for piece in chunks(positions, max(LONG, few) if few else positions)
            for u, (matrix, cols) in enumerate(zip(matrices, self.steps, strict=True))
        ]

    def _patches(self, x: Buffer, block: Block) -> NDArray:
        """What the taps that are copied read, a view (G, taps, …, C/G, n, r, OW)."""
        step = self.step
        (kh, kw), (sh, sw), (dh, dw) = step.place.window.kernel, step.place.window.stride, step.place.window.dilation
        top, left = x.margin[0] - step.place.pads[0], x.margin[2] - step.place.pads[2]
        first = x.padded[:, block.images, top + block.rows.start * sh :, left:]
        s_c, s_n, s_h, s_w = first.strides
        c, rows = step.channels // step.groups, block.rows.stop - block.rows.start + step.extra
        if step.terms > 1:
            kh = 1
        shape = (step.groups, kh, kw, c, first.shape[1], rows, step.place.out[1])
        strides = (s_c * c, s_h * dh, s_w * dw, s_c, s_n, s_h * sh, s_w * sw)
        return as_strided(first, shape, strides, writeable=False)


@lru_cache(maxsize=32)
def _zeros(size: int, dtype: np.dtype[Any]) -> NDArray:
    zeros = np.zeros(size, dtype)
    zeros.flags.writeable = False
    return zeros


def _part(memory: NDArray, shape: Shape) -> NDArray:
    """The first numbers of some memory, in this shape."""
    return memory.reshape(-1)[: math.prod(shape)].reshape(shape)
