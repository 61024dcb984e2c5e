"""The libraries that are compared: one module each, which imports its library and nothing of another."""

from __future__ import annotations

from importlib import import_module

from .base import Peer

PEERS = {  # name in tables → (module, class, what must be importable)
    "xpcnn": ("xpcnn", "Xpcnn", "xpcnn"),
    "torch": ("torch", "Torch", "torch"),
    "torch channels_last": ("torch", "TorchChannelsLast", "torch"),
    "jax": ("jax", "Jax", "jax"),
    "dezero": ("dezero", "DeZero", "dezero"),
    "numpy-ml": ("numpy_ml", "NumpyMl", "numpy_ml"),
    "tinygrad": ("tinygrad", "Tinygrad", "tinygrad"),
}
BAR = ("torch", "torch channels_last")  # the faster of the two is what xpcnn is held against


def load(name: str) -> type[Peer]:
    module, kind, _ = PEERS[name]
    peer: type[Peer] = getattr(import_module(f"{__name__}.{module}"), kind)
    return peer


def requirement(name: str) -> str:
    return PEERS[name][2]
