"""PyTorch: eager in both of its memory formats, traced and frozen, and compiled.

On a GPU (not tried yet) it is compiled into CUDA graphs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch._dynamo
from torch import nn
from torch.nn import functional as F

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import LEARNING_RATE, MOMENTUM, Net, channels_first
from .base import Peer, Training
from .torch_layers import build


class Torch(Peer):
    package = "torch"
    devices: tuple[str, ...] = ("cpu", "cuda")
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
        model = build(net.document)
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


class TorchFrozen(TorchChannelsLast):
    """Inference as `torch.jit.trace`, `freeze` and `optimize_for_inference` make it, with batch norm folded."""

    devices = ("cpu",)

    def training(self, net: Net) -> Training:
        raise NotPossible("for inference only")

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        model, x = self.model(net).eval(), self.images(net.x)
        with torch.no_grad():
            frozen: Any = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))  # type: ignore[no-untyped-call]

        def run() -> np.ndarray:
            with torch.inference_mode():
                return frozen(x).numpy()  # type: ignore[no-any-return]

        return run


class TorchCompiled(TorchChannelsLast):
    """`torch.compile`, whose choices for inference on a processor are best where it may freeze the weights."""

    def __init__(self, threads: int, device: str) -> None:
        super().__init__(threads, device)
        if device == "cpu" and not any(shutil.which(each) for each in (os.environ.get("CXX", "g++"), "clang++")):
            raise NotPossible("there is no C++ compiler for it")

    def model(self, net: Net) -> nn.Module:
        torch._dynamo.reset()  # what it compiled for the last network
        mode = "reduce-overhead" if self.device == "cuda" else "default"
        return torch.compile(super().model(net), mode=mode, fullgraph=True, dynamic=False)  # type: ignore[return-value]

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        if self.device != "cpu":
            return super().inference(net)
        from torch._inductor import config

        model, x = self.model(net).eval(), self.images(net.x)
        with config.patch(freezing=True), torch.no_grad():
            model(x)

        def run() -> np.ndarray:
            with torch.no_grad():
                return model(x).numpy()  # type: ignore[no-any-return]

        return run


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
