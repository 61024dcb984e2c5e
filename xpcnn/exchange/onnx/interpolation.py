"""Interpolation as ONNX defines it, as a matrix along each axis; and the layers whose matrices are known.

Source: the ONNX specification of Resize, https://onnx.ai/onnx/operators/onnx__Resize.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn
from ...ops import adaptive_pool
from ...ops.bilinear import weights
from ...typing import NDArray
from .file import Node
from .graph_state import GraphState

_MODES = ("nearest", "linear", "cubic")
_ROUND: dict[str, Callable[[NDArray], NDArray]] = {
    "round_prefer_floor": lambda u: np.ceil(u - 0.5),
    "round_prefer_ceil": lambda u: np.floor(u + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


class Interpolation:
    """How a node interpolates."""

    def __init__(self, node: Node, state: GraphState, rank: int) -> None:
        newer = node.operator == "Resize" and state.opset >= 11
        self.node, self.mode = node, node.text("mode", "nearest")
        self.where = node.text("coordinate_transformation_mode", "half_pixel") if newer else "asymmetric"
        self.rounding = node.text("nearest_mode", "round_prefer_floor") if newer else "floor"
        self.a, self.exclude = node.number("cubic_coeff_a", -0.75), bool(node.integer("exclude_outside", 0))
        self.smooth = bool(node.integer("antialias", 0))
        node.ignore("extrapolation_value")  # of regions beyond the image, which are refused
        if self.mode not in _MODES or self.rounding not in _ROUND:
            raise node.refuse("an interpolation of ONNX", f"{self.mode}, {self.rounding}")
        self.region: Any = None
        if self.where == "tf_crop_and_resize":
            roi, axes = state.required(node, 1), node.integers("axes", tuple(range(rank)))
            by_axis = dict(zip(axes, roi.reshape(2, -1).T, strict=True))
            self.region = [by_axis[axis] for axis in (-2 % rank, rank - 1)]

    @property
    def blocks(self) -> bool:
        """Whether whole scales make blocks of equal pixels."""
        halves = self.where == "half_pixel" and self.rounding.startswith("round")
        return self.mode == "nearest" and (halves or (self.where, self.rounding) == ("asymmetric", "floor"))

    def matrix(self, axis: int, size: int, out: int, scale: float) -> NDArray:
        """The weights (out, size) along the height, axis 0, or the width."""
        places = self._places(axis, np.arange(out), size, out, scale)
        matrix = np.zeros((out, size))
        if self.mode == "nearest":
            matrix[np.arange(out), np.clip(_ROUND[self.rounding](places), 0, size - 1).astype(int)] = 1
            return matrix
        wide = min(scale, 1.0) if self.smooth else 1.0
        reach = math.ceil((2 if self.mode == "cubic" else 1) / wide)
        for i, place in enumerate(places):
            p = np.arange(math.floor(place) - reach, math.floor(place) + reach + 2)
            weight = self._kernel(np.abs(p - place) * wide)
            if self.exclude:
                weight = weight * ((p >= 0) & (p < size))
            np.add.at(matrix[i], np.clip(p, 0, size - 1), weight / np.sum(weight))
        return matrix

    def _places(self, axis: int, i: NDArray, size: int, out: int, scale: float) -> NDArray:
        """Where the output's elements lie among the input's."""
        if (
            self.where == "align_corners" and abs(scale * size - out) > 1e-4
        ):  # onnxruntime takes the one, ONNX the other
            raise self.node.refuse("scales by which sizes are whole numbers", str(scale), "give sizes")
        half: NDArray = (i + 0.5) / scale - 0.5
        region = self.region[axis] if self.region is not None else (0, 1)
        start, end = (float(each) * (size - 1) for each in region)
        along = i * ((end - start) / (out - 1)) if out > 1 else i + 0.0
        places: dict[str, NDArray] = {
            "half_pixel": half,
            "half_pixel_symmetric": half + size / 2 * (1 - out / (scale * size)),
            "pytorch_half_pixel": half if out > 1 else along,
            "align_corners": along,
            "asymmetric": i / scale,
            "tf_half_pixel_for_nn": (i + 0.5) / scale,
            "tf_crop_and_resize": start + along if out > 1 else np.array([0.5 * (start + end)]),
        }
        found = places.get(self.where)
        if found is None or (self.region is not None and (min(found) < 0 or max(found) > size - 1)):
            raise self.node.refuse("an interpolation of ONNX, within the image", self.where)
        return found

    def _kernel(self, t: NDArray) -> NDArray:
        """The weight at a distance: a triangle, or R. Keys' cubic."""
        if self.mode == "linear":
            return np.asarray(np.maximum(1 - t, 0))
        a = self.a
        near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def layer_with_matrices(rows: NDArray, columns: NDArray, scale: tuple[float, float] | None = None) -> nn.Layer | None:
    """The layer that has these matrices (OH, H) and (OW, W), if one has."""
    (oh, height), (ow, width) = rows.shape, columns.shape
    layer: nn.Layer = nn.AdaptiveAvgPool2d((oh, ow))
    found: list[tuple[Any, Any, nn.Layer]] = [(bins(oh, height), bins(ow, width), layer)]
    if (oh, ow) == (height, width):
        found.insert(0, (np.eye(oh), np.eye(ow), nn.Identity()))
    for corners in (False, True):
        how: dict[str, Any] = {"scale_factor": scale} if scale else {"size": (oh, ow)}
        layer = nn.Upsample(**how, mode="bilinear", align_corners=corners)
        if layer.output_shape((height, width, 1))[:2] == (oh, ow):
            each = zip((oh, ow), (height, width), scale or (None, None), strict=True)
            r, c = (weights(o, n, s, corners, np.zeros(()), np) for o, n, s in each)
            found.append((r, c, layer))
    for expected_rows, expected_columns, layer in found:
        if np.allclose(rows, expected_rows, atol=1e-6) and np.allclose(columns, expected_columns, atol=1e-6):
            return layer
    return None


def bins(out: int, size: int) -> NDArray:
    """The matrix (out, size) of equations 1 and 2 of `xpcnn.ops.adaptive_pool`.

    >>> bins(2, 3)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    return np.asarray(adaptive_pool.bins(out, size, np.zeros(()), np))
