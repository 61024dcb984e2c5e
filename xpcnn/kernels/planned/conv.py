"""Convolution in a plan, with the batch norm and the ReLU after it.

It is the sum of equation 1 of `xpcnn.ops.conv`. Down the rows, windows of stride 1 overlap: what tap u reads for row i
is what tap 0 reads for row i + u·D. So only the taps v along a row are copied, into a matrix whose rows are runs of
image rows, and each u is a product with the part of it that begins u·D rows further:

    cols[(v,c), (n,r,j)] = x̂[c, n, r, j·S + v·D]                                      (1)
    y[f, t] = Σ_u Σ_k w[f, u, k] cols[k, t + u·D·OW] + b[f],   k = (v,c), t = (n,i,j)  (2)

With a vertical stride, or where cols is small, all taps are copied, and (2) has a single term. Filters are read as they
are stored, without a copy. Batch norm turns w into s w and b into b′ (equations 2, 3 of `xpcnn.nn.fusion`): the smaller
of w and y is multiplied by s. Groups are a stack of matrices. The work is divided into blocks of a few images, or of
some rows of an image.

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ops.window import Placement
from ...typing import NDArray, Shape
from ..batch_last import chunks
from ..memory import aligned
from ..threads import parallel
from .buffer import NONE, Buffer, Margin
from .step import Call, PlanStep

NUMBERS = 1 << 18  # of cols in a block at most: as many as a core's second-level cache holds
POSITIONS = 256  # of output in a block of several images
MANY = 1 << 13  # numbers of cols for one image: copying fewer than that for each u costs less than a product for each u
BLOCKS, SHARE = 4, 3.5e7  # an image is divided for threads into that many blocks of at least so many multiply-adds


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
        self.terms = kh if sh == 1 and along > filters and along * math.prod(place.out) >= MANY else 1  # of (2)
        self.size = along * kh // self.terms  # rows of cols
        self.extra = (self.terms - 1) * place.window.dilation[0]  # rows of images in cols that no output begins at

    def blocks(self, shape: Shape) -> list[Block]:
        n, (oh, ow) = shape[0], self.place.out
        cost = float(self.filters * self.size * self.terms * oh * ow)  # of one image
        pieces = max(1, min(BLOCKS, int(cost / SHARE)))
        rows = max(1, min(-(-oh // pieces), NUMBERS // (self.groups * self.size * ow)))
        if rows < oh:
            return [Block(slice(i, i + 1), part) for i in range(n) for part in chunks(oh, rows)]
        return [Block(images, slice(0, oh)) for images in chunks(n, max(1, POSITIONS // (oh * ow)))]

    def workspace(self, shape: Shape) -> list[Shape]:
        """For one block: cols, products and one term of (2)."""
        images, rows = (
            max(part.stop - part.start for part in parts) for parts in zip(*self.blocks(shape), strict=True)
        )
        positions = images * (rows + self.extra) * self.place.out[1]
        product = (self.groups, self.filters // self.groups, positions)
        return [(self.groups, self.size, positions), product, product if self.terms > 1 else (0,)]

    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        (x,) = reads
        f, groups = self.filters, self.groups
        blocks = self.blocks(x.shape)
        positions = x.shape[0] * math.prod(self.place.out)
        cost = 2.0 * f * self.size * self.terms * positions
        several = len(blocks) > 1 and cost >= 2 * SHARE
        works = []
        for block in blocks:
            arrays = [aligned(each, y.inside.dtype) for each in self.workspace(x.shape)] if several else workspace
            works.append(self._block(x, y, block, arrays))
        scaled = aligned((f, *self.place.window.kernel, self.channels // groups), y.inside.dtype)
        scales_filters = scaled[0].size < positions

        def run() -> None:
            w = self.weight()
            scale, shift = self.affine()
            if scale is not None and scales_filters:
                w, scale = np.multiply(w, scale[:, None, None, None], out=scaled), None
            matrices = w.reshape(groups, f // groups, self.terms, self.size).transpose(2, 0, 1, 3)
            columns = [each if each is None else each.reshape(groups, -1, 1) for each in (scale, shift)]
            if several:
                parallel(lambda work: work(matrices, *columns), works, cost)
            else:
                for work in works:
                    work(matrices, *columns)

        return run

    def _block(
        self, x: Buffer, y: Buffer, block: Block, arrays: list[NDArray]
    ) -> Callable[[NDArray, NDArray | None, NDArray | None], None]:
        f, groups, terms, (oh, ow) = self.filters, self.groups, self.terms, self.place.out
        images, rows = block.images.stop - block.images.start, block.rows.stop - block.rows.start
        patches = self._patches(x, block)  # (G, taps, C/G, n, r, OW)
        positions = math.prod(patches.shape[-3:])
        read = positions - self.extra * ow  # positions of a product
        start = (block.images.start * oh + block.rows.start) * ow
        window = self.place.window
        in_place = window.kernel == window.stride == (1, 1) and x.margin == NONE
        if in_place:
            cols = x.padded.reshape(groups, self.size, -1)[:, :, start : start + positions]
        else:
            cols = _part(arrays[0], (groups, self.size, positions))
        into = None if in_place else cols.reshape(patches.shape)
        steps = [cols[:, :, u * window.dilation[0] * ow :][:, :, :read] for u in range(terms)]
        target = y.inside[:, block.images, block.rows]  # (F, n, r, OW)
        if y.margin == NONE and images == 1:
            product = y.padded.reshape(groups, f // groups, -1)[:, :, start : start + read]
            image = target
        else:
            whole = _part(arrays[1], (groups, f // groups, read if images == 1 else positions))
            product = whole[:, :, :read]
            image = whole.reshape(f, images, -1, ow)[:, :, :rows]
        zeros = np.zeros(read, x.inside.dtype)  # an array is faster than a number
        term = _part(arrays[2], product.shape if terms > 1 else (0,))

        def work(matrices: NDArray, scale: NDArray | None, shift: NDArray | None) -> None:
            if into is not None:
                np.copyto(into, patches)  # (1)
            np.matmul(matrices[0], steps[0], out=product)  # (2)
            for u in range(1, terms):
                np.matmul(matrices[u], steps[u], out=term)  # (2)
                np.add(product, term, out=product)
            if scale is not None:
                np.multiply(product, scale, out=product)
            if shift is not None:
                np.add(product, shift, out=product)
            if self.relu:
                np.maximum(product, zeros, out=product)
            if image is not target:
                np.copyto(target, image)

        return work

    def _patches(self, x: Buffer, block: Block) -> NDArray:
        """What the taps that are copied read, a view (G, taps, …, C/G, n, r, OW)."""
        (kh, kw), (sh, sw), (dh, dw) = self.place.window.kernel, self.place.window.stride, self.place.window.dilation
        top, left = x.margin[0] - self.place.pads[0], x.margin[2] - self.place.pads[2]
        first = x.padded[:, block.images, top + block.rows.start * sh :, left:]
        s_c, s_n, s_h, s_w = first.strides
        c, rows = self.channels // self.groups, block.rows.stop - block.rows.start + self.extra
        if self.terms > 1:
            kh = 1
        shape = (self.groups, kh, kw, c, first.shape[1], rows, self.place.out[1])
        strides = (s_c * c, s_h * dh, s_w * dw, s_c, s_n, s_h * sh, s_w * sw)
        return as_strided(first, shape, strides, writeable=False)


def _part(memory: NDArray, shape: Shape) -> NDArray:
    """The first numbers of some memory, in this shape."""
    return memory.reshape(-1)[: math.prod(shape)].reshape(shape)
