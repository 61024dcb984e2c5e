"""PyTorch: eager, in both of its memory formats; on a GPU (not tried yet) also compiled into CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import LEARNING_RATE, MOMENTUM, Document, Net, channels_first
from .base import Peer, Training


class Torch(Peer):
    package = "torch"
    devices = ("cpu", "cuda")
    memory_format = torch.contiguous_format

    def __init__(self, threads: int, device: str) -> None:
        super().__init__(threads, device)
        torch.set_num_threads(threads)
        if device == "cuda":
            torch.ones(8, 8, device=device) @ torch.ones(8, 8, device=device)  # loads its libraries
            # true float32, as in xpcnn; by default convolutions would round their factors to TF32
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    def about(self) -> str | None:
        if self.device == "cpu":
            return None
        allowed = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        cudnn = f"cuDNN {torch.backends.cudnn.version()}, benchmark {torch.backends.cudnn.benchmark}"
        return f"CUDA {torch.version.cuda}, {cudnn}, TF32 in convolutions {allowed[0]}, in products {allowed[1]}"

    def synchronize(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def device_memory(self) -> int:
        free, total = torch.cuda.mem_get_info()
        return int(total - free)

    def model(self, net: Net) -> nn.Module:
        model = _build(net.document)
        weights = {name: torch.from_numpy(array.copy()) for name, array in channels_first(net).items()}
        missing, unknown = model.load_state_dict(weights, strict=False)
        if unknown or not all(name.endswith("num_batches_tracked") for name in missing):
            raise NotPossible(f"other parameters: missing {missing}, unknown {unknown}")
        return model.to(device=self.device, memory_format=self.memory_format)  # type: ignore[call-overload, no-any-return]

    def images(self, x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(x).to(self.device).permute(0, 3, 1, 2).contiguous(memory_format=self.memory_format)

    def training(self, net: Net) -> Training:
        return _Training(self.model(net), self.images(net.x), torch.from_numpy(net.y).to(self.device))

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        model, x = self.model(net).eval(), self.images(net.x)

        def run() -> np.ndarray:
            with torch.inference_mode():
                return model(x).cpu().numpy()  # type: ignore[no-any-return]

        return run

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        g, arrays = geometry, geometry.arrays()
        x, dy = self.images(arrays["x"]).requires_grad_(), self.images(arrays["dy"])
        w, b = self.images(arrays["w"]).requires_grad_(), torch.from_numpy(arrays["b"]).to(self.device).requires_grad_()

        def run() -> dict[str, Any]:
            y = F.conv2d(x, w, b, g.stride, g.padding, g.dilation, g.groups)
            dx, dw, db = torch.autograd.grad(y, (x, w, b), dy)
            return {name: each.detach().cpu() for name, each in (("y", y), ("dx", dx), ("dw", dw), ("db", db))}

        return run


class TorchChannelsLast(Torch):
    """On a GPU with cuDNN's search for the fastest algorithm."""

    memory_format = torch.channels_last

    def __init__(self, threads: int, device: str) -> None:
        super().__init__(threads, device)
        torch.backends.cudnn.benchmark = device == "cuda"


class TorchCompiled(TorchChannelsLast):
    devices = ("cuda",)

    def model(self, net: Net) -> nn.Module:
        return torch.compile(super().model(net), mode="reduce-overhead")  # type: ignore[return-value]


class _Training(Training):
    def __init__(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        self.model, self.x, self.y = model.train(), x, y
        self.initial = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.restart()

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def restart(self) -> None:
        self.model.load_state_dict(self.initial)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def step(self) -> Any:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around: torch.Tensor = x if self.shortcut is None else self.shortcut(x)
        y: torch.Tensor = self.body(x)
        return y + around


class _ZeroPadChannels(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.widths = (0, 0, 0, 0, before, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, self.widths)


class _Subsample(nn.Module):
    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, :: self.rows, :: self.columns]


class _GlobalAvgPool2d(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def _build(d: Document) -> nn.Module:
    children = {name: _build(child) for name, child in d.get("children", {}).items()}
    match d["type"]:
        case "Sequential":
            return nn.Sequential(*children.values())
        case "Residual":
            return _Residual(children["body"], children.get("shortcut"))
        case "Conv2d":
            return nn.Conv2d(
                d["in_channels"],
                d["out_channels"],
                d["kernel_size"],
                d["stride"],
                d["padding"],
                d["dilation"],
                d["groups"],
                d["bias"],
            )
        case "Linear":
            return nn.Linear(d["in_features"], d["out_features"], d["bias"])
        case "BatchNorm2d":
            return nn.BatchNorm2d(d["num_features"], d["eps"], d["momentum"])
        case "ReLU":
            return nn.ReLU(inplace=True)
        case "MaxPool2d":
            return nn.MaxPool2d(d["kernel_size"], d["stride"], d["padding"])
        case "AvgPool2d" if d["kernel_size"] == [1, 1] and not d["padding"]:
            return _Subsample(*d["stride"])  # 3 % of a ResNet-20 step faster than its AvgPool2d
        case "AvgPool2d":
            return nn.AvgPool2d(d["kernel_size"], d["stride"], d["padding"])
        case "GlobalAvgPool2d":
            return _GlobalAvgPool2d()
        case "ZeroPadChannels":
            return _ZeroPadChannels(d["before"], d["after"])
        case "Flatten":
            return nn.Flatten()
    raise NotPossible(f"no {d['type']} in this benchmark's PyTorch")
