"""Layers and losses: each has a forward/backward pair, and a layer may have parameters."""

from ..renamed import renamed
from . import init
from .activation import ELU, GELU, SELU, Identity, LeakyReLU, PReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .branches import Concat, Residual
from .classification_loss import CrossEntropyLoss, DiceLoss, FocalLoss, HingeLoss, NLLLoss
from .container import Container
from .conv import Conv1d, Conv2d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d
from .dropout import Dropout, Dropout1d, Dropout2d, StochasticDepth
from .elementary import Abs, Exp, Log, Power
from .feature_output import features
from .freezing import all_parameters, freeze, unfreeze
from .graph import Graph
from .hard_activation import Clip, HardSigmoid, HardSwish, ReLU6
from .hooks import Hooks, with_hooks
from .inference import Inference, eval_mode
from .instance_norm import InstanceNorm2d
from .join import Add, Maximum, Minimum, Multiply, Subtract
from .layer import Layer
from .linear import Linear
from .loss import BCEWithLogitsLoss, HuberLoss, L1Loss, Loss, MSELoss
from .norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from .normalize import Normalize
from .op_layer import OpLayer
from .own_layers import register
from .pad import ReflectionPad1d, ReflectionPad2d, ReplicationPad1d, ReplicationPad2d, ZeroPad1d
from .parts import PartsPlan, plan_training
from .planning import Plan, plan
from .pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    MaxPool1d,
    MaxPool2d,
)
from .reduce import Max, Mean, Min, Sum
from .response_norm import L2Normalize, LocalResponseNorm
from .scale import Scale
from .sequential import Sequential
from .shape import Flatten, Reshape, Unflatten, ZeroPad2d, ZeroPadChannels
from .shuffle import ChannelShuffle, Permute, PixelShuffle, PixelUnshuffle, Slice
from .soft_activation import CELU, Mish, Softsign
from .softmax import LogSoftmax, Softmax
from .upsample import Resample, Upsample

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Abs",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "ChannelShuffle",
    "Clip",
    "Concat",
    "Container",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "DiceLoss",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Exp",
    "Flatten",
    "FocalLoss",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalMaxPool1d",
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
    "MaxPool1d",
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
    "PartsPlan",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "Plan",
    "Power",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
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
    "StochasticDepth",
    "Subtract",
    "Sum",
    "Tanh",
    "Unflatten",
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPadChannels",
    "all_parameters",
    "eval_mode",
    "features",
    "freeze",
    "init",
    "plan",
    "plan_training",
    "register",
    "unfreeze",
    "with_hooks",
]

__getattr__ = renamed(__name__, Watch="Hooks", watched="with_hooks", inferring="eval_mode")
