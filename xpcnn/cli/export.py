"""`xpcnn export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..errors import OptionError, printable
from ..exchange import export_numpy, export_onnx, save_mlx, save_pytorch
from ..io.model_file import SavedModel
from ..nn import Normalize
from ..saved import check_one_input, load
from ..training.best_model import model_path
from .files import add_model_argument, path_word


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "file", type=path_word, help="where to: .onnx, .py (NumPy calls), or .safetensors for PyTorch or MLX"
    )
    parser.add_argument("--to", choices=_WRITERS, help="default: onnx, numpy for .py, or pytorch, by the file's ending")
    parser.add_argument(
        "--layout", choices=("NCHW", "NHWC"), default="NCHW", help="axes of the images that an ONNX graph takes"
    )


def run(options: argparse.Namespace) -> None:
    to = options.to or {".onnx": "onnx", ".py": "numpy", ".safetensors": "pytorch"}.get(options.file.suffix)
    if to is None:
        raise OptionError("export", "a file .onnx, .py or .safetensors, or --to", str(options.file))
    source = model_path(options.model)
    if source.exists() and options.file.exists() and options.file.samefile(source):
        raise OptionError("export", "another file than the model's own", str(options.file))
    saved = load(options.model)
    _WRITERS[to](options.file, saved, options.layout)
    takes = "in [0, 1]" if saved.is_unit else "as they are" if saved.scale == 1 else f"divided by {saved.scale}"
    print(f"{printable(str(options.file))}: {_TOLD[to].format(takes=takes)}")
    if to in ("pytorch", "mlx"):
        _tell_what_has_no_weights(saved)


def _tell_what_has_no_weights(saved: SavedModel) -> None:
    for name, layer in saved.model.named_layers():
        if isinstance(layer, Normalize):
            print(
                f"layer {printable(name)}, which is not in it, is (x - mean) / std: mean {layer.mean}, std {layer.std}"
            )


def _onnx(path: Path, saved: SavedModel, layout: str) -> None:
    shape, classes = saved.input_shape, saved.classes
    export_onnx(saved.model, path, input_shape=shape, classes=classes, layout="NCHW" if layout == "NCHW" else "NHWC")


def _numpy(path: Path, saved: SavedModel, layout: str) -> None:
    export_numpy(
        saved.model,
        path,
        input_shape=saved.input_shape,
        classes=() if saved.kind_of_outputs == "values" else saved.classes,
        scale=saved.scale,
        unit=saved.is_unit,
        outputs=saved.kind_of_outputs,
    )


def _pytorch(path: Path, saved: SavedModel, layout: str) -> None:
    check_one_input(str(path), saved)
    save_pytorch(saved.model, path, input_shape=saved.input_shape)


def _mlx(path: Path, saved: SavedModel, layout: str) -> None:
    save_mlx(saved.model, path)


_WRITERS: dict[str, Callable[[Path, SavedModel, str], None]] = {
    "onnx": _onnx,
    "numpy": _numpy,
    "pytorch": _pytorch,
    "mlx": _mlx,
}
_TOLD = {
    "onnx": "an ONNX graph from float32 images {takes} to the outputs",
    "numpy": "a program of NumPy calls, with its weights in the .npz beside it",
    "pytorch": "a state_dict, for safetensors.torch.load_file",
    "mlx": "weights, for mlx.nn.Module.load_weights",
}
