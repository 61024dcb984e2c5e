"""One network: exported by PyTorch, imported, and compared in float64, forward and backward."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from xpcnn import asarray, to_numpy
from xpcnn.errors import XpcnnError
from xpcnn.exchange import import_onnx
from xpcnn.nn import eval_mode

from .catalogue import Network

NEAR = 1e-12  # of the largest number of an array
OPSET = 18
MERGED = 1e300  # the error of a parameter whose numbers are not in the network


def compare(network: Network, folder: Path, *, dynamo: bool = False, training: bool = False) -> tuple[str, str]:
    """("right", the largest error), ("wrong", what and by how much), or ("refused", why).

    Parameters
        dynamo : use PyTorch's newer exporter, which merges batch norm with convolutions; parameters that are in the
            file as they were are compared
        training : compare what batch norm computes in training; for networks without dropout
    """
    torch.manual_seed(0)
    module = network.make().double()
    _randomize(module)
    shapes = [(2, *shape) for shape in network.shapes]
    xs = tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    path = folder / "network.onnx"
    _export(module, xs, path, dynamo)
    try:
        model = import_onnx(path).model
    except XpcnnError as error:
        return "refused", str(error).removeprefix(f"{path}: ")
    errors = _errors(model if training else eval_mode(model), module.train(training), xs)
    if dynamo:
        errors = {name: error for name, error in errors.items() if error != MERGED}
    worst = max(errors, key=lambda each: errors[each])
    found = f"{errors[worst]:.0e}"
    return ("right", found) if errors[worst] <= NEAR else ("wrong", f"{worst}: {found}")


def _randomize(module: nn.Module) -> None:
    """Numbers of which no two are equal, so that a parameter is known by its numbers, whatever their order."""
    for parameter in module.parameters():
        fan_in = max(parameter[0].numel(), 1)
        with torch.no_grad():
            parameter.copy_(torch.randn_like(parameter) / fan_in**0.5 + (1 if parameter.ndim == 1 else 0))
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + (0.5 if name.endswith("var") else -0.5))


def _export(module: nn.Module, xs: tuple[torch.Tensor, ...], path: Path, dynamo: bool) -> None:
    given = tuple(x.detach() for x in xs)
    names = [f"x{number}" for number in range(len(xs))]
    options: dict[str, Any]
    if dynamo:
        free = torch.export.Dim("n")
        options = {"dynamo": True, "dynamic_shapes": tuple({0: free} for _ in xs), "verbose": False}
    else:
        preserve = torch.onnx.TrainingMode.PRESERVE
        axes = {name: {0: "n"} for name in names}
        options = {"dynamo": False, "training": preserve, "do_constant_folding": False, "dynamic_axes": axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), given, path, input_names=names, opset_version=OPSET, **options)


def _errors(model: Any, module: nn.Module, xs: tuple[torch.Tensor, ...]) -> dict[str, float]:
    """The largest error of each array, as a part of its largest number."""
    ys = _several(module(*xs))
    dys = tuple(torch.randn_like(y) for y in ys)
    torch.autograd.backward(ys, dys)
    made, cache = model.forward(_alone([asarray(_last(x.detach().numpy())) for x in xs]))
    given = [asarray(_like(dy.numpy(), y.shape)) for dy, y in zip(dys, _several(made), strict=True)]
    dx, grads = model.backward(_alone(given), cache)
    errors = {}
    for number, (y, theirs) in enumerate(zip(_several(made), ys, strict=True)):
        errors[f"output {number}"] = _error(to_numpy(y), _like(theirs.detach().numpy(), y.shape))
    for number, (mine, x) in enumerate(zip(_several(dx), xs, strict=True)):
        errors[f"gradient of input {number}"] = _error(to_numpy(mine), _last(x.grad.numpy()))
    ours = {name: (to_numpy(array), to_numpy(grads[name])) for name, array in model.parameters().items()}
    return errors | _parameter_errors(ours, module)


def _parameter_errors(ours: dict[str, tuple[np.ndarray, np.ndarray]], module: nn.Module) -> dict[str, float]:
    """A parameter is found by its numbers, sorted. There may be copies of it, whose gradients are then added."""
    found: dict[bytes, np.ndarray] = {}
    for array, gradient in ours.values():
        key, ordered = _sorted(array, gradient)
        found[key] = found[key] + ordered if key in found else ordered
    largest = max(float(parameter.grad.abs().max()) for parameter in module.parameters())
    errors = {}
    for name, parameter in module.named_parameters():
        key, ordered = _sorted(parameter.detach().numpy(), parameter.grad.numpy())
        errors[f"gradient of {name}"] = _error(found[key], ordered, 1e-3 * largest) if key in found else MERGED
    return errors


def _sorted(array: np.ndarray, gradient: np.ndarray) -> tuple[bytes, np.ndarray]:
    order = np.argsort(array, axis=None)
    return np.ravel(array)[order].tobytes(), np.ravel(gradient)[order]


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _alone(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


def _last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _like(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Channels last, if that is the shape that the network has."""
    turned = _last(array)
    return turned if turned.shape == tuple(shape) else array


def _error(actual: Any, expected: np.ndarray, least: float = 0.0) -> float:
    """The largest difference as a part of the largest number, or of `least`, which is for what is 0 in theory."""
    if actual.shape != expected.shape or not np.all(np.isfinite(actual)):
        return np.inf
    return float(np.max(np.abs(actual - expected)) / max(np.max(np.abs(expected)), least, np.finfo(float).tiny))
