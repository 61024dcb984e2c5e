"""What a network looks like as the value of a notebook's cell, and on a console: never more than a screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from inspect import signature
from typing import Any

from .. import html
from ..table import screenful

MOST_LINES = 40  # of a network's repr


def written(kind: str, parts: Mapping[str, Any]) -> str:
    """A container as text: its parts below each other; those of several lines in one line each, if it is too long.

    Parameters
        kind : what stands before the parts
        parts : the layers, by what stands before each
    """
    if not parts:
        return f"{kind})"
    rows = [f"{name} {each!r}" for name, each in parts.items()]
    if sum(row.count("\n") + 1 for row in rows) > MOST_LINES:
        rows = [
            f"{name} {headline(each)}" if "\n" in row else row
            for (name, each), row in zip(parts.items(), rows, strict=True)
        ]
    inner = "\n  ".join(screenful([row.replace("\n", "\n  ") for row in rows], MOST_LINES).split("\n"))
    return f"{kind}\n  {inner}\n)"


def headline(layer: Any) -> str:
    """A network in one line: its class, and how many layers and parameters it has."""
    within = sum(1 for _ in layer.named_layers()) - 1
    layers = f" of {within} layer{'s' * (within != 1)}" if within else ""
    number, trained = _numbers(_all(layer)), _numbers(layer.parameters())
    of_them = "" if trained == number else f", {trained:,} of them trained"
    return f"{type(layer).__name__}{layers}, {number:,} parameters{of_them}"


def network(layer: Any) -> str:
    """A table of a network's layers and their parameters, as HTML."""
    own = {name: _all(each) for name, each in layer.named_layers() if not each.children()}
    reads: Mapping[str, tuple[str, ...]] = getattr(layer, "reads", {})
    rows = []
    for name, each in layer.named_layers():
        if name in own:
            marks = {key: "" if key in each.parameters() else " frozen" for key in own[name]}
            shapes = ", ".join(f"{key} {tuple(p.shape)}{marks[key]}" for key, p in own[name].items())
            cells = (call(each), f"{_numbers(own[name]):,}" if shapes else "", shapes)
        else:
            cells = (type(each).__name__, "", "")
        if name or name in own:
            depth = "  " * name.count(".")
            rows.append((depth + (name or "—"), *((", ".join(reads.get(name, ())),) if reads else ()), *cells))
    header = ("name", *(("reads",) if reads else ()), "layer", "parameters", "shapes")
    texts = {*range(len(header))} - {len(header) - 2}
    return html.panel(headline(layer), html.table(header, rows, left=texts))


def call(layer: Any) -> str:
    """The call that makes a layer, without arguments that are at their defaults.

    >>> from xpcnn.nn import Conv2d
    >>> call(Conv2d(3, 8, 3, padding=1))
    'Conv2d(in_channels=3, out_channels=8, kernel_size=(3, 3), padding=1)'
    """
    if not type(layer).config_names:
        return repr(layer)
    defaults = {name: each.default for name, each in signature(type(layer)).parameters.items()}
    said = ", ".join(
        f"{name}={value!r}"
        for name, value in layer.config().items()
        if name not in defaults or value not in (defaults[name], (defaults[name],) * 2)
    )
    return f"{type(layer).__name__}({said})"


def _all(layer: Any) -> dict[str, Any]:
    """All parameters, the frozen ones, too."""
    return {name: getattr(each, key) for name, each, key in layer.named_arrays(buffers=False, frozen=True)}


def _numbers(parameters: Mapping[str, Any]) -> int:
    return sum(math.prod(each.shape) for each in parameters.values())
