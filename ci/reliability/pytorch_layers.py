"""The PyTorch counterpart of each layer: a function of (torch, layer, x, its parameters by name), channels last.

A new layer needs a line in `FUNCTIONS`; or in `WITHOUT`, with the reason why PyTorch has no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

WITHOUT = dict.fromkeys(
    ("Dropout", "Dropout1d", "Dropout2d", "StochasticDepth"), "draws its mask from another generator"
)

Function = Callable[[Any, Any, Any, Any], Any]


def first(x: Any) -> Any:
    """x with channels first."""
    return x.movedim(-1, 1)


def last(x: Any) -> Any:
    """x with channels last."""
    return x.movedim(1, -1)


def _plain(name: str) -> Function:
    """The function of that name, without options."""
    return lambda torch, layer, x, p: getattr(torch.nn.functional, name)(x)


def _conv(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    top, bottom, left, right = _pads(layer, x)
    x = torch.nn.functional.pad(first(x), (left, right, top, bottom))
    w = p["weight"].movedim(3, 1)
    return last(torch.nn.functional.conv2d(x, w, p.get("bias"), layer.stride, 0, layer.dilation, layer.groups))


def _pads(layer: Any, x: Any) -> tuple[int, int, int, int]:
    """The padding of "same": as even as possible, with the odd one after."""
    if layer.padding != "same":
        return layer.window.padding  # type: ignore[no-any-return]
    pads = []
    for axis in (0, 1):
        size, stride = x.shape[1 + axis], layer.stride[axis]
        reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        pads += [total // 2, total - total // 2]
    return pads[0], pads[1], pads[2], pads[3]


def _transposed(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    w = p["weight"]  # (Cin, KH, KW, Cout/groups), as the operation has it
    y = torch.nn.functional.conv_transpose2d(
        first(x), w.movedim(3, 1), p.get("bias"), layer.stride, 0, 0, layer.groups, layer.dilation
    )
    top, bottom, left, right = layer.window.padding
    return last(y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right])


def _max_pool(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    top, _, left, _ = layer.window.padding
    pool = torch.nn.functional.max_pool2d
    return last(pool(first(x), layer.kernel_size, layer.stride, (top, left), layer.dilation, layer.ceil_mode))


def _avg_pool(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    top, _, left, _ = layer.window.padding
    pool = torch.nn.functional.avg_pool2d
    return last(pool(first(x), layer.kernel_size, layer.stride, (top, left), layer.ceil_mode, layer.count_include_pad))


def _conv1d(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    x = torch.nn.functional.pad(first(x), _ends(layer, x.shape[1]))
    w = p["weight"].movedim(2, 1)
    return last(torch.nn.functional.conv1d(x, w, p.get("bias"), layer.stride, 0, layer.dilation, layer.groups))


def _ends(layer: Any, size: int) -> tuple[int, int]:
    """The padding of a layer of sequences, before and after."""
    if layer.padding == "same":
        reach = layer.dilation * (layer.kernel_size - 1) + 1
        total = max(0, (-(-size // layer.stride) - 1) * layer.stride + reach - size)
        return total // 2, total - total // 2
    return layer.padding if isinstance(layer.padding, tuple) else (layer.padding, layer.padding)


def _transposed1d(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    w = p["weight"]  # (Cin, K, Cout/groups)
    y = torch.nn.functional.conv_transpose1d(
        first(x), w.movedim(2, 1), p.get("bias"), layer.stride, 0, 0, layer.groups, layer.dilation
    )
    before, after = _ends(layer, x.shape[1])
    return last(y[:, :, before : y.shape[2] - after])


def _max_pool1d(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    before, _ = _ends(layer, x.shape[1])
    pool = torch.nn.functional.max_pool1d
    return last(pool(first(x), layer.kernel_size, layer.stride, before, layer.dilation, layer.ceil_mode))


def _avg_pool1d(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    before, _ = _ends(layer, x.shape[1])
    pool = torch.nn.functional.avg_pool1d
    return last(pool(first(x), layer.kernel_size, layer.stride, before, layer.ceil_mode, layer.count_include_pad))


def _batch_norm(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    norm = torch.nn.functional.batch_norm
    return last(norm(first(x), None, None, p.get("weight"), p.get("bias"), True, eps=layer.eps))


def _zero_pad(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    top, bottom, left, right = layer.padding
    return torch.nn.functional.pad(x, (0, 0, left, right, top, bottom))


def _normalize(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    mean, std = (torch.tensor(each, dtype=x.dtype) for each in (layer.mean, layer.std))
    return (x - mean) / std


def _upsample(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    aligned = layer.align_corners if layer.mode == "bilinear" else None
    resize = torch.nn.functional.interpolate
    return last(resize(first(x), layer.size, layer.scale_factor, layer.mode, aligned))


def _edge_pad(mode: str) -> Function:
    def padded(torch: Any, layer: Any, x: Any, p: Any) -> Any:
        top, bottom, left, right = layer.padding
        return last(torch.nn.functional.pad(first(x), (left, right, top, bottom), mode=mode))

    return padded


def _children(torch: Any, layer: Any, p: Any) -> dict[str, Callable[[Any], Any]]:
    """The functions of a container's layers; the parameters of a layer that occurs twice are under its first name."""
    own: dict[int, str] = {}
    found: dict[str, Callable[[Any], Any]] = {}
    for name, child in layer.children().items():
        prefix = own.setdefault(id(child), name) + "."
        parameters = {key.removeprefix(prefix): value for key, value in p.items() if key.startswith(prefix)}
        found[name] = partial(_run, torch, child, parameters)
    return found


def _run(torch: Any, layer: Any, p: Any, x: Any) -> Any:
    return FUNCTIONS[type(layer).__name__](torch, layer, x, p)


def _sequential(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    for function in _children(torch, layer, p).values():
        x = function(x)
    return x


def _residual(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    body, *shortcut = _children(torch, layer, p).values()
    return body(x) + (shortcut[0](x) if shortcut else x)


def _graph(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    values = {layer.inputs[0]: x}
    functions = _children(torch, layer, p)
    for name, reads in layer.reads.items():
        values[name] = functions[name](values[reads[0]] if len(reads) == 1 else [values[each] for each in reads])
    return values[layer.outputs[0]]


def _concat(torch: Any, layer: Any, x: Any, p: Any) -> Any:
    return torch.cat([f(x) for f in _children(torch, layer, p).values()] or x, -1)


FUNCTIONS: dict[str, Function] = {
    "Conv2d": _conv,
    "ConvTranspose2d": _transposed,
    "Conv1d": _conv1d,
    "ConvTranspose1d": _transposed1d,
    "MaxPool1d": _max_pool1d,
    "AvgPool1d": _avg_pool1d,
    "AdaptiveAvgPool1d": lambda torch, layer, x, p: last(
        torch.nn.functional.adaptive_avg_pool1d(first(x), layer.output_size)
    ),
    "GlobalMaxPool1d": lambda torch, layer, x, p: x.max(1).values,
    "GlobalAvgPool1d": lambda torch, layer, x, p: x.mean(1),
    "MaxPool2d": _max_pool,
    "AvgPool2d": _avg_pool,
    "AdaptiveAvgPool2d": lambda torch, layer, x, p: last(
        torch.nn.functional.adaptive_avg_pool2d(first(x), layer.output_size)
    ),
    "GlobalMaxPool2d": lambda torch, layer, x, p: x.flatten(1, 2).max(1).values,
    "GlobalAvgPool2d": lambda torch, layer, x, p: x.mean((1, 2)),
    "Linear": lambda torch, layer, x, p: torch.nn.functional.linear(x, p["weight"], p.get("bias")),
    "Flatten": lambda torch, layer, x, p: x.flatten(1),
    "Unflatten": lambda torch, layer, x, p: x.unflatten(1, layer.shape),
    "ZeroPad2d": _zero_pad,
    "ZeroPadChannels": lambda torch, layer, x, p: torch.nn.functional.pad(x, (layer.before, layer.after)),
    "Upsample": _upsample,
    "Scale": lambda torch, layer, x, p: x * p["weight"] + p["bias"],
    "ZeroPad1d": lambda torch, layer, x, p: last(torch.nn.functional.pad(first(x), layer.padding)),
    "ReflectionPad1d": lambda torch, layer, x, p: last(torch.nn.functional.pad(first(x), layer.padding, "reflect")),
    "ReplicationPad1d": lambda torch, layer, x, p: last(torch.nn.functional.pad(first(x), layer.padding, "replicate")),
    "ReflectionPad2d": _edge_pad("reflect"),
    "ReplicationPad2d": _edge_pad("replicate"),
    "PixelShuffle": lambda torch, layer, x, p: last(torch.nn.functional.pixel_shuffle(first(x), layer.upscale_factor)),
    "PixelUnshuffle": lambda torch, layer, x, p: last(
        torch.nn.functional.pixel_unshuffle(first(x), layer.downscale_factor)
    ),
    "ChannelShuffle": lambda torch, layer, x, p: last(torch.nn.functional.channel_shuffle(first(x), layer.groups)),
    "Slice": lambda torch, layer, x, p: x.movedim(layer.axis, -1)[..., layer.start : layer.stop : layer.step].movedim(
        -1, layer.axis
    ),
    "Permute": lambda torch, layer, x, p: x.permute(0, *layer.axes),
    "Reshape": lambda torch, layer, x, p: x.reshape(-1, *layer.shape),
    "Resample": lambda torch, layer, x, p: torch.einsum(
        "ip,jq,npqc->nijc", *(torch.as_tensor(each, dtype=x.dtype) for each in (layer.rows, layer.columns)), x
    ),
    "Abs": lambda torch, layer, x, p: torch.abs(x),
    "Exp": lambda torch, layer, x, p: torch.exp(x),
    "Log": lambda torch, layer, x, p: torch.log(x),
    "Power": lambda torch, layer, x, p: torch.pow(x, layer.exponent),
    "InstanceNorm2d": lambda torch, layer, x, p: last(
        torch.nn.functional.instance_norm(first(x), None, None, p.get("weight"), p.get("bias"), eps=layer.eps)
    ),
    "LocalResponseNorm": lambda torch, layer, x, p: last(
        torch.nn.functional.local_response_norm(first(x), layer.size, layer.alpha, layer.beta, layer.k)
    ),
    "L2Normalize": lambda torch, layer, x, p: torch.nn.functional.normalize(x, dim=-1, eps=layer.eps),
    "Mean": lambda torch, layer, x, p: torch.mean(x, layer.axes, layer.keepdims),
    "Max": lambda torch, layer, x, p: torch.amax(x, layer.axes, layer.keepdims),
    "Sum": lambda torch, layer, x, p: torch.sum(x, layer.axes, layer.keepdims),
    "Min": lambda torch, layer, x, p: torch.amin(x, layer.axes, layer.keepdims),
    "Identity": lambda torch, layer, x, p: x,
    "ReLU": _plain("relu"),
    "LeakyReLU": lambda torch, layer, x, p: torch.nn.functional.leaky_relu(x, layer.negative_slope),
    "PReLU": lambda torch, layer, x, p: last(torch.nn.functional.prelu(first(x), p["weight"])),
    "ELU": lambda torch, layer, x, p: torch.nn.functional.elu(x, layer.alpha),
    "SELU": _plain("selu"),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
    "GELU": lambda torch, layer, x, p: torch.nn.functional.gelu(x, approximate=layer.approximate),
    "SiLU": _plain("silu"),
    "Softplus": _plain("softplus"),
    "Clip": lambda torch, layer, x, p: torch.clamp(x, layer.min, layer.max),
    "ReLU6": _plain("relu6"),
    "HardSigmoid": lambda torch, layer, x, p: (  # PyTorch's own rounds 1/6 to float32
        torch.nn.functional.relu6(6 * (layer.alpha * x + layer.beta)) / 6
    ),
    "HardSwish": _plain("hardswish"),
    "Mish": _plain("mish"),
    "Softsign": _plain("softsign"),
    "CELU": lambda torch, layer, x, p: torch.nn.functional.celu(x, layer.alpha),
    "Softmax": lambda torch, layer, x, p: torch.softmax(x, -1),
    "LogSoftmax": lambda torch, layer, x, p: torch.log_softmax(x, -1),
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": lambda torch, layer, x, p: torch.nn.functional.layer_norm(
        x, layer.normalized_shape, p.get("weight"), p.get("bias"), layer.eps
    ),
    "GroupNorm": lambda torch, layer, x, p: last(
        torch.nn.functional.group_norm(first(x), layer.num_groups, p.get("weight"), p.get("bias"), layer.eps)
    ),
    "Normalize": _normalize,
    "Sequential": _sequential,
    "Residual": _residual,
    "Concat": _concat,
    "Graph": _graph,
    "Add": lambda torch, layer, x, p: reduce(torch.add, x),
    "Subtract": lambda torch, layer, x, p: torch.sub(*x),
    "Multiply": lambda torch, layer, x, p: reduce(torch.mul, x),
    "Maximum": lambda torch, layer, x, p: reduce(torch.maximum, x),
    "Minimum": lambda torch, layer, x, p: reduce(torch.minimum, x),
}
