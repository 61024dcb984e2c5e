"""A small call of everything public; the tests of mistakes start from its arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from xpcnn import data, exchange, explain, io, models, nn, ops, optim, plot, training
from xpcnn.ops import Window

MODULES = {"nn": nn, "optim": optim, "data": data, "training": training, "models": models, "ops": ops,
           "exchange": exchange, "io": io, "plot": plot, "explain": explain}  # fmt: skip


def f(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3, rng=0))


def split(n: int = 6) -> data.Split:
    images = np.random.default_rng(0).integers(0, 256, size=(n, 4, 4, 1), dtype="uint8")
    return data.Split(images, np.arange(n) % 3)


def call(function: Any, *args: Any, **options: Any) -> SimpleNamespace:
    return SimpleNamespace(function=function, args=args, options=options)


def optimizer(model: Any) -> optim.SGD:
    return optim.SGD(model.parameters(), lr=0.1)


X, IMAGE, LABELS = f(3, 4, 4, 1), f(4, 4, 1), np.array([0, 1, 2])
SCORES = f(3, 4)
IDS = np.array([0, 3, 1])


def page() -> explain.Explanation:
    return explain.explain(nn.Linear(2, 2, rng=0), "", f(1, 2))


@functools.cache
def figure() -> Any:
    return plot.confusion(np.eye(2, dtype=int))


class Own(optim.Optimizer):
    def update(self, p, g):
        pass


class Named(nn.Sequential):
    __init__ = nn.Container.__init__


def trainer_of(model: Any, to: Path) -> SimpleNamespace:
    return call(
        training.Trainer, model, optimizer(model), nn.CrossEntropyLoss(), schedule=optim.Constant(0.1), clip_norm=1.0,
        accumulate=2, ema=0.9, group=None, shards=2, patience=2, monitor="validation_loss", min_delta=0.1,
        on_step=(), on_epoch=(), folder=to / "run",
        classes=("a", "b", "c"), checkpoint_seconds=1.0,
        fast_dev_run=False, overfit_batches=0, read_every=2, verbose=False,
    )  # fmt: skip


def lr_find_of(model: Any) -> SimpleNamespace:
    loader = data.Loader(split(), 2)
    return call(
        training.lr_find, model, optimizer(model), loader, nn.CrossEntropyLoss(), lowest=1e-4, highest=1.0, steps=3
    )


def statistics_of(model: Any) -> SimpleNamespace:
    return call(training.gradient_statistics, model, X, LABELS, nn.CrossEntropyLoss(), optimizer=optimizer(model))


# The arguments of every constructor and function; those with a file get a folder.
CALLS: dict[str, Callable[[Path], SimpleNamespace]] = {
    "nn.ELU": lambda to: call(nn.ELU, alpha=1.0),
    "nn.AdaptiveAvgPool2d": lambda to: call(nn.AdaptiveAvgPool2d, (2, 2)),
    "nn.AvgPool2d": lambda to: call(nn.AvgPool2d, 2, stride=1, padding=1, ceil_mode=True, count_include_pad=False),
    "nn.BCEWithLogitsLoss": lambda to: call(nn.BCEWithLogitsLoss, pos_weight=[1.0, 2.0], reduction="sum"),
    "nn.BatchNorm1d": lambda to: call(nn.BatchNorm1d, 3, eps=1e-3, momentum=0.2, affine=False),
    "nn.BatchNorm2d": lambda to: call(nn.BatchNorm2d, 3, eps=1e-3, momentum=0.2, affine=False),
    "nn.CELU": lambda to: call(nn.CELU, 0.5),
    "nn.Clip": lambda to: call(nn.Clip, -1.0, 1.0),
    "nn.Concat": lambda to: call(nn.Concat, nn.ReLU(), nn.Tanh()),
    "nn.Container": lambda to: call(
        type("Own", (nn.Sequential,), {"__init__": nn.Container.__init__}), {"a": nn.ReLU()}
    ),
    "nn.Conv2d": lambda to: call(
        nn.Conv2d, 4, 4, 3, stride=1, padding=1, dilation=2, groups=2, bias=False, weight_init="he_uniform", rng=0
    ),
    "nn.ConvTranspose2d": lambda to: call(
        nn.ConvTranspose2d,
        4,
        4,
        3,
        stride=2,
        padding=1,
        output_padding=1,
        dilation=2,
        groups=2,
        bias=False,
        weight_init="he_uniform",
        rng=0,
    ),
    "nn.Conv1d": lambda to: call(
        nn.Conv1d, 4, 4, 3, stride=1, padding=(1, 2), dilation=2, groups=2, bias=False, weight_init="he_uniform", rng=0
    ),
    "nn.ConvTranspose1d": lambda to: call(
        nn.ConvTranspose1d,
        4,
        4,
        3,
        stride=2,
        padding=(1, 2),
        output_padding=1,
        dilation=2,
        groups=2,
        bias=False,
        weight_init="he_uniform",
        rng=0,
    ),
    "nn.MaxPool1d": lambda to: call(nn.MaxPool1d, 2, stride=1, padding=(1, 0), dilation=1, ceil_mode=True),
    "nn.AvgPool1d": lambda to: call(nn.AvgPool1d, 2, stride=1, padding=1, ceil_mode=True, count_include_pad=False),
    "nn.ZeroPad1d": lambda to: call(nn.ZeroPad1d, (1, 2)),
    "nn.ReflectionPad1d": lambda to: call(nn.ReflectionPad1d, (1, 2)),
    "nn.ReplicationPad1d": lambda to: call(nn.ReplicationPad1d, (1, 2)),
    "nn.Dropout1d": lambda to: call(nn.Dropout1d, 0.5, rng=0),
    "nn.AdaptiveAvgPool1d": lambda to: call(nn.AdaptiveAvgPool1d, 2),
    "nn.CrossEntropyLoss": lambda to: call(
        nn.CrossEntropyLoss, weight=[1.0, 2.0], label_smoothing=0.1, reduction="sum"
    ),
    "nn.Dropout": lambda to: call(nn.Dropout, 0.5, rng=0),
    "nn.Dropout2d": lambda to: call(nn.Dropout2d, 0.5, rng=0),
    "nn.StochasticDepth": lambda to: call(nn.StochasticDepth, 0.5, rng=0),
    "nn.Graph": lambda to: call(
        nn.Graph, {"a": (nn.ReLU(), "u"), "b": (nn.Add(), "a", "v")}, inputs=("u", "v"), outputs="b"
    ),
    "nn.GELU": lambda to: call(nn.GELU, "tanh"),
    "nn.GroupNorm": lambda to: call(nn.GroupNorm, 2, 4, eps=1e-3, affine=False),
    "nn.HardSigmoid": lambda to: call(nn.HardSigmoid, 0.2, 0.5),
    "nn.Scale": lambda to: call(nn.Scale, 3, bias=False, init=0.5),
    "nn.ReflectionPad2d": lambda to: call(nn.ReflectionPad2d, (1, 2)),
    "nn.ReplicationPad2d": lambda to: call(nn.ReplicationPad2d, (1, 2)),
    "nn.PixelShuffle": lambda to: call(nn.PixelShuffle, 2),
    "nn.PixelUnshuffle": lambda to: call(nn.PixelUnshuffle, 2),
    "nn.ChannelShuffle": lambda to: call(nn.ChannelShuffle, 2),
    "nn.Slice": lambda to: call(nn.Slice, 1, 3, step=2, axis=-1),
    "nn.Permute": lambda to: call(nn.Permute, (2, 1)),
    "nn.Reshape": lambda to: call(nn.Reshape, (2, 2)),
    "nn.Resample": lambda to: call(nn.Resample, (2, 2), (3, 4)),
    "nn.Power": lambda to: call(nn.Power, 0.5),
    "nn.InstanceNorm2d": lambda to: call(nn.InstanceNorm2d, 3, eps=1e-3, affine=True),
    "nn.LocalResponseNorm": lambda to: call(nn.LocalResponseNorm, 3, 0.1, 0.5, 2.0),
    "nn.L2Normalize": lambda to: call(nn.L2Normalize, 1e-6),
    "nn.Mean": lambda to: call(nn.Mean, (1, 2), keepdims=True),
    "nn.Max": lambda to: call(nn.Max, -1, keepdims=True),
    "nn.Sum": lambda to: call(nn.Sum, (1, 2), keepdims=True),
    "nn.Min": lambda to: call(nn.Min, -1, keepdims=True),
    "nn.FocalLoss": lambda to: call(nn.FocalLoss, 1.5, weight=[1.0, 2.0], ignore_index=255, reduction="sum"),
    "nn.DiceLoss": lambda to: call(nn.DiceLoss, sigmoid=False, smooth=0.5, ignore_index=255, reduction="sum"),
    "nn.HingeLoss": lambda to: call(nn.HingeLoss, reduction="sum"),
    "nn.HuberLoss": lambda to: call(nn.HuberLoss, 1.0, reduction="sum"),
    "nn.L1Loss": lambda to: call(nn.L1Loss, reduction="sum"),
    "nn.LayerNorm": lambda to: call(nn.LayerNorm, (3, 4), eps=1e-3, elementwise_affine=False, bias=False),
    "nn.LeakyReLU": lambda to: call(nn.LeakyReLU, 0.1),
    "nn.Linear": lambda to: call(nn.Linear, 3, 4, bias=False, weight_init="he_uniform", rng=0),
    "nn.MSELoss": lambda to: call(nn.MSELoss, reduction="sum"),
    "nn.MaxPool2d": lambda to: call(nn.MaxPool2d, 2, stride=1, padding=1, dilation=1, ceil_mode=True),
    "nn.NLLLoss": lambda to: call(nn.NLLLoss, weight=[1.0, 2.0], ignore_index=255, reduction="sum"),
    "nn.Normalize": lambda to: call(nn.Normalize, (0.5,), (0.2,)),
    "nn.PReLU": lambda to: call(nn.PReLU, 3, 0.2),
    "nn.Residual": lambda to: call(nn.Residual, nn.ReLU(), nn.Tanh()),
    "nn.Sequential": lambda to: call(nn.Sequential, nn.ReLU(), nn.Tanh()),
    "nn.Unflatten": lambda to: call(nn.Unflatten, (2, 2, 1)),
    "nn.Upsample": lambda to: call(nn.Upsample, (2, 1.5), mode="bilinear", align_corners=True),
    "nn.ZeroPad2d": lambda to: call(nn.ZeroPad2d, (1, 2)),
    "nn.ZeroPadChannels": lambda to: call(nn.ZeroPadChannels, 1, 2),
    "nn.plan": lambda to: call(nn.plan, network(), (4, 4, 1)),
    "nn.plan_training": lambda to: call(nn.plan_training, network()),
    "nn.features": lambda to: call(nn.features, network(), X, "0"),
    "nn.eval_mode": lambda to: call(nn.eval_mode, network()),
    "nn.freeze": lambda to: call(nn.freeze, network(), "0.*"),
    "nn.unfreeze": lambda to: call(nn.unfreeze, network()),
    "nn.all_parameters": lambda to: call(nn.all_parameters, network()),
    "training.keep_features": lambda to: call(
        training.keep_features, nn.freeze(network(), "0.*"), split(), batch_size=2
    ),
    "nn.register": lambda to: call(nn.register, Named),
    "nn.with_hooks": lambda to: call(nn.with_hooks, network(), nn.Hooks()),
    "optim.SGD": lambda to: call(
        optim.SGD, network().parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1
    ),
    "optim.AdaGrad": lambda to: call(optim.AdaGrad, network().parameters(), lr=0.1, eps=1e-8, weight_decay=0.1),
    "optim.Adadelta": lambda to: call(
        optim.Adadelta, network().parameters(), lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.1
    ),
    "optim.Adam": lambda to: call(
        optim.Adam, network().parameters(), lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1
    ),
    "optim.AdamW": lambda to: call(
        optim.AdamW, network().parameters(), lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1
    ),
    "optim.Optimizer": lambda to: call(Own, network().parameters(), lr=0.1, weight_decay=0.1),
    "optim.RMSProp": lambda to: call(
        optim.RMSProp,
        network().parameters(),
        lr=0.1,
        alpha=0.9,
        eps=1e-8,
        momentum=0.5,
        centered=True,
        weight_decay=0.1,
    ),
    "optim.Constant": lambda to: call(optim.Constant, 0.1),
    "optim.Cosine": lambda to: call(optim.Cosine, 0.1, 10, 0.01),
    "optim.Exponential": lambda to: call(optim.Exponential, 0.1, 0.9, 2),
    "optim.OneCycle": lambda to: call(optim.OneCycle, 0.1, 10, 0.3, 25.0, 1e4),
    "optim.Plateau": lambda to: call(
        optim.Plateau, 0.1, factor=0.5, patience=3, mode="max", threshold=1e-3, min_lr=1e-5
    ),
    "optim.StepDecay": lambda to: call(optim.StepDecay, 0.1, 3, 0.5),
    "optim.WarmUp": lambda to: call(optim.WarmUp, optim.Constant(0.1), 3),
    "optim.no_bias_decay": lambda to: call(optim.no_bias_decay, network().parameters()),
    "optim.clip_by_norm": lambda to: call(optim.clip_by_norm, {"w": f(3)}, 1.0),
    "optim.clip_by_value": lambda to: call(optim.clip_by_value, {"w": f(3)}, 1.0),
    "data.Dataset": lambda to: call(data.Dataset, "mine", split(), split(), ("a", "b", "c")),
    "data.Split": lambda to: call(data.Split, split().images, split().labels),
    "data.array_file": lambda to: call(data.array_file, to / "all.npz", test_fraction=0.5, seed=1, most_bytes=2**20),
    "data.load": lambda to: call(data.load, to / "all.npz"),
    "data.load_parts": lambda to: call(data.load_parts, to / "all.npz"),
    "data.Loader": lambda to: call(
        data.Loader, split(), 2, shuffle=True, seed=0, drop_last=True, augment=None, prefetch=0, buffer=3, timeout=1.0
    ),
    "training.evaluate": lambda to: call(training.evaluate, network(), split(), nn.CrossEntropyLoss(), batch_size=3),
    "training.accuracy": lambda to: call(training.accuracy, SCORES, IDS),
    "training.balanced_weights": lambda to: call(training.balanced_weights, split(), 3),
    "training.confusion_matrix": lambda to: call(training.confusion_matrix, SCORES, IDS),
    "training.top_k_accuracy": lambda to: call(training.top_k_accuracy, SCORES, IDS, k=2),
    "training.MovingAverage": lambda to: call(training.MovingAverage, network(), 0.9),
    "training.CSVLog": lambda to: call(training.CSVLog, to / "log.csv"),
    "training.Trainer": lambda to: trainer_of(network(), to),
    "training.lr_find": lambda to: lr_find_of(network()),
    "training.profile": lambda to: call(training.profile, network(), X, LABELS, nn.CrossEntropyLoss(), repeats=1),
    "training.gradient_statistics": lambda to: statistics_of(network()),
    "models.build": lambda to: call(models.build, "mlp", (4, 4, 1), 3, rng=0),
    "models.mlp": lambda to: call(models.mlp, (4, 4, 1), 3, hidden=(4,), rng=0),
    "models.lenet5": lambda to: call(models.lenet5, (28, 28, 1), 3, rng=0),
    "models.mnist_cnn": lambda to: call(models.mnist_cnn, (28, 28, 1), 3, rng=0),
    "models.resnet20": lambda to: call(models.resnet20, (8, 8, 3), 3, rng=0),
    "models.vgg_small": lambda to: call(models.vgg_small, (8, 8, 3), 3, rng=0),
    "models.facts_of": lambda to: call(models.facts_of, "lenet5"),
    "models.defaults": lambda to: call(models.defaults, "lenet5"),
    "models.new_head": lambda to: call(models.new_head, network(), 3, rng=0),
    "models.squeezenet1_1": lambda to: call(models.squeezenet1_1, (17, 17, 3), 3, rng=0),
    "models.unet_small": lambda to: call(models.unet_small, (16, 16, 3), 3, rng=0),
    "models.unet": lambda to: call(models.unet, (16, 16, 3), 3, filters=1, rng=0),
    "models.normalized": lambda to: call(models.normalized, network(), (0.5,), (0.2,)),
    "ops.Window": lambda to: call(Window, (3, 3), 2, 1, 1, True),
    "exchange.export_numpy": lambda to: call(
        exchange.export_numpy,
        network(),
        to / "net.py",
        input_shape=(4, 4, 1),
        classes=["a", "b", "c"],
        scale=255.0,
        unit=True,
        outputs="classes",
    ),
    "exchange.export_onnx": lambda to: call(
        exchange.export_onnx,
        network(),
        to / "m.onnx",
        input_shape=(4, 4, 1),
        classes="abc",
        opset=17,
        layout="NHWC",
        batch=2,
    ),
    "exchange.save_pytorch": lambda to: call(
        exchange.save_pytorch, network(), to / "p.safetensors", input_shape=(4, 4, 1)
    ),
    "exchange.load_pytorch": lambda to: call(
        exchange.load_pytorch, network(), to / "pytorch.safetensors", input_shape=(4, 4, 1), strict=True
    ),
    "exchange.load_weights": lambda to: call(
        exchange.load_weights, network(), to / "pytorch.safetensors", prefix="", input_shape=(4, 4, 1)
    ),
    "exchange.save_mlx": lambda to: call(exchange.save_mlx, network(), to / "m.npz"),
    "exchange.load_mlx": lambda to: call(exchange.load_mlx, network(), to / "mlx.npz", strict=True),
    "io.save_model": lambda to: call(
        io.save_model, network(), to / "m.safetensors", input_shape=(4, 4, 1), classes=("a", "b", "c"), extra={"k": 1}
    ),
    "io.load_model": lambda to: call(io.load_model, to / "model.safetensors"),
    "io.read_tensors": lambda to: call(io.read_tensors, to / "model.safetensors"),
    "io.write_tensors": lambda to: call(io.write_tensors, to / "t.safetensors", {"a": f(2)}, {"k": 1}),
    "plot.activations": lambda to: call(plot.activations, network(), X, "0"),
    "plot.batch": lambda to: call(plot.batch, np.clip(X, 0, 1), LABELS, classes=("a", "b", "c")),
    "plot.confusion": lambda to: call(plot.confusion, np.eye(3, dtype=int), classes=("a", "b", "c")),
    "plot.feature_maps": lambda to: call(plot.feature_maps, network(), IMAGE, "0"),
    "plot.filters": lambda to: call(plot.filters, network(), "0"),
    "plot.grad_cam": lambda to: call(plot.grad_cam, network(), IMAGE, 1, "0", classes=("a", "b", "c")),
    "plot.grad_cam_map": lambda to: call(plot.grad_cam_map, network(), X, 1, "0"),
    "plot.saliency": lambda to: call(plot.saliency, network(), IMAGE, 1, classes=("a", "b", "c")),
    "plot.saliency_map": lambda to: call(plot.saliency_map, network(), X, 1),
    "plot.most_wrong": lambda to: call(plot.most_wrong, network(), split(), classes=("a", "b", "c"), n=2),
    "plot.top_losses": lambda to: call(plot.top_losses, network(), split(), 2, batch_size=3),
    "plot.save": lambda to: call(plot.save, figure(), to / "c.svg"),
    "explain.text": lambda to: call(explain.text, page(), precision=3),
    "explain.html": lambda to: call(explain.html, page(), precision=3, title="mine"),
    "explain.explain": lambda to: call(explain.explain, network(), "0", X, target=1, at=(0, 0, 0), classes=("a", "b")),
    "explain.step": lambda to: call(
        explain.step,
        model := network(),
        X,
        1,
        nn.CrossEntropyLoss(),
        optim.SGD(model.parameters(), lr=0.1),
        clip_norm=1.0,
        classes=("a", "b"),
    ),
    "explain.draw": lambda to: call(
        explain.draw, nn.MaxPool2d(2), (4, 4, 1), at=(0, 0, 0, 0), steps=("y",), numbers=True
    ),
}
