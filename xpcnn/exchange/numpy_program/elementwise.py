"""Activations and normalisation, as lines of a program."""

from __future__ import annotations

from typing import Any

from ... import nn
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE
from .place import Place, inline, writes

_INLINE: dict[type[nn.Layer], str] = {
    nn.ReLU: "np.maximum({x}, 0)",
    nn.LeakyReLU: "np.where({x} > 0, {x}, {negative_slope} * {x})",
    nn.ELU: "elu({x}, {alpha})",
    nn.SELU: f"elu({{x}}, {SELU_ALPHA}, {SELU_SCALE})",
    nn.CELU: "np.maximum({x}, 0) + {alpha} * np.expm1(np.minimum({x}, 0) / {alpha})",
    nn.Sigmoid: "sigmoid({x})",
    nn.Tanh: "np.tanh({x})",
    nn.SiLU: "{x} * sigmoid({x})",
    nn.Softplus: "np.logaddexp({x}, 0)",
    nn.Mish: "{x} * np.tanh(np.logaddexp({x}, 0))",
    nn.Clip: "np.clip({x}, {min}, {max})",
    nn.ReLU6: "np.clip({x}, 0, 6)",
    nn.HardSigmoid: "np.clip({alpha} * {x} + {beta}, 0, 1)",
    nn.HardSwish: "{x} * np.clip({x} + 3, 0, 6) / 6",
    nn.Softsign: "{x} / (1 + np.abs({x}))",
    nn.Abs: "np.abs({x})",
    nn.Exp: "np.exp({x})",
    nn.Log: "np.log({x})",
    nn.Power: "{x} ** {exponent}",
    nn.Softmax: "softmax({x})",
    nn.LogSoftmax: "log_softmax({x})",
    nn.L2Normalize: "l2_normalize({x}, {eps})",
    nn.LocalResponseNorm: "local_response_norm({x}, {size}, {alpha}, {beta}, {k})",
}
for _kind, _text in _INLINE.items():
    writes(_kind)(inline(_text))


@writes(nn.GELU)
def _gelu(at: Place, layer: nn.GELU) -> str:
    exact = "gelu_float32" if at.dtype == "float32" else "gelu"
    return at.call("gelu_tanh" if layer.approximate == "tanh" else exact, at.x)


@writes(nn.PReLU)
def _prelu(at: Place, layer: nn.PReLU) -> str:
    return f"np.where({at.x} > 0, {at.x}, {at.array('weight', layer.weight)} * {at.x})"


@writes(nn.Linear)
def _linear(at: Place, layer: nn.Linear) -> str:
    given = at.learned(layer)
    return " + ".join([f"{at.x} @ {given['weight']}.T", *([given["bias"]] if "bias" in given else [])])


@writes(nn.Scale)
def _scale(at: Place, layer: nn.Scale) -> str:
    given = at.learned(layer)
    return " + ".join([f"{at.x} * {given['weight']}", *([given["bias"]] if "bias" in given else [])])


@writes(nn.Normalize)
def _normalize(at: Place, layer: nn.Normalize) -> str:
    few = len(layer.mean) <= 4
    mean, std = (
        f"np.{at.dtype}({[float(each) for each in numbers]})" if few else at.array(key, numbers)
        for key, numbers in (("mean", layer.mean), ("std", layer.std))
    )
    return f"({at.x} - {mean}) / {std}"


@writes(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(at: Place, layer: Any) -> str:
    statistics = (at.array(key, getattr(layer, key)) for key in layer.buffer_names)
    return at.call("batch_norm", at.x, *statistics, *at.learned(layer).values(), eps=layer.eps)


@writes(nn.LayerNorm)
def _layer_norm(at: Place, layer: nn.LayerNorm) -> str:
    return at.call("layer_norm", at.x, len(layer.normalized_shape), *at.learned(layer).values(), eps=layer.eps)


@writes(nn.GroupNorm)
def _group_norm(at: Place, layer: nn.GroupNorm) -> str:
    return at.call("group_norm", at.x, layer.num_groups, *at.learned(layer).values(), eps=layer.eps)


@writes(nn.InstanceNorm2d)
def _instance_norm(at: Place, layer: nn.InstanceNorm2d) -> str:
    return at.call("group_norm", at.x, layer.num_features, *at.learned(layer).values(), eps=layer.eps)
