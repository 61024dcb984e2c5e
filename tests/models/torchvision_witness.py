"""torchvision as a witness: with the same weights, how far are its numbers from ours?

torchvision runs beside a PyTorch that it was not built for, once the operators that it names exist.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from xpcnn import models
from xpcnn.exchange import load_weights, save_pytorch

from .known import CLASSES, IMAGES, fill, images, ways


@contextmanager
def witness() -> Iterator[object]:
    """torchvision, imported.

    Raises
        ImportError : it is not installed
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        with suppress(RuntimeError):  # it is there
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    yield torchvision
    del library  # with it go the operators


def theirs(torchvision, name):
    if name == "unet":
        return torch_unet()
    options = {"weights": None, "num_classes": CLASSES}
    if name == "fcn_resnet50":
        return torchvision.models.segmentation.fcn_resnet50(**options, weights_backbone=None)
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": False}
    return getattr(torchvision.models, name)(**options)


def torch_unet(filters=64):
    """The U-Net from PyTorch's modules, with the names of its authors."""
    T = torch.nn

    def twice(channels, wide, name):
        return {
            f"{name}conv1": T.Conv2d(channels, wide, 3, padding=1, bias=False), f"{name}norm1": T.BatchNorm2d(wide),
            f"{name}relu1": T.ReLU(),
            f"{name}conv2": T.Conv2d(wide, wide, 3, padding=1, bias=False), f"{name}norm2": T.BatchNorm2d(wide),
            f"{name}relu2": T.ReLU(),
        }  # fmt: skip

    def block(*arguments):
        made = T.Sequential()
        for name, module in twice(*arguments).items():
            made.add_module(name, module)
        return made

    class UNet(T.Module):
        def __init__(self):
            super().__init__()
            wide = [filters * 2**i for i in range(5)]
            for i in range(4):
                setattr(self, f"encoder{i + 1}", block(3 if i == 0 else wide[i - 1], wide[i], f"enc{i + 1}"))
                setattr(self, f"upconv{i + 1}", T.ConvTranspose2d(wide[i + 1], wide[i], 2, stride=2))
                setattr(self, f"decoder{i + 1}", block(wide[i + 1], wide[i], f"dec{i + 1}"))
            self.bottleneck = block(wide[3], wide[4], "bottleneck")
            self.conv = T.Conv2d(filters, CLASSES, 1)

        def forward(self, x):
            kept = []
            for i in range(4):
                x = getattr(self, f"encoder{i + 1}")(x)
                kept.append(x)
                x = T.functional.max_pool2d(x, 2)
            x = self.bottleneck(x)
            for i in reversed(range(4)):
                x = torch.cat((getattr(self, f"upconv{i + 1}")(x), kept[i]), dim=1)
                x = getattr(self, f"decoder{i + 1}")(x)
            return self.conv(x)

    return UNet()


class ExactHardsigmoid(torch.nn.Module):
    """PyTorch's own has a slope of 1/6 in float32, in float64 too."""

    def forward(self, x):
        return torch.nn.functional.relu6(x + 3) / 6


def difference(ours, expected):
    """The largest difference, relative to the largest number, which is at least 0.01."""
    assert ours.shape == expected.shape
    return float(np.abs(ours - expected).max() / max(np.abs(expected).max(), 0.01))


def first(array):
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))


def last(tensor):
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def compared(torchvision, name):
    """For each kind of number, the largest of `difference` over its arrays; weights go over by name, strictly.

    Gradients of parameters are compared one by one, and the count of these is the last number.
    """
    ours = fill(models.build(name, IMAGES[name], CLASSES, rng=0).astype("float64"))
    module = theirs(torchvision, name).double()
    for each in list(module.modules()):
        if type(each).__name__ in ("Dropout", "StochasticDepth"):
            each.p = 0.0
        for key, child in each.named_children():
            if isinstance(child, torch.nn.Hardsigmoid):
                setattr(each, key, ExactHardsigmoid())
    x = images(name)
    x_t = torch.tensor(first(x), requires_grad=True)

    def run(module):
        y = module(x_t)
        return y["out"] if isinstance(y, dict) else y

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "weights.safetensors")
        save_pytorch(ours, file)
        module.load_state_dict(load_file(file), strict=True)
        with torch.no_grad():
            found = {"inference": difference(ours(x), last(run(module.eval())))}
        y, cache = ours.forward(x)
        y_t = run(module.train())
        found["training"] = difference(y, last(y_t))
        dy = ways(y.shape)
        dx, grads = ours.backward(dy, cache)
        y_t.backward(torch.tensor(first(dy) if dy.ndim == 4 else dy))
        found["dx"] = difference(dx, last(x_t.grad))
        # The gradients take the same way as the weights: as a file of theirs, into a network of ours.
        made = {key: parameter.grad.contiguous() for key, parameter in module.named_parameters()}
        made |= {key: buffer for key, buffer in module.named_buffers()}
        save_file(made, file)
        expected = models.build(name, IMAGES[name], CLASSES, rng=1).astype("float64")
        load_weights(expected, file)
    assert grads.keys() == ours.parameters().keys()
    state = ours.state_dict()
    each = {key: difference(grads.get(key, state[key]), array) for key, array in expected.state_dict().items()}
    found["statistics"] = max((each[key] for key in each if key not in grads), default=0.0)
    found["gradients"] = max(each[key] for key in grads)
    return found, len(grads)
