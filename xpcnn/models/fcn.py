"""FCN on ResNet-50: a class for each pixel, from features of an eighth of the image's size.

    backbone     ResNet-50 without its head; layer3 and layer4 have dilated convolutions instead of strides
    classifier   3×3, 512, batch norm, ReLU, dropout; 1×1, a channel for each class
    upsample     bilinear, to the size of the input

The auxiliary head of training is left out.

Source: J. Long et al., Fully convolutional networks for semantic segmentation, 2014, with the backbone of L.-C. Chen et
al., Rethinking atrous convolution for semantic image segmentation, 2017, figure 3.
"""

from __future__ import annotations

from ..nn import BatchNorm2d, Conv2d, Dropout, Graph, ReLU, Sequential, Upsample
from ..random import Seed, generator
from ..typing import Shape
from .facts import Preprocessing, architecture
from .image import as_image_shape
from .resnet import DEPTHS, bottleneck, trunk
from .wiring import chain


@architecture("Long et al. 2014, https://arxiv.org/abs/1411.4038", Preprocessing(520))
def fcn_resnet50(input_shape: Shape = (520, 520, 3), num_classes: int = 21, *, rng: Seed = None) -> Graph:
    """FCN on ResNet-50.

    Parameters
        input_shape : (H, W, C); the output has this H and W
        num_classes : outputs (logits) of each pixel
        rng : seed or generator of the initial weights and the dropout mask

    >>> fcn_resnet50((32, 48, 3), 5).output_shape((32, 48, 3))
    (32, 48, 5)
    """
    rng = generator(rng)
    height, width, channels = as_image_shape("fcn_resnet50", input_shape)
    backbone = trunk(channels, bottleneck, DEPTHS[50], strides=(1, 2, 1, 1), rng=rng)
    classifier = Sequential(
        Conv2d(2048, 512, 3, padding=1, bias=False, rng=rng),
        BatchNorm2d(512),
        ReLU(),
        Dropout(0.1, rng=rng),
        Conv2d(512, num_classes, 1, weight_init="glorot_uniform", rng=rng),
    )
    upsample = Upsample(size=(height, width), mode="bilinear")
    return chain({"backbone": chain(backbone), "classifier": classifier, "upsample": upsample})
