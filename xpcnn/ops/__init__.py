"""The mathematics: stateless forward/backward pairs on arrays of any backend.

Every pair is `y, cache = NAME_forward(…)` and `gradients = NAME_backward(dy, cache)`, with the gradients in the
order of forward's array arguments. A loss takes no dy (`NAME_backward(cache)`), because gradients begin there. Batch
norm's forward returns the batch's statistics as a third value.

These functions are always the reference implementations. Layers call them through `xpcnn.ops.dispatch`, which may
choose a faster one with the same contract.
"""

from .activation import (
    gelu_tanh_backward,
    gelu_tanh_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from .adaptive_pool import adaptive_avg_pool2d_backward, adaptive_avg_pool2d_forward
from .add import add
from .batch_norm import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    batch_norm_relu_backward,
    batch_norm_relu_forward,
)
from .bilinear import bilinear2d_backward, bilinear2d_forward
from .clip import clip, sign
from .conv import conv2d_backward, conv2d_forward, conv2d_inference
from .conv_transpose import conv_transpose2d_backward, conv_transpose2d_forward
from .dropout import dropout_backward, dropout_forward
from .edge_pad import reflection_pad_backward, reflection_pad_forward, replication_pad_backward, replication_pad_forward
from .elementary import (
    abs_backward,
    abs_forward,
    exp_backward,
    exp_forward,
    log_backward,
    log_forward,
    power_backward,
    power_forward,
)
from .gelu import gelu_backward, gelu_forward
from .global_pool import (
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    global_max_pool2d_backward,
    global_max_pool2d_forward,
)
from .hard_activation import (
    clip_backward,
    clip_forward,
    hard_sigmoid_backward,
    hard_sigmoid_forward,
    hard_swish_backward,
    hard_swish_forward,
    relu6_backward,
    relu6_forward,
)
from .join import (
    add_backward,
    add_forward,
    concat_backward,
    concat_forward,
    maximum_backward,
    maximum_forward,
    minimum_backward,
    minimum_forward,
    multiply_backward,
    multiply_forward,
    subtract_backward,
    subtract_forward,
)
from .l2_normalize import l2_normalize_backward, l2_normalize_forward
from .linear import linear_backward, linear_forward
from .loss_classification import (
    cross_entropy_backward,
    cross_entropy_forward,
    hinge_backward,
    hinge_forward,
    nll_backward,
    nll_forward,
)
from .loss_dice import dice_backward, dice_forward
from .loss_elementwise import (
    bce_with_logits_backward,
    bce_with_logits_forward,
    huber_backward,
    huber_forward,
    mae_backward,
    mae_forward,
    mse_backward,
    mse_forward,
)
from .loss_focal import focal_backward, focal_forward
from .norm import group_norm_backward, group_norm_forward, layer_norm_backward, layer_norm_forward
from .normalize import normalize_backward, normalize_forward
from .pad import zero_pad_backward, zero_pad_forward
from .pool import avg_pool2d_backward, avg_pool2d_forward, max_pool2d_backward, max_pool2d_forward, max_pool2d_inference
from .rectifier import (
    elu_backward,
    elu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
    relu_backward,
    relu_forward,
    selu_backward,
    selu_forward,
)
from .reduce import (
    max_backward,
    max_forward,
    mean_backward,
    mean_forward,
    min_backward,
    min_forward,
    sum_backward,
    sum_forward,
)
from .response_norm import local_response_norm_backward, local_response_norm_forward
from .scale import scale_backward, scale_forward
from .separable import resample2d_backward, resample2d_forward
from .shuffle import (
    channel_shuffle_backward,
    channel_shuffle_forward,
    permute_backward,
    permute_forward,
    pixel_shuffle_backward,
    pixel_shuffle_forward,
    pixel_unshuffle_backward,
    pixel_unshuffle_forward,
    slice_backward,
    slice_forward,
)
from .soft_activation import (
    celu_backward,
    celu_forward,
    mish_backward,
    mish_forward,
    softsign_backward,
    softsign_forward,
)
from .softmax import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward
from .upsample import upsample2d_backward, upsample2d_forward
from .window import Window

__all__ = [
    "Window",
    "abs_backward",
    "abs_forward",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool2d_forward",
    "add",
    "add_backward",
    "add_forward",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_inference",
    "batch_norm_relu_backward",
    "batch_norm_relu_forward",
    "bce_with_logits_backward",
    "bce_with_logits_forward",
    "bilinear2d_backward",
    "bilinear2d_forward",
    "celu_backward",
    "celu_forward",
    "channel_shuffle_backward",
    "channel_shuffle_forward",
    "clip",
    "clip_backward",
    "clip_forward",
    "concat_backward",
    "concat_forward",
    "conv2d_backward",
    "conv2d_forward",
    "conv2d_inference",
    "conv_transpose2d_backward",
    "conv_transpose2d_forward",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "dice_backward",
    "dice_forward",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "exp_backward",
    "exp_forward",
    "focal_backward",
    "focal_forward",
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
    "global_avg_pool2d_backward",
    "global_avg_pool2d_forward",
    "global_max_pool2d_backward",
    "global_max_pool2d_forward",
    "group_norm_backward",
    "group_norm_forward",
    "hard_sigmoid_backward",
    "hard_sigmoid_forward",
    "hard_swish_backward",
    "hard_swish_forward",
    "hinge_backward",
    "hinge_forward",
    "huber_backward",
    "huber_forward",
    "l2_normalize_backward",
    "l2_normalize_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "linear_backward",
    "linear_forward",
    "local_response_norm_backward",
    "local_response_norm_forward",
    "log_backward",
    "log_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "mae_backward",
    "mae_forward",
    "max_backward",
    "max_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "max_pool2d_inference",
    "maximum_backward",
    "maximum_forward",
    "mean_backward",
    "mean_forward",
    "min_backward",
    "min_forward",
    "minimum_backward",
    "minimum_forward",
    "mish_backward",
    "mish_forward",
    "mse_backward",
    "mse_forward",
    "multiply_backward",
    "multiply_forward",
    "nll_backward",
    "nll_forward",
    "normalize_backward",
    "normalize_forward",
    "permute_backward",
    "permute_forward",
    "pixel_shuffle_backward",
    "pixel_shuffle_forward",
    "pixel_unshuffle_backward",
    "pixel_unshuffle_forward",
    "power_backward",
    "power_forward",
    "prelu_backward",
    "prelu_forward",
    "reflection_pad_backward",
    "reflection_pad_forward",
    "relu6_backward",
    "relu6_forward",
    "relu_backward",
    "relu_forward",
    "replication_pad_backward",
    "replication_pad_forward",
    "resample2d_backward",
    "resample2d_forward",
    "scale_backward",
    "scale_forward",
    "selu_backward",
    "selu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "sign",
    "silu_backward",
    "silu_forward",
    "slice_backward",
    "slice_forward",
    "softmax_backward",
    "softmax_forward",
    "softplus_backward",
    "softplus_forward",
    "softsign_backward",
    "softsign_forward",
    "subtract_backward",
    "subtract_forward",
    "sum_backward",
    "sum_forward",
    "tanh_backward",
    "tanh_forward",
    "upsample2d_backward",
    "upsample2d_forward",
    "zero_pad_backward",
    "zero_pad_forward",
]
