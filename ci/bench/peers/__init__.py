"""The libraries that are compared: one module each, which imports only its library."""

from __future__ import annotations

from importlib import import_module

from .base import Peer

PEERS = {  # name in tables → (the library, also the module's name here; class)
    "xpcnn": ("xpcnn", "Xpcnn"),
    "xpcnn numba": ("xpcnn", "XpcnnCompiled"),
    "torch": ("torch", "Torch"),
    "torch channels_last": ("torch", "TorchChannelsLast"),
    "torch compiled": ("torch", "TorchCompiled"),
}
EAGER = ("torch", "torch channels_last")
BAR = (*EAGER, "torch compiled")  # the fastest of them is what xpcnn is held against
CPU_PEERS = ("xpcnn", *EAGER)
GPU_PEERS = ("xpcnn", *BAR)


def load(name: str) -> type[Peer]:
    module, kind = PEERS[name]
    peer: type[Peer] = getattr(import_module(f"{__name__}.{module}"), kind)
    return peer


def requirement(name: str) -> str:
    return PEERS[name][0]
