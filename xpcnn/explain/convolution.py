"""Convolution and transposed convolution, tap by tap."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import array_namespace, to_numpy
from ..nn.conv import Conv2d
from ..nn.conv_transpose import ConvTranspose2d
from ..ops.window import Placement
from .equations import quoted
from .explanation import Explanation, Index
from .rules import Sum
from .run import Visit
from .sums import largest
from .windows import reads

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
    inner = f"x[n, p - {top}, q - {left}, c]"
    page.add("x̂", meaning, ("n", "p", "q", "c"), to_numpy(place.pad(visit.x, xp)), of=inner)
    visit.show_parameters(page, ("f", "u", "v", "c"), "f")
    visit.show(page, ("n", "p", "q", "c"), ("n", "i", "j", "f"), x=False)
    bias = layer.bias is not None
    (kh, kw), (sh, sw), (dh, dw) = layer.kernel_size, layer.stride, layer.dilation
    oh, ow = place.out
    first = f"f//{filters}*{per_group}"  # of the channels that filter f reads
    own = f"c//{per_group}*{filters}"  # of the filters that read channel c
    output = Sum(
        *["b[f]"] * bias,
        f"x̂[n, i*{sh} + u*{dh}, j*{sw} + v*{dw}, {first} + c]·w[f,u,v,c] | u<{kh}, v<{kw}, c<{per_group}",
    )
    weight_gradient = Sum(
        f"dy[n,i,j,f]·x̂[n, i*{sh} + u*{dh}, j*{sw} + v*{dw}, {first} + c] | n<{visit.x.shape[0]}, i<{oh}, j<{ow}"
    )
    row, column = f"(p + {top} - u*{dh})/{sh}", f"(q + {left} - v*{dw})/{sw}"
    input_gradient = Sum(
        f"dy[n, {row}, {column}, {own} + f]·w[{own} + f, u, v, c%{per_group}] | u<{kh}, v<{kw}, f<{filters}"
    )
    title, reads_from = "Forward: a patch of the input times a filter", ("x̂", "w", "b")[: 2 + bias]
    page.add_step(title, quoted("conv", 1), reads_from, "y", at, output)
    if page.aside:
        _patches(page, visit, layer, place, at)
    if "dw" in page.arrays:  # it is not frozen
        tap = largest(page.arrays["dw"].values, (f,))
        title = "Backward: the weights. Each stands in every output of its filter"
        page.add_step(title, quoted("conv", 2), ("dy", "x̂"), "dw", tap, weight_gradient)
    if "db" in page.arrays:
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
    offset = [f"b[{group * filters} + f]"] if bias else []
    product = Sum(*offset, f"P[t,k]·W[f,k] | k<{page.arrays['W'].values.shape[1]}")
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
    inner, padded = f"dy[n, p - {top}, q - {left}, f]", to_numpy(place.pad(visit.dy, xp))
    page.add("dŷ", "∂L/∂y, padded with zeros", ("n", "p", "q", "f"), padded, of=inner)
    page.add("dx", "∂L/∂x", ("n", "i", "j", "c"), to_numpy(visit.dx))
    bias = layer.bias is not None
    (kh, kw), (sh, sw), (dh, dw) = layer.kernel_size, layer.stride, layer.dilation
    first = f"f//{filters}*{per_group}"  # of the channels that paint filter f
    own = f"c//{per_group}*{filters}"  # of the filters that channel c paints
    row, column = f"(p + {top} - u*{dh})/{sh}", f"(q + {left} - v*{dw})/{sw}"
    painted = f"dŷ[n, i*{sh} + u*{dh}, j*{sw} + v*{dw}, {own} + f]"
    output = Sum(
        *["b[f]"] * bias,
        f"x[n, {row}, {column}, {first} + c]·w[{first} + c, u, v, f%{filters}] | u<{kh}, v<{kw}, c<{per_group}",
    )
    input_gradient = Sum(f"{painted}·w[c,u,v,f] | u<{kh}, v<{kw}, f<{filters}")
    weight_gradient = Sum(f"x[n,i,j,c]·{painted} | n<{visit.x.shape[0]}, i<{out[0]}, j<{out[1]}")
    group = f // filters
    title, reads_from = "Forward: every input element paints a kernel", ("x", "w", "b")[: 2 + bias]
    notes = [f"y[n,p,q,f] is ŷ[n,p+{top},q+{left},f]: the padding is cut off"] if top or left else []
    page.add_step(title, quoted("conv_transpose", 1), reads_from, "y", at, output, *notes)
    channels = (slice(group * per_group, (group + 1) * per_group), slice(None), slice(None), f % filters)
    if "dw" in page.arrays:
        tap = largest(page.arrays["dw"].values, channels)
        page.add_step("Backward: the weights", quoted("conv_transpose", 3), ("x", "dŷ"), "dw", tap, weight_gradient)
    if "db" in page.arrays:
        page.add("dy", "∂L/∂y", ("n", "p", "q", "f"), to_numpy(visit.dy))
        bias_gradient(page, quoted("conv_transpose", 4), f)
    focus = largest(page.arrays["dx"].values, (n,))
    page.add_step("Backward: the input", quoted("conv_transpose", 2), ("dŷ", "w"), "dx", focus, input_gradient)


def bias_gradient(page: Explanation, equations: Any, f: int) -> None:
    """db, the sum of dy over all axes but the last."""

    axes, shape = page.arrays["dy"].axes, page.arrays["dy"].values.shape
    loops = ", ".join(f"{letter}<{size}" for letter, size in zip(axes[:-1], shape, strict=False))
    gradient = Sum(f"dy[{','.join(axes)}] | {loops}")
    page.add_step("Backward: the bias, which is added to every output", equations, ("dy",), "db", (f,), gradient)


def _inside(indices: Any, size: int) -> Any:
    """The indices that are in 0 … size − 1; all of 0 … size − 1 if none is."""
    kept = indices.ravel()
    kept = kept[(kept >= 0) & (kept < size)]
    return kept if kept.size else np.arange(size)
