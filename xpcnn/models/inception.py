"""Inception v3: modules of branches whose large convolutions are factorised into small ones.

    five convolutions and two max poolings, to 192 channels
    Mixed_5b, c, d    1×1; 1×1 then 5×5; 1×1 then 3×3 twice; mean then 1×1                         (A, figure 5)
    Mixed_6a          stride 2: 3×3; 1×1 then 3×3 twice; max pooling                               (B, figure 10)
    Mixed_6b … e      1×1; 1×1 then 1×7, 7×1; 1×1 then 7×1, 1×7, 7×1, 1×7; mean then 1×1           (C, figure 6)
    Mixed_7a          stride 2: 1×1 then 3×3; 1×1 then 1×7, 7×1, 3×3; max pooling                  (D)
    Mixed_7b, c       1×1; 1×1 then 1×3 beside 3×1; 1×1, 3×3 then 1×3 beside 3×1; mean then 1×1    (E, figure 7)
    mean of each channel, dropout, dense layer

The auxiliary head of training is left out.

Source: C. Szegedy et al., Rethinking the Inception architecture for computer vision, 2015, table 1.
"""

from __future__ import annotations

from functools import partial

from ..nn import AvgPool2d, Concat, Dropout, GlobalAvgPool2d, Graph, Layer, Linear, MaxPool2d
from ..random import Seed, generator
from ..typing import Shape
from .facts import HALVES, Preprocessing, architecture
from .googlenet import basic_conv
from .image import as_image_shape
from .wiring import Entries, chain, wired

_WIDE, _TALL = (1, 7), (7, 1)
_PAD_WIDE, _PAD_TALL = (0, 3), (3, 0)


@architecture("Szegedy et al. 2015, https://arxiv.org/abs/1512.00567", Preprocessing(342, 299, *HALVES))
def inception_v3(input_shape: Shape = (299, 299, 3), num_classes: int = 1000, *, rng: Seed = None) -> Graph:
    """Inception v3.

    Parameters
        input_shape : (H, W, C), H and W at least 75
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights and the dropout mask

    >>> inception_v3((75, 75, 3), 10).output_shape((75, 75, 3))
    (10,)
    """
    rng = generator(rng)
    _, _, channels = as_image_shape("inception_v3", input_shape, least=75)
    conv = partial(basic_conv, rng=rng)
    return chain(
        {
            "Conv2d_1a_3x3": conv(channels, 32, 3, stride=2),
            "Conv2d_2a_3x3": conv(32, 32, 3),
            "Conv2d_2b_3x3": conv(32, 64, 3, padding=1),
            "maxpool1": MaxPool2d(3, stride=2),
            "Conv2d_3b_1x1": conv(64, 80, 1),
            "Conv2d_4a_3x3": conv(80, 192, 3),
            "maxpool2": MaxPool2d(3, stride=2),
            "Mixed_5b": _a(192, 32, rng),
            "Mixed_5c": _a(256, 64, rng),
            "Mixed_5d": _a(288, 64, rng),
            "Mixed_6a": _b(288, rng),
            "Mixed_6b": _c(768, 128, rng),
            "Mixed_6c": _c(768, 160, rng),
            "Mixed_6d": _c(768, 160, rng),
            "Mixed_6e": _c(768, 192, rng),
            "Mixed_7a": _d(768, rng),
            "Mixed_7b": _e(1280, rng),
            "Mixed_7c": _e(2048, rng),
            "avgpool": GlobalAvgPool2d(),
            "dropout": Dropout(0.5, rng=rng),
            "fc": Linear(2048, num_classes, weight_init="glorot_uniform", rng=rng),
        }
    )


def _joined(*branches: dict[str, Layer]) -> Graph:
    """The last values of branches that read the same value, one after another along the channels."""
    entries: Entries = {}
    for branch in branches:
        entries |= wired(branch)
    return Graph(entries | {"concat": (Concat(), *(list(branch)[-1] for branch in branches))})


def _pooled(channels: int, filters: int, rng: Seed) -> dict[str, Layer]:
    return {"avgpool": AvgPool2d(3, stride=1, padding=1), "branch_pool": basic_conv(channels, filters, 1, rng=rng)}


def _a(channels: int, pooled: int, rng: Seed) -> Graph:
    conv = partial(basic_conv, rng=rng)
    return _joined(
        {"branch1x1": conv(channels, 64, 1)},
        {"branch5x5_1": conv(channels, 48, 1), "branch5x5_2": conv(48, 64, 5, padding=2)},
        {
            "branch3x3dbl_1": conv(channels, 64, 1),
            "branch3x3dbl_2": conv(64, 96, 3, padding=1),
            "branch3x3dbl_3": conv(96, 96, 3, padding=1),
        },
        _pooled(channels, pooled, rng),
    )


def _b(channels: int, rng: Seed) -> Graph:
    conv = partial(basic_conv, rng=rng)
    return _joined(
        {"branch3x3": conv(channels, 384, 3, stride=2)},
        {
            "branch3x3dbl_1": conv(channels, 64, 1),
            "branch3x3dbl_2": conv(64, 96, 3, padding=1),
            "branch3x3dbl_3": conv(96, 96, 3, stride=2),
        },
        {"branch_pool": MaxPool2d(3, stride=2)},
    )


def _c(channels: int, narrow: int, rng: Seed) -> Graph:
    conv = partial(basic_conv, rng=rng)
    return _joined(
        {"branch1x1": conv(channels, 192, 1)},
        {
            "branch7x7_1": conv(channels, narrow, 1),
            "branch7x7_2": conv(narrow, narrow, _WIDE, padding=_PAD_WIDE),
            "branch7x7_3": conv(narrow, 192, _TALL, padding=_PAD_TALL),
        },
        {
            "branch7x7dbl_1": conv(channels, narrow, 1),
            "branch7x7dbl_2": conv(narrow, narrow, _TALL, padding=_PAD_TALL),
            "branch7x7dbl_3": conv(narrow, narrow, _WIDE, padding=_PAD_WIDE),
            "branch7x7dbl_4": conv(narrow, narrow, _TALL, padding=_PAD_TALL),
            "branch7x7dbl_5": conv(narrow, 192, _WIDE, padding=_PAD_WIDE),
        },
        _pooled(channels, 192, rng),
    )


def _d(channels: int, rng: Seed) -> Graph:
    conv = partial(basic_conv, rng=rng)
    return _joined(
        {"branch3x3_1": conv(channels, 192, 1), "branch3x3_2": conv(192, 320, 3, stride=2)},
        {
            "branch7x7x3_1": conv(channels, 192, 1),
            "branch7x7x3_2": conv(192, 192, _WIDE, padding=_PAD_WIDE),
            "branch7x7x3_3": conv(192, 192, _TALL, padding=_PAD_TALL),
            "branch7x7x3_4": conv(192, 192, 3, stride=2),
        },
        {"branch_pool": MaxPool2d(3, stride=2)},
    )


def _e(channels: int, rng: Seed) -> Graph:
    conv = partial(basic_conv, rng=rng)
    entries = wired({"branch1x1": conv(channels, 320, 1)})
    entries |= wired({"branch3x3_1": conv(channels, 384, 1)})
    entries |= wired({"branch3x3dbl_1": conv(channels, 448, 1), "branch3x3dbl_2": conv(448, 384, 3, padding=1)})
    ends = ["branch1x1"]
    for wide, tall, reads in (
        ("branch3x3_2a", "branch3x3_2b", "branch3x3_1"),
        ("branch3x3dbl_3a", "branch3x3dbl_3b", "branch3x3dbl_2"),
    ):
        entries[wide] = (conv(384, 384, (1, 3), padding=(0, 1)), reads)
        entries[tall] = (conv(384, 384, (3, 1), padding=(1, 0)), reads)
        ends += [wide, tall]
    entries |= wired(_pooled(channels, 192, rng))
    return Graph(entries | {"concat": (Concat(), *ends, "branch_pool")})
