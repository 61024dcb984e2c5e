"""LeNet-5, and the slightly larger network that MNIST tutorials train today."""

from __future__ import annotations

from ..nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from ..ops import Window
from ..random import Seed, generator
from ..typing import Shape
from .facts import architecture
from .image import as_image_shape


@architecture("LeCun et al. 1998, https://doi.org/10.1109/5.726791")
def lenet5(input_shape: Shape = (28, 28, 1), num_classes: int = 10, *, rng: Seed = None) -> Sequential:
    """LeNet-5 in its modern form: ReLU and max pooling instead of tanh and subsampling, and full connections.

    The first convolution pads by 2, so that a 28×28 image corresponds to the paper's 32×32.

    Parameters
        input_shape : (H, W, C), H and W at least 12
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights
    Source
        Y. LeCun et al., Gradient-based learning applied to document recognition, 1998, figure 2

    >>> import math
    >>> sum(math.prod(array.shape) for array in lenet5().parameters().values())
    61706
    """
    rng = generator(rng)
    height, width, channels = as_image_shape("lenet5", input_shape, least=12)
    h, w = Window((6, 6), (2, 2)).place(height // 2, width // 2, "lenet5").out  # after the second 5×5 and its pooling
    return Sequential(
        Conv2d(channels, 6, 5, padding=2, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Conv2d(6, 16, 5, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(16 * h * w, 120, rng=rng),
        ReLU(),
        Linear(120, 84, rng=rng),
        ReLU(),
        Linear(84, num_classes, weight_init="glorot_uniform", rng=rng),
    )


@architecture()
def mnist_cnn(input_shape: Shape = (28, 28, 1), num_classes: int = 10, *, rng: Seed = None) -> Sequential:
    """Two 3×3 convolutions of 32 and 64 filters, each with 2×2 max pooling, and a dense layer of 128.

    Parameters
        input_shape : (H, W, C), H and W at least 4
        num_classes : outputs (logits)
        rng : seed or generator of the initial weights

    >>> mnist_cnn((8, 8, 1)).output_shape((8, 8, 1))
    (10,)
    """
    rng = generator(rng)
    height, width, channels = as_image_shape("mnist_cnn", input_shape, least=4)
    h, w = Window((4, 4), (4, 4)).place(height, width, "mnist_cnn").out  # after two poolings
    return Sequential(
        Conv2d(channels, 32, 3, padding=1, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Conv2d(32, 64, 3, padding=1, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(64 * h * w, 128, rng=rng),
        ReLU(),
        Linear(128, num_classes, weight_init="glorot_uniform", rng=rng),
    )
