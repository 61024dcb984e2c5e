"""The layers of a whole Keras model, as config.json in a .keras file lists them.

No class is looked up by a name in it.

A file names variables by number alone. The configuration tells which ones a layer has: a batch normalisation without
scale has β, mean and variance. It also tells which layer comes before which.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError

MOST_LAYERS = 100_000
MOST_DEPTH = 32
_NESTED = ("Sequential", "Functional", "Model")
_KERNELS = ("Conv1D", "Conv2D", "Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D", "Dense")
_NORMS = ("BatchNormalization", "LayerNormalization", "GroupNormalization")


@dataclass(frozen=True)
class KerasLayer:
    """A layer of the configuration that holds no other layers.

    Parameters
        name : its name for people, after those of the models that it is in: ("inner", "conv2d_1")
        place : the group that has its variables in a .weights.h5 file
        kind : its class, such as "Conv2D"
        config : its options
        rank : the number of its input's axes, with the batch; 0 if the file does not state it
    """

    name: tuple[str, ...]
    place: str
    kind: str
    config: Mapping[str, Any]
    rank: int

    def variables(self) -> tuple[str, ...] | None:
        """The names of its variables, in order; None if they are not known here."""
        has = self.config.get
        if self.kind in _KERNELS:
            return ("kernel", *(["bias"] if has("use_bias", True) else []))
        if self.kind in ("SeparableConv1D", "SeparableConv2D"):
            return ("depthwise_kernel", "pointwise_kernel", *(["bias"] if has("use_bias", True) else []))
        if self.kind in _NORMS and not has("rms_scaling") and not has("renorm"):
            scaled = (["gamma"] if has("scale", True) else []) + (["beta"] if has("center", True) else [])
            return (*scaled, *(["moving_mean", "moving_variance"] if self.kind == _NORMS[0] else []))
        if self.kind == "PReLU":
            return ("alpha",)
        if self.kind == "Normalization" and not has("invert"):
            return ("mean", "variance", "count") if has("mean") is None else ()
        return None


class KerasModel:
    """The layers in the model's order, and which of them comes before which.

    Raises
        FormatError : the text is not the configuration of a model of layers
    """

    def __init__(self, who: str, text: str | bytes) -> None:
        self.who = who
        self._before: dict[tuple[str, ...], dict[str, set[str]]] = {}  # by model and layer
        try:
            config = json.loads(text)
            self.layers = list(self._walk((), "", config, 0))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                who, "the configuration of a Keras model", f"{type(error).__name__}: {error}"[:200]
            ) from None
        if len({layer.name for layer in self.layers}) < len(self.layers):
            raise FormatError(who, "another name for each layer", "one name for two layers")

    def is_before(self, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        """Whether what a layer computes leads to another, by their names."""
        for depth, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            if mine != theirs:
                return mine in self._before[one[:depth]].get(theirs, set())
        return False

    def _walk(self, name: tuple[str, ...], place: str, model: Any, depth: int) -> Iterator[KerasLayer]:
        kind = model["class_name"]
        if kind not in _NESTED or depth > MOST_DEPTH:
            raise FormatError(
                self.who,
                "a model of layers, Sequential or Functional",
                f"{kind}, which its own program alone can read"[:100],
                'in Keras: model.save_weights("model.weights.h5"), and names= here',
            )
        config = model["config"]
        layers = config if isinstance(config, list) else config["layers"]  # a list in old files of Keras 2
        names = [each["config"]["name"] for each in layers]
        if len(layers) > MOST_LAYERS or not all(isinstance(each, str) for each in names):
            raise ValueError("names of layers")
        self._before[name] = _ancestors(layers, names, kind == "Sequential")
        seen: dict[str, int] = {}
        for own, layer in zip(names, layers, strict=True):
            group = _snake(layer["class_name"])
            count = seen[group] = seen.get(group, -1) + 1
            at = f"{place}layers/{group}" + (f"_{count}" if count else "")
            if layer["class_name"] in _NESTED:
                yield from self._walk((*name, own), f"{at}/", layer, depth + 1)
            else:
                rank = len((layer.get("build_config") or {}).get("input_shape") or ())
                yield KerasLayer((*name, own), at, layer["class_name"], layer["config"], rank)


def _ancestors(layers: list[Any], names: list[str], chain: bool) -> dict[str, set[str]]:
    """For each layer of a model, all layers whose outputs it depends on."""
    found: dict[str, set[str]] = {}
    known = set(names)
    for i, (name, layer) in enumerate(zip(names, layers, strict=True)):
        inputs = set(names[i - 1 : i]) if chain else set(_texts(layer.get("inbound_nodes", []))) & known - {name}
        found[name] = inputs.union(*(found.get(each, set()) for each in inputs))
    return found


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested lists and objects: the names of layers are among them, in each version's own form."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _snake(kind: str) -> str:
    """A class's name as Keras writes it in files.

    >>> _snake("SeparableConv2D"), _snake("PReLU")
    ('separable_conv2d', 'p_re_lu')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
