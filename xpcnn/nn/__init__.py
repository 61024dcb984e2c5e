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
from .elementary import Abs, Exp, Log, Power
from .graph import Graph
from .hard_activation import Clip, HardSigmoid, HardSwish, ReLU6
from .hooks import Hooks, with_hooks
from .inference import Inference, eval_mode
from .instance_norm import InstanceNorm2d
from .join import Add, Maximum, Minimum, Multiply, Subtract
from .layer import Layer, OpLayer
from .linear import Linear
from .loss import BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, HuberLoss, L1Loss, Loss, MSELoss, NLLLoss
from .norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from .normalize import Normalize
from .pad import ReflectionPad2d, ReplicationPad2d
from .planning import Plan, plan
from .pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from .reduce import Max, Mean, Min, Sum
from .response_norm import L2Normalize, LocalResponseNorm
from .scale import Scale
from .sequential import Sequential
from .shape import Flatten, Reshape, Unflatten, ZeroPad2d, ZeroPadChannels
from .shuffle import ChannelShuffle, Permute, PixelShuffle, PixelUnshuffle, Slice
from .soft_activation import CELU, Mish, Softsign
from .upsample import Resample, Upsample

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Abs",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "ChannelShuffle",
    "Clip",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Exp",
    "Flatten",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Graph",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "HingeLoss",
    "Hooks",
    "HuberLoss",
    "Identity",
    "Inference",
    "InstanceNorm2d",
    "L1Loss",
    "L2Normalize",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "Log",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "Max",
    "MaxPool2d",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Mish",
    "Multiply",
    "NLLLoss",
    "Normalize",
    "OpLayer",
    "PReLU",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "Plan",
    "Power",
    "ReLU",
    "ReLU6",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "Resample",
    "Reshape",
    "Residual",
    "Scale",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Subtract",
    "Sum",
    "Tanh",
    "Unflatten",
    "Upsample",
    "ZeroPad2d",
    "ZeroPadChannels",
    "eval_mode",
    "init",
    "plan",
    "with_hooks",
]

__getattr__ = renamed(__name__, Watch="Hooks", watched="with_hooks", inferring="eval_mode")
