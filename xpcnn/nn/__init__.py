"""Layers and losses: each has a forward/backward pair, and a layer may have parameters."""

from ..renamed import renamed
from . import init
from .activation import (
    ELU,
    GELU,
    SELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .branches import Concat, Residual
from .container import Container
from .conv import Conv2d
from .conv_transpose import ConvTranspose2d
from .dropout import Dropout, Dropout2d
from .graph import Graph
from .hard_activation import HardSwish
from .hooks import Hooks, with_hooks
from .inference import Inference, eval_mode
from .join import Add, Maximum, Multiply, Subtract
from .layer import Layer, OpLayer
from .linear import Linear
from .loss import BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, HuberLoss, L1Loss, Loss, MSELoss, NLLLoss
from .norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from .normalize import Normalize
from .pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from .sequential import Sequential
from .shape import Flatten, Unflatten, Upsample, ZeroPad2d, ZeroPadChannels

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Graph",
    "GroupNorm",
    "HardSwish",
    "HingeLoss",
    "Hooks",
    "HuberLoss",
    "Identity",
    "Inference",
    "L1Loss",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "MaxPool2d",
    "Maximum",
    "Multiply",
    "NLLLoss",
    "Normalize",
    "OpLayer",
    "PReLU",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Subtract",
    "Tanh",
    "Unflatten",
    "Upsample",
    "ZeroPad2d",
    "ZeroPadChannels",
    "eval_mode",
    "init",
    "with_hooks",
]

__getattr__ = renamed(__name__, Watch="Hooks", watched="with_hooks", inferring="eval_mode")
