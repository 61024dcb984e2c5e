"""Curves: a function of one number, such as an activation, and its slope; and paths over a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from ..backend import asarray, to_numpy
from ..nn import Layer
from ..nn.loss import Loss
from ..optim.optimizer import Optimizer
from ..typing import NDArray
from .drawing import ABOVE, BELOW, Drawing

WIDTH, HEIGHT, MARGIN = 240, 170, 26


def activation_curve(layer: Layer, low: float = -4.0, high: float = 4.0) -> Drawing:
    """An elementwise layer and its slope, as forward and backward compute them.

    >>> from xpcnn.nn import ReLU
    >>> activation_curve(ReLU())
    Drawing(ReLU: y, dy/dx)
    """
    x = np.linspace(low, high, 161, dtype="float32")[:, None]  # (N, 1)
    y, cache = layer.forward(asarray(x))
    slope, _ = layer.backward(asarray(np.ones_like(x)), cache)
    curves = {"y": (x, to_numpy(y)), "dy/dx": (x, to_numpy(slope))}
    return curves_of(curves, type(layer).__name__)


def loss_curve(criterion: Loss, target: NDArray, y: NDArray, varied: NDArray) -> Drawing:
    """The loss of one item, and its gradient, as one output varies.

    Parameters
        target : of the item, (1, …)
        y : the outputs, (N, …), one row for each point
        varied : the output that varies, (N,)
    """
    losses, slopes = [], []
    for row in y:
        loss, cache = criterion.forward(asarray(row[None]), asarray(target))
        losses.append(float(loss))
        slopes.append(float(to_numpy(criterion.backward(cache)).ravel()[0]))
    curves = {"L": (varied, np.array(losses)), "dL/dy": (varied, np.array(slopes))}
    return curves_of(curves, type(criterion).__name__)


def paths(optimizers: Mapping[str, Optimizer], start: Sequence[float], steps: int = 40) -> Drawing:
    """The ways of optimizers down the valley L = (p₁² + 12 p₂²) / 2, each for so many steps.

    Parameters
        optimizers : by name, each of one parameter "p" of two numbers, which is set to `start`
    """
    drawn = {}
    for name, optimizer in optimizers.items():
        (p,) = optimizer.parameters.values()
        p[...] = asarray(np.array(start, "float32"))
        way = [to_numpy(p).copy()]
        for _ in range(steps):
            optimizer.step({"p": p * asarray(np.array([1.0, 12.0], "float32"))})
            way.append(to_numpy(p).copy())
        drawn[name] = (np.array(way)[:, 0], np.array(way)[:, 1])
    rings = ""
    for level in (0.25, 1.0, 2.25, 4.0, 6.25, 9.0):
        (left, top), (right, bottom) = _places((-(level**0.5), level**0.5), ((-3.2, 3.2), (-1.2, 1.2)), level)
        rings += (
            f'<ellipse cx="{(left + right) / 2:.1f}" cy="{(top + bottom) / 2:.1f}" rx="{abs(right - left) / 2:.1f}" '
            f'ry="{abs(bottom - top) / 2:.1f}" fill="none" stroke="currentColor" stroke-opacity=".25"/>'
        )
    return curves_of(drawn, "from the dot down a valley", ranges=((-3.2, 3.2), (-1.2, 1.2)), below=rings, dots=True)


def _places(x: tuple[float, float], ranges: tuple[tuple[float, float], ...], level: float) -> list[tuple[float, float]]:
    """The corners of an ellipse's box."""
    y = ((level / 12) ** 0.5, -((level / 12) ** 0.5))
    return [_place(a, b, ranges) for a, b in zip(x, y, strict=True)]


def curves_of(
    curves: Mapping[str, tuple[NDArray, NDArray]],
    title: str,
    *,
    ranges: tuple[tuple[float, float], ...] | None = None,
    below: str = "",
    dots: bool = False,
) -> Drawing:
    """Lines over two axes, each with its name."""
    xs, ys = (np.concatenate([np.ravel(each[k]) for each in curves.values()]) for k in (0, 1))
    ys = np.clip(ys[np.isfinite(ys)], -8, 8)
    if ranges is None:
        low, high = float(min(ys.min(), 0)), float(max(ys.max(), 0))
        ranges = ((float(xs.min()), float(xs.max())), (low - 0.05 * (high - low), high + 0.05 * (high - low)))
    body = f'<text x="4" y="14" font-weight="600">{escape(title)}</text>{below}{_axes(ranges)}'
    colours = (BELOW, ABOVE, "#5a9a3c", "#9a5ac0")
    for number, (name, (x, y)) in enumerate(curves.items()):
        low, high = ranges[1]
        inside = [(a, b) for a, b in zip(np.ravel(x), np.ravel(y), strict=True) if low <= b <= high]
        points = [_place(a, b, ranges) for a, b in inside]
        way = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        dash = ' stroke-dasharray="5 3"' if number % 2 else ""
        body += f'<polyline points="{way}" fill="none" stroke="{colours[number % 4]}" stroke-width="2"{dash}/>'
        if dots:
            body += f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3.5"/>'
        x_name = 8 + sum(9 * len(each) + 34 for each in [*curves][:number])
        line = f'<path d="M{x_name},{HEIGHT + 42} h18" stroke="{colours[number % 4]}" stroke-width="2"{dash}/>'
        body += f'{line}<text x="{x_name + 22}" y="{HEIGHT + 46}" font-size="12">{escape(name)}</text>'
    width = max(WIDTH + 2 * MARGIN, sum(9 * len(each) + 34 for each in curves) + 12)
    return Drawing(body, (width, HEIGHT + 56), f"{title}: {', '.join(curves)}")


def _place(x: float, y: float, ranges: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    (left, right), (low, high) = ranges
    return (
        MARGIN + (float(x) - left) / (right - left) * WIDTH,
        MARGIN + (high - float(y)) / ((high - low) or 1) * (HEIGHT - MARGIN),
    )


def _axes(ranges: tuple[tuple[float, float], ...]) -> str:
    (left, right), (low, high) = ranges
    x, y = _place(min(max(0, left), right), min(max(0, low), high), ranges)
    lines = (
        f'<path d="M{MARGIN},{y:.1f} h{WIDTH} M{x:.1f},{MARGIN} V{HEIGHT}" stroke="currentColor" stroke-opacity=".5"/>'
    )
    marks = ""
    for at in (left, right):
        a, _ = _place(at, 0, ranges)
        marks += (
            f'<text x="{a:.1f}" y="{HEIGHT + 16}" font-size="10" text-anchor="middle" opacity=".75">{at:.3g}</text>'
        )
    for at in (low, high):
        _, b = _place(left, at, ranges)
        marks += f'<text x="{x + 4:.1f}" y="{b + 4:.1f}" font-size="10" opacity=".75">{at:.2g}</text>'
    return lines + marks.replace(">-", ">−")
