"""See every gradient
==================

The worked example of a well-known tutorial, number by number: a convolution, forward and backward. The image, the two
filters, the gradient of the output and the results are those of Charlotte77, 卷积神经网络详解(二), 2017. Given a file
name, the script writes a page in which each number shows its formula.
"""

import sys
from pathlib import Path

import numpy as np

from xpcnn import asarray, nn
from xpcnn.explain import explain, html, text

image = [
    [[0, 1, 1, 0, 2], [2, 2, 2, 2, 1], [1, 0, 0, 2, 0], [0, 1, 1, 0, 0], [1, 2, 0, 0, 2]],
    [[1, 0, 2, 2, 0], [0, 0, 0, 2, 0], [1, 2, 1, 2, 1], [1, 0, 0, 0, 0], [1, 2, 1, 1, 1]],
    [[2, 1, 2, 0, 0], [1, 0, 0, 1, 0], [0, 2, 1, 0, 1], [0, 1, 2, 2, 2], [2, 1, 0, 0, 1]],
]
filters = [
    [
        [[-1, 1, 0], [0, 1, 0], [0, 1, 1]],
        [[-1, -1, 0], [0, 0, 0], [0, -1, 0]],
        [[0, 0, -1], [0, 1, 0], [1, -1, -1]],
    ],
    [
        [[1, 1, -1], [-1, -1, 1], [0, -1, 1]],
        [[0, 1, 0], [-1, 0, -1], [-1, 1, 0]],
        [[-1, 0, 0], [-1, 0, 1], [-1, 0, 0]],
    ],
]
dy = [[[0, 1, 1], [2, 2, 2], [1, 0, 0]], [[1, 0, 2], [0, 0, 0], [1, 2, 1]]]


def channels_last(channels_first):  # (…, C, H, W), as the tutorial prints them → (…, H, W, C)
    return asarray(np.moveaxis(np.array(channels_first, "float32"), -3, -1))


layer = nn.Conv2d(3, 2, 3, stride=2, padding=1)
layer.load_state_dict({"weight": channels_last(filters), "bias": np.array([1, 0])})
explanation = explain(layer, "", channels_last(image)[None], dy=channels_last(dy)[None], at=(0, 0, 0))
print(text(explanation))
for name in sys.argv[1:]:
    if name.endswith(".html"):
        Path(name).write_text(html(explanation, title="a worked example"), encoding="utf-8")
