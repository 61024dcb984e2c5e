"""Implementations whose loops numba compiles: `pip install 'xpcnn[numba]'`, and `XPCNN_NUMBA=1` asks for them.

NumPy passes over an array once for each of its functions. A compiled loop passes once for a whole formula, and holds no
interpreter's lock meanwhile. So these are the textbook's loops, beside their equations: depthwise convolution, batch
norm, pooling, activations, joins, losses and steps of optimizers, all of which are limited by memory. Large products of
matrices stay with BLAS, which loops call: so the transforms and products of Winograd's algorithm are one loop. Other
convolutions, and plans, take sums in the processor's registers (`microkernel`, `block`).
"""
