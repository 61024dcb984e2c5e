"""A trained network as a service over HTTP."""

from .application import Service
from .server import serve

__all__ = ["Service", "serve"]
