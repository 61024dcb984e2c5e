"""The outputs of a network's frozen part, computed once for each image and kept."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from itertools import takewhile
from typing import Any, Self

import numpy as np

from ..backend import array_namespace, to_numpy
from ..data.loader import Loader, images_at_once
from ..data.split import Split
from ..errors import OptionError
from ..nn.container import Container
from ..nn.freezing import all_parameters
from ..nn.frozen_part import Divided, can_stay
from ..nn.graph import Graph
from ..nn.layer import Layer, check_layer
from ..nn.sequential import Sequential
from ..options import as_count
from ..typing import Array


def keep_features(model: Layer, *splits: Split, batch_size: int | None = None) -> Layer:
    """The network with the outputs of its frozen part for these images, which are then looked up, not computed.

    Images are known by their numbers, so an image that has been changed is computed as before. The outputs are equal to
    those of `model` within rounding, which may depend on the other images of a batch. They do not depend on how the
    training goes, so a run that is resumed continues bit for bit.

    Parameters
        model : of `nn.freeze`, frozen from the input on
        splits : such as the images to train on and those to validate
        batch_size : images at once; None for as many as `data.loader.images_at_once` returns
    Returns
        a network of the same layers, which holds the outputs in memory
    Raises
        OptionError : the network does not begin with frozen layers

    >>> from xpcnn import data, nn
    >>> split = data.digits().test
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8, rng=0), nn.ReLU(), nn.Linear(8, 10, rng=0))
    >>> model = keep_features(nn.freeze(model, "1.*"), split)
    >>> x, y = next(data.Loader(split, 32).epoch(0))
    >>> model(x).shape
    (32, 10)
    """
    check_layer("keep_features", model)
    if not splits or not all(isinstance(split, Split) for split in splits):
        raise OptionError("keep_features", "one Split or more", repr(splits)[:80], "see xpcnn.data")
    kept: list[_Kept] = []
    made = _replaced(model, kept)
    if not kept:
        remedy = "freeze from the first layer with parameters on: nn.freeze(model, …)"
        raise OptionError("keep_features", "a network that begins with frozen layers", "none", remedy)
    for split in splits:
        size = images_at_once(split.input_shape) if batch_size is None else batch_size
        for x, _ in Loader(split, as_count("keep_features", "batch_size", size)).epoch(0):
            made(x)
    for each in kept:
        each.recording = False
    return made


class _Kept:
    """Computes the outputs of a frozen part, or looks them up."""

    def __init__(self, frozen: Layer) -> None:
        self.frozen, self.recording = frozen, True
        self.rows: dict[bytes, Any] = {}  # output of an image, by the digest of its numbers

    def __call__(self, x: Any) -> Any:
        if not hasattr(x, "shape"):  # several inputs
            return self.frozen(x)
        names = _digests(x)
        if all(name in self.rows for name in names):
            found = [self.rows[name] for name in names]
            if isinstance(found[0], tuple):
                return tuple(map(_stacked, zip(*found, strict=True)))
            return _stacked(found)
        y: Any = self.frozen(x)
        if self.recording:
            for i, name in enumerate(names):
                self.rows[name] = tuple(_row(each, i) for each in y) if isinstance(y, tuple) else _row(y, i)
        return y

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing in it is trained


def _replaced(layer: Layer, kept: list[_Kept]) -> Layer:
    """The network, in which each container that begins with frozen parameters has its outputs kept."""
    if not isinstance(layer, Container):
        return layer
    constant = _of_constants(layer)
    children = layer.children().items()
    other = layer.with_children({name: _replaced(each, kept) if name in constant else each for name, each in children})
    if other.divided is not None and all_parameters(other.divided.frozen):
        kept.append(_Kept(other.divided.frozen))
        other.divided = Divided(other.divided.frozen, other.divided.rest, kept[-1])
    return other


def _of_constants(container: Container) -> set[str]:
    """The children whose inputs depend on the container's input, but on nothing trained."""
    children = container.children()
    if isinstance(container, Graph):
        constant = set(container.inputs)
        for name, child in children.items():
            if constant.issuperset(container.reads[name]) and can_stay(child):
                constant.add(name)
        return {name for name in children if constant.issuperset(container.reads[name])}
    if isinstance(container, Sequential):
        frozen = list(takewhile(lambda name: can_stay(children[name]), children))
        return set(list(children)[: len(frozen) + 1])
    return set(children)


def _row(y: Array, i: int) -> Array:
    row: Array = array_namespace(y).asarray(y[i, ...], copy=True)
    return row


def _stacked(rows: Iterable[Array]) -> Array:
    each = list(rows)
    stacked: Array = array_namespace(each[0]).stack(each)
    return stacked


def _digests(x: Array) -> list[bytes]:
    numbers = np.ascontiguousarray(to_numpy(x))
    return [blake2b(row.tobytes(), digest_size=16).digest() for row in numbers]
