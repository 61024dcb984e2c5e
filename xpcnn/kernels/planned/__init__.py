"""How operations are planned on NumPy: their array calls for one shape, in buffers that are made once.

`bind(reads, y, workspace)` of a step returns the call that does its work from then on. Images are kept channels first,
(C, N, H, W): for few images, their rows are the longest runs of memory. Weights are read at every call; `frozen()` of a
step is one that has read them. With compiled loops, the steps become a table, with the channels last: see
`compiled_program`.
"""

from .conv import Convolution
from .elementwise import Affine, AsItIs, Concatenation, Elementwise, Flattening, Join, Rectifier, ZeroPadding
from .linear import Dense
from .pool import GlobalMean, Pooling
from .program import Entry, Programs, Wiring
from .step import NotPlanned

__all__ = [
    "Affine",
    "AsItIs",
    "Concatenation",
    "Convolution",
    "Dense",
    "Elementwise",
    "Entry",
    "Flattening",
    "GlobalMean",
    "Join",
    "NotPlanned",
    "Pooling",
    "Programs",
    "Rectifier",
    "Wiring",
    "ZeroPadding",
]
