"""How operations are planned on NumPy: their array calls for one shape, in buffers that are made once.

`bind(reads, write, scratch)` of a step returns the call that does its work from then on. Images are kept channels
first, (C, N, H, W): for few images, their rows are the longest runs of memory. Weights are read at every call.
"""
