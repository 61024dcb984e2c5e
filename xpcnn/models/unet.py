"""U-Net: a class for each pixel, from features of five sizes.

    encoder1 … 4    two 3×3 convolutions with 64, 128, 256 and 512 filters, each followed by 2×2 max pooling
    bottleneck      two 3×3 convolutions with 1024 filters
    decoder4 … 1    a 2×2 transposed convolution to half the channels; the encoder's features of that size beside it;
                    two 3×3 convolutions
    conv            1×1, a channel for each class

Unlike the paper's, the convolutions pad, so that the output has the size of the input, and batch norm follows each. The
names are those of M. Buda's network for brain MRI, which has 32 filters in encoder1.

Sources
    O. Ronneberger et al., U-Net: convolutional networks for biomedical image segmentation, 2015, figure 1
    M. Buda et al., Association of genomic subtypes of lower-grade gliomas with shape features, 2019
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..nn import BatchNorm2d, Concat, Conv2d, ConvTranspose2d, Graph, MaxPool2d, ReLU
from ..options import as_count
from ..random import Seed, generator
from ..typing import Shape
from .facts import architecture
from .image import as_image_shape
from .wiring import Entries, chain

_LEVELS = 4


@architecture("Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597")
def unet(input_shape: Shape = (256, 256, 3), num_classes: int = 2, *, filters: int = 64, rng: Seed = None) -> Graph:
    """U-Net with padding and batch norm.

    Parameters
        input_shape : (H, W, C), H and W multiples of 16
        num_classes : outputs (logits) of each pixel
        filters : of the first convolutions
        rng : seed or generator of the initial weights

    >>> unet((16, 32, 3), 5).output_shape((16, 32, 3))
    (16, 32, 5)
    """
    return _unet("unet", input_shape, num_classes, as_count("unet", "filters", filters), generator(rng))


def _unet(who: str, input_shape: Shape, num_classes: int, filters: int, rng: np.random.Generator) -> Graph:
    height, width, channels = as_image_shape(who, input_shape, least=2**_LEVELS)
    if height % 2**_LEVELS or width % 2**_LEVELS:
        got, remedy = f"{height}×{width}", "crop or pad the images"
        raise ShapeError(who, f"height and width that are multiples of {2**_LEVELS}", got, remedy)
    widths = [filters * 2**level for level in range(_LEVELS)]
    entries: Entries = {}
    value = "x"
    for i, wide in enumerate(widths, start=1):
        entries[f"encoder{i}"] = (_twice(channels, wide, f"enc{i}", rng), value)
        value = f"pool{i}"
        entries[value] = (MaxPool2d(2), f"encoder{i}")
        channels = wide
    entries["bottleneck"] = (_twice(channels, 2 * channels, "bottleneck", rng), value)
    value = "bottleneck"
    for i, wide in reversed(list(enumerate(widths, start=1))):
        entries[f"upconv{i}"] = (ConvTranspose2d(2 * wide, wide, 2, stride=2, rng=rng), value)
        entries[f"concat{i}"] = (Concat(), f"upconv{i}", f"encoder{i}")
        value = f"decoder{i}"
        entries[value] = (_twice(2 * wide, wide, f"dec{i}", rng), f"concat{i}")
    return Graph(entries | {"conv": (Conv2d(filters, num_classes, 1, weight_init="glorot_uniform", rng=rng), value)})


@architecture("Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597")
def unet_small(input_shape: Shape = (64, 64, 3), num_classes: int = 2, *, rng: Seed = None) -> Graph:
    """`unet` with 16 filters in encoder1 and so 1/16 of its numbers, for small pictures and for training on a CPU.

    Parameters
        as of `unet`

    >>> unet_small((16, 32, 3), 5).output_shape((16, 32, 3))
    (16, 32, 5)
    """
    return _unet("unet_small", input_shape, num_classes, 16, generator(rng))


def _twice(channels: int, filters: int, name: str, rng: Seed) -> Graph:
    """A 3×3 convolution, batch norm and ReLU, twice."""
    return chain(
        {
            f"{name}conv1": Conv2d(channels, filters, 3, padding=1, bias=False, rng=rng),
            f"{name}norm1": BatchNorm2d(filters),
            f"{name}relu1": ReLU(),
            f"{name}conv2": Conv2d(filters, filters, 3, padding=1, bias=False, rng=rng),
            f"{name}norm2": BatchNorm2d(filters),
            f"{name}relu2": ReLU(),
        }
    )
