"""The images that the tests of models take: the smallest of each, and small ones to train on."""

from __future__ import annotations

SMALLEST = {"mlp": 1, "lenet5": 12, "mnist_cnn": 4, "vgg_small": 8, "resnet20": 1} | {
    f"vgg{depth}": 32 for depth in (11, 13, 16, 19)
}
TRAINED = {"mlp": (4, 4, 2), "lenet5": (12, 12, 2)} | dict.fromkeys(("mnist_cnn", "vgg_small", "resnet20"), (8, 8, 2))
