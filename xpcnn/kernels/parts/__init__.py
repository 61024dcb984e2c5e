"""Training in parts of a batch, each of which goes through the whole network on one thread; see `xpcnn.nn.parts`.

A step says how a layer runs forward and backward on n items, in memory that is allocated once. All arrays have the
batch last, (…, C, n), as in `xpcnn.kernels.batch_last`: the steps are the equations of the kernels for whole batches,
without their checks, their choice of pieces and their allocations, which take longer than the arithmetic of a small
network, and during which its threads wait for each other.
"""

from ..compiled.loop import refuses_numbers
from ..compiled.winograd import IMPLEMENTATION as COMPILED_WINOGRAD
from ..rows import IMPLEMENTATION as ROWS
from ..winograd import IMPLEMENTATION as WINOGRAD
from .compiled_conv import CompiledConvolution
from .compiled_pool import CompiledMaxPooling
from .compiled_winograd import CompiledWinograd
from .conv import Convolution
from .elementwise import Dropping, Rectifier
from .inference import Inference
from .linear import Dense
from .pool import MaxPooling
from .program import Chain, Entry, Parts
from .step import AsItIs, PartStep
from .winograd import Winograd

CONVOLUTIONS = {  # the steps, by the implementations that they stand for
    ROWS: Convolution,
    WINOGRAD: Winograd,
    COMPILED_WINOGRAD: CompiledWinograd,
}
COMPILED = {Convolution: CompiledConvolution}  # the forms in compiled loops, of steps that stand for others

__all__ = [
    "COMPILED",
    "CONVOLUTIONS",
    "AsItIs",
    "Chain",
    "CompiledConvolution",
    "CompiledMaxPooling",
    "CompiledWinograd",
    "Convolution",
    "Dense",
    "Dropping",
    "Entry",
    "Inference",
    "MaxPooling",
    "PartStep",
    "Parts",
    "Rectifier",
    "Winograd",
    "refuses_numbers",
]
