"""RegNetY-400MF: a network whose widths and depths follow a line with few parameters.

    stem       3×3, 32, stride 2
    stages     widths 48, 104, 208, 440; depths 1, 3, 6, 6; each begins with stride 2

A block is y = relu(f(x) + x). f is a 1×1 convolution, a 3×3 one in groups of 8 channels, squeeze-and-excitation to a
quarter of the block's input, and a 1×1 convolution.

Source: I. Radosavovic et al., Designing network design spaces, 2020, table 4 and equations 2 to 4 (initial width 48,
slope 27.89, quantisation 2.09, depth 16).
"""

from __future__ import annotations

from ..nn import GlobalAvgPool2d, Graph, Layer, Linear, ReLU
from ..random import Seed, generator
from ..typing import Shape
from .facts import IMAGENET, architecture
from .image import as_image_shape
from .wiring import Entries, chain, conv_norm, residual, squeeze_excitation

_STAGES = ((48, 1), (104, 3), (208, 6), (440, 6))  # width, depth
_GROUP = 8


@architecture("Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678", IMAGENET)
def regnet_y_400mf(input_shape: Shape = (224, 224, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """RegNetY of 400 million multiply-adds.

    Parameters
        input_shape : (H, W, C)
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> regnet_y_400mf((64, 64, 3), 10).output_shape((64, 64, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("regnet_y_400mf", input_shape)
    stem = conv_norm(channels, 32, 3, stride=2, rng=rng)
    channels = 32
    stages: dict[str, Layer] = {}
    for number, (width, depth) in enumerate(_STAGES, start=1):
        blocks: dict[str, Layer] = {}
        for i in range(depth):
            blocks[f"block{number}-{i}"] = _block(channels, width, 2 if i == 0 else 1, rng)
            channels = width
        stages[f"block{number}"] = chain(blocks)
    head = Linear(channels, num_classes, weight_init="glorot_uniform", rng=rng)
    return chain({"stem": stem, "trunk_output": chain(stages), "avgpool": GlobalAvgPool2d(), "fc": head})


def _block(channels: int, width: int, stride: int, rng: Seed) -> Graph:
    entries: Entries = {}
    if stride > 1 or channels != width:
        entries["proj"] = (conv_norm(channels, width, stride=stride, activation=None, rng=rng), "x")
    f = {
        "a": conv_norm(channels, width, rng=rng),
        "b": conv_norm(width, width, 3, stride=stride, groups=width // _GROUP, rng=rng),
        "se": squeeze_excitation(width, round(channels / 4), rng=rng),
        "c": conv_norm(width, width, activation=None, rng=rng),
    }
    return residual(entries | {"f": (chain(f), "x")}, "proj" if entries else "x", ReLU())
