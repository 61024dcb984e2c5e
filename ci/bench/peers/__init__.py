"""The libraries that are compared: one module each, which imports only its library."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .base import Peer

PEERS = {  # name in tables → (the module here; class; the libraries that it needs)
    "xpcnn": ("xpcnn", "Xpcnn", ("xpcnn",)),
    "xpcnn live": ("xpcnn", "XpcnnLive", ("xpcnn",)),
    "xpcnn layers": ("xpcnn", "XpcnnLayers", ("xpcnn",)),
    "xpcnn numba": ("xpcnn", "XpcnnCompiled", ("xpcnn", "numba")),
    "torch": ("torch", "Torch", ("torch",)),
    "torch channels_last": ("torch", "TorchChannelsLast", ("torch",)),
    "torch frozen": ("torch", "TorchFrozen", ("torch",)),
    "torch compiled": ("torch", "TorchCompiled", ("torch",)),
    "onnxruntime": ("onnxruntime", "OnnxRuntime", ("onnxruntime", "onnx")),
    "jax": ("jax", "Jax", ("jax",)),
    "tinygrad": ("tinygrad", "Tinygrad", ("tinygrad",)),
    "dezero": ("dezero", "DeZero", ("dezero",)),
}
OURS = ("xpcnn", "xpcnn layers", "xpcnn numba")
EAGER = ("torch", "torch channels_last")
BAR = (*EAGER, "torch frozen", "torch compiled")  # the fastest of them is what xpcnn is held against
MUST_WORK = (*OURS, *EAGER)  # where they fail, the run goes on, but its status is 1
OTHERS = ("jax", "tinygrad", "dezero")  # slow; measured where they are asked for
ON_DEVICE = ("xpcnn", *EAGER, "torch compiled")
USUAL = {  # on a processor, by what is measured
    "training": (*OURS, *EAGER),
    "inference": (*OURS, "xpcnn live", *BAR, "onnxruntime"),
    "memory": ("xpcnn", "xpcnn numba", *EAGER),
    "convolution": ("xpcnn", "xpcnn numba", *EAGER),
    "profile": ("xpcnn", "xpcnn numba"),
}


def load(name: str) -> type[Peer]:
    module, kind, _ = PEERS[name]
    peer: type[Peer] = getattr(import_module(f"{__name__}.{module}"), kind)
    return peer


def lacking(name: str) -> list[str]:
    """The libraries that the peer needs and that are not installed."""
    return [library for library in PEERS[name][2] if find_spec(library) is None]
