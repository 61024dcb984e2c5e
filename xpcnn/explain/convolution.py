"""Convolution and transposed convolution, tap by tap."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import array_namespace, to_numpy
from ..nn.conv import Conv2d
from ..nn.conv_transpose import ConvTranspose2d
from ..ops.window import Placement
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .run import Visit
from .sums import Factor, largest, total
from .windows import readers, reads, taps

MOST_PATCHES = 2**22  # numbers in the matrix of patches


def convolution(page: Explanation, visit: Visit, layer: Conv2d, at: Index) -> None:
    """Input patch × kernel, the same as a matrix product, and the three gradients."""
    n, i, j, f = at
    place = layer.window.place(visit.x.shape[1], visit.x.shape[2])
    per_group, filters = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    top, _, left, _ = place.pads
    xp = array_namespace(visit.x)
    padded = f"padded with zeros: {', '.join(map(str, place.pads))} (top, bottom, left, right)"
    meaning = f"input, {padded if any(place.pads) else 'without padding'}"
    page.add("x̂", meaning, ("n", "p", "q", "c"), to_numpy(place.pad(visit.x, xp)))
    visit.show_parameters(page, ("f", "u", "v", "c"), "f")
    visit.show(page, ("n", "p", "q", "c"), ("n", "i", "j", "f"), x=False)
    u, v = (tap[:, :, None] for tap in taps(place))  # (KH, 1, 1), (1, KW, 1)
    c = np.arange(per_group)  # (Cin/G,)
    bias = layer.bias is not None

    def output(index: Index) -> Worked:
        n, i, j, f = index
        rows, columns = (part[:, :, None] for part in reads(place, i, j))
        channels = f // filters * per_group + c
        products = [Factor("x̂", (n, rows, columns, channels)), Factor("w", (f, u, v, c))]
        return total(page, Ref("y", index), *([[Factor("b", (f,))]] if bias else []), products)

    def weight_gradient(index: Index) -> Worked:
        f, u, v, c = index
        n, i, j = (np.arange(size) for size in page.arrays["dy"].values.shape[:3])
        n, i, j = n[:, None, None], i[:, None], j  # (N, 1, 1), (OH, 1), (OW,)
        (sh, sw), (dh, dw) = layer.stride, layer.dilation
        patch = Factor("x̂", (n, i * sh + u * dh, j * sw + v * dw, f // filters * per_group + c))
        return total(page, Ref("dw", index), [Factor("dy", (n, i, j, f)), patch])

    def input_gradient(index: Index) -> Worked:
        n, p, q, c = index
        i, j, u, v = (part[:, :, None] for part in readers(place, p + top, q + left))
        f = c // per_group * filters + np.arange(filters)
        return total(page, Ref("dx", index), [Factor("dy", (n, i, j, f)), Factor("w", (f, u, v, c % per_group))])

    title, reads_from = "Forward: a patch of the input times a filter", ("x̂", "w", "b")[: 2 + bias]
    page.add_step(title, quoted("conv", 1), reads_from, "y", at, output)
    _patches(page, visit, layer, place, at)
    tap = largest(page.arrays["dw"].values, (f,))
    title = "Backward: the weights. Each stands in every output of its filter"
    page.add_step(title, quoted("conv", 2), ("dy", "x̂"), "dw", tap, weight_gradient)
    if bias:
        bias_gradient(page, quoted("conv", 3), f)
    rows, columns = reads(place, i, j)
    height, width = place.size
    inside = (n, _inside(rows - top, height)[:, None], _inside(columns - left, width)[None, :])
    focus = largest(page.arrays["dx"].values, inside)
    title = "Backward: the input. Each element stands in every output whose patch it is in"
    notes = [f"dx[n,p,q,c] is dx̂[n,p+{top},q+{left},c]: the padding is cut off"] if top or left else []
    page.add_step(title, quoted("conv", 4), ("dy", "w"), "dx", focus, input_gradient, *notes)


def _patches(page: Explanation, visit: Visit, layer: Conv2d, place: Placement, at: Index) -> None:
    """The patches of one image as rows of a matrix (im2col): all outputs of a group in one product."""
    n, i, j, f = at
    per_group, filters = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    group = f // filters
    if place.out[0] * place.out[1] * layer.window.taps * per_group > MOST_PATCHES:
        return
    xp = array_namespace(visit.x)
    channels = slice(group * per_group, (group + 1) * per_group)
    every = np.stack([to_numpy(tap)[n, :, :, channels] for tap in place.taps(visit.x, xp)], axis=2)
    page.add(
        "P",
        "patches: row i·OW + j, column (u·KW + v)·C + c",
        ("t", "k"),
        every.reshape(place.out[0] * place.out[1], -1),
    )
    own = slice(group * filters, (group + 1) * filters)
    page.add("W", "filters as rows, in the same order", ("f", "k"), to_numpy(layer.weight)[own].reshape(filters, -1))
    y = to_numpy(visit.y)[n, :, :, own].reshape(-1, filters)
    page.add("Y", "output: row i·OW + j", ("t", "f"), y)
    bias = layer.bias is not None
    k = np.arange(page.arrays["W"].values.shape[1])

    def product(index: Index) -> Worked:
        t, f = index
        offset = [[Factor("b", (group * filters + f,))]] if bias else []
        return total(page, Ref("Y", index), *offset, [Factor("P", (t, k)), Factor("W", (f, k))])

    whose = f" of group {group}" if layer.groups > 1 else ""
    note = f"Every patch as a row, every filter{whose} as a row: Y = P Wᵀ + b holds all outputs of image {n}."
    focus = (i * place.out[1] + j, f % filters)
    page.add_step("The same as one product of matrices", (), ("P", "W", "b")[: 2 + bias], "Y", focus, product, note)


def transposed(page: Explanation, visit: Visit, layer: ConvTranspose2d, at: Index) -> None:
    """Each input element adds the kernel, times its value, to the output."""
    n, _, _, f = at
    xp = array_namespace(visit.x)
    pads: Any = layer.window.padding
    size, out = visit.y.shape[1:3], visit.x.shape[1:3]
    place = Placement(layer.window, (size[0], size[1]), (out[0], out[1]), pads)
    per_group, filters = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    top, _, left, _ = place.pads
    page.add("x", "input", ("n", "i", "j", "c"), to_numpy(visit.x))
    visit.show_parameters(page, ("c", "u", "v", "f"), "f")
    page.add("y", "output", ("n", "p", "q", "f"), to_numpy(visit.y))
    page.add("dŷ", "∂L/∂y, padded with zeros", ("n", "p", "q", "f"), to_numpy(place.pad(visit.dy, xp)))  # type: ignore[arg-type]
    page.add("dx", "∂L/∂x", ("n", "i", "j", "c"), to_numpy(visit.dx))
    u, v = (tap[:, :, None] for tap in taps(place))
    bias = layer.bias is not None

    def output(index: Index) -> Worked:
        n, p, q, f = index
        i, j, u, v = (part[:, :, None] for part in readers(place, p + top, q + left))
        c = f // filters * per_group + np.arange(per_group)
        products = [Factor("x", (n, i, j, c)), Factor("w", (c, u, v, f % filters))]
        return total(page, Ref("y", index), *([[Factor("b", (f,))]] if bias else []), products)

    def input_gradient(index: Index) -> Worked:
        n, i, j, c = index
        rows, columns = (part[:, :, None] for part in reads(place, i, j))
        f = np.arange(filters)
        painted = Factor("dŷ", (n, rows, columns, c // per_group * filters + f))
        return total(page, Ref("dx", index), [painted, Factor("w", (c, u, v, f))])

    def weight_gradient(index: Index) -> Worked:
        c, u, v, f = index
        n, i, j = (np.arange(size) for size in page.arrays["x"].values.shape[:3])
        n, i, j = n[:, None, None], i[:, None], j
        (sh, sw), (dh, dw) = layer.stride, layer.dilation
        painted = Factor("dŷ", (n, i * sh + u * dh, j * sw + v * dw, c // per_group * filters + f))
        return total(page, Ref("dw", index), [Factor("x", (n, i, j, c)), painted])

    group = f // filters
    title, reads_from = "Forward: every input element paints a kernel", ("x", "w", "b")[: 2 + bias]
    notes = [f"y[n,p,q,f] is ŷ[n,p+{top},q+{left},f]: the padding is cut off"] if top or left else []
    page.add_step(title, quoted("conv_transpose", 1), reads_from, "y", at, output, *notes)
    channels = (slice(group * per_group, (group + 1) * per_group), slice(None), slice(None), f % filters)
    tap = largest(page.arrays["dw"].values, channels)
    page.add_step("Backward: the weights", quoted("conv_transpose", 3), ("x", "dŷ"), "dw", tap, weight_gradient)
    if bias:
        page.add("dy", "∂L/∂y", ("n", "p", "q", "f"), to_numpy(visit.dy))
        bias_gradient(page, quoted("conv_transpose", 4), f)
    focus = largest(page.arrays["dx"].values, (n,))
    page.add_step("Backward: the input", quoted("conv_transpose", 2), ("dŷ", "w"), "dx", focus, input_gradient)


def bias_gradient(page: Explanation, equations: Any, f: int) -> None:
    """db, the sum of dy over all axes but the last."""

    def gradient(index: Index) -> Worked:
        shape = page.arrays["dy"].values.shape
        return total(page, Ref("db", index), [Factor("dy", (*np.indices(shape[:-1]), index[0]))])

    page.add_step("Backward: the bias, which is added to every output", equations, ("dy",), "db", (f,), gradient)


def _inside(indices: Any, size: int) -> Any:
    """The indices that are in 0 … size − 1; all of 0 … size − 1 if none is."""
    kept = indices.ravel()
    kept = kept[(kept >= 0) & (kept < size)]
    return kept if kept.size else np.arange(size)
