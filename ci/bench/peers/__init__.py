"""The libraries that are compared: one module each, which imports its library and nothing of another."""

from __future__ import annotations

from importlib import import_module

from .base import Peer

PEERS = {  # name in tables → (module, class, what must be importable)
    "xpcnn": ("xpcnn", "Xpcnn", "xpcnn"),
    "torch": ("torch", "Torch", "torch"),
    "torch channels_last": ("torch", "TorchChannelsLast", "torch"),
    "torch compiled": ("torch", "TorchCompiled", "torch"),
    "jax": ("jax", "Jax", "jax"),
    "dezero": ("dezero", "DeZero", "dezero"),
    "tinygrad": ("tinygrad", "Tinygrad", "tinygrad"),
}
EAGER = ("torch", "torch channels_last")
BAR = (*EAGER, "torch compiled")  # the fastest of them is what xpcnn is held against
CPU_PEERS = tuple(name for name in PEERS if name != "torch compiled")
GPU_PEERS = ("xpcnn", *BAR)


def load(name: str) -> type[Peer]:
    module, kind, _ = PEERS[name]
    peer: type[Peer] = getattr(import_module(f"{__name__}.{module}"), kind)
    return peer


def requirement(name: str) -> str:
    return PEERS[name][2]
