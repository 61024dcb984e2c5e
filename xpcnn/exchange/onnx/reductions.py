"""Means and maxima over axes to operators; channels last, as in the layers, whose order is that of what is left."""

from __future__ import annotations

from typing import Any

from ... import nn
from ...ops.reduce import reduced
from .layers import Place, to_channels_first, to_channels_last, translates


@translates(nn.Mean, nn.Max)
def _reduce(at: Place, layer: nn.Mean | nn.Max) -> str:
    rank, left = len(at.x.shape), len(at.shape)
    operator = "ReduceMean" if isinstance(layer, nn.Mean) else "ReduceMax"
    over = list(reduced(operator, layer.axes, rank + 1))
    x = at.node("Transpose", part="channels_last", perm=to_channels_last(rank)) if rank > 1 else at.x.name
    inputs, axes = [x], {"axes": over}
    if at.graph.opset >= 18:
        inputs, axes = [x, at.constant("axes", over, "int64")], {}
    options: dict[str, Any] = {"keepdims": int(layer.keepdims), **axes}
    if left < 2:
        return at.node(operator, *inputs, **options)
    y = at.node(operator, *inputs, part="reduced", **options)
    return at.node("Transpose", y, perm=to_channels_first(left))
