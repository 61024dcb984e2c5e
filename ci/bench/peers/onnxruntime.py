"""ONNX Runtime, on the file that xpcnn's `export_onnx` writes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from xpcnn import exchange

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import Net, build
from .base import Peer, Training


class OnnxRuntime(Peer):
    package = "onnxruntime"

    def training(self, net: Net) -> Training:
        raise NotPossible("for inference only")

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        raise NotPossible("for inference only")

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        shape = net.x.shape[1:]
        model = build(net.name, shape).load_state_dict(net.weights)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            exchange.export_onnx(model, path, input_shape=shape)
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        x = np.ascontiguousarray(net.x.transpose(0, 3, 1, 2))

        def run() -> np.ndarray:
            [y] = session.run(None, {"input": x})
            return y  # type: ignore[no-any-return]

        return run
