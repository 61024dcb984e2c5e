"""A small network of ours and PyTorch's, of the same numbers; and what a picture's axes show."""

from __future__ import annotations

import numpy as np

import xpcnn
from xpcnn.nn import BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Residual, Sequential


def ours():
    return Sequential(
        Conv2d(3, 4, 3, padding=1, rng=0), BatchNorm2d(4), ReLU(), MaxPool2d(2), Dropout(0.5, rng=1),
        Residual(Sequential(Conv2d(4, 4, 3, padding=1, rng=2), BatchNorm2d(4))), ReLU(),
        GlobalAvgPool2d(), Linear(4, 3, rng=3),
    ).astype("float64")  # fmt: skip


def pair(rng):
    """Ours, and PyTorch's in its eval mode, float64; images (N, 8, 8, 3), 3 classes."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

        def forward(self, x):
            return x + self.body(x)

    other = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5), Block(),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).double().eval()  # fmt: skip
    model = ours()
    state = {}
    for name, array in other.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        value = rng.uniform(0.5, 2, array.shape) if name.endswith("var") else rng.normal(size=tuple(array.shape))
        array.copy_(torch.tensor(value))
        own = name.replace("9.", "8.") if name.startswith("9.") else name
        state[own] = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    model.load_state_dict({name: xpcnn.asarray(np.ascontiguousarray(value)) for name, value in state.items()})
    return model, other


def picture_of(axes):
    """The numbers of the one image that the axes show."""
    (image,) = axes.images
    return np.asarray(image.get_array())
