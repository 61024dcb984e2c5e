"""Runs a service until a signal asks it to stop, and answers what was accepted before."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from ..extras import need
from .application import Service

QUIET_SECONDS = 0.5  # for so long nothing must have come before connections that are open are closed
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def serve(service: Service, host: str, port: int, begun: Callable[[int], object] = lambda port: None) -> None:
    """Answer requests until SIGINT, SIGTERM or SIGHUP; a second one of them ends it without waiting for answers.

    After a signal no new connection is accepted. Requests on open connections are answered, with the word that the
    connection closes; when none has come for half a second, the connections are closed.

    Parameters
        port : 0 for any that is free
        begun : called with the port once connections are accepted
    Raises
        OSError : the address is taken, or none of this machine's
        MissingExtraError : uvicorn is not installed

    >>> from xpcnn import load
    >>> serve(Service(load("run")), "127.0.0.1", 8000)  # doctest: +SKIP
    """
    uvicorn = need("uvicorn", "serve", "to answer requests")
    config = uvicorn.Config(
        service, lifespan="on", http="h11", ws="none", loop="asyncio", log_level="error", access_log=False,
        server_header=False, timeout_keep_alive=60, proxy_headers=False,
    )  # fmt: skip
    with _listening(host, port) as listening:
        server = _stopping(uvicorn.Server, service)(config)
        with _signals(server):
            begun(listening.getsockname()[1])
            asyncio.run(server.serve(sockets=[listening]))


def _listening(host: str, port: int) -> socket.socket:
    """A socket that is bound to the address. With its protocol stated, asyncio sends responses without delay."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        remedy = "; --port 0 takes one that is free" if error.errno == errno.EADDRINUSE else ""
        raise OSError(error.errno, f"{error.strerror or error}{remedy}", f"{host}:{port}") from error
    return listening


def _stopping(kind: Any, service: Service) -> Any:
    """Uvicorn's server, which waits for what is on its way before it closes connections."""

    class Server(kind):  # type: ignore[misc]
        capture_signals = staticmethod(contextlib.nullcontext)  # `_signals` does

        async def shutdown(self, sockets: Any = None) -> None:
            guard = service.guard
            guard.stopping, guard.last = True, monotonic()
            for each in self.servers:
                each.close()
            while not self.force_exit and self.server_state.connections and not quiet():
                await asyncio.sleep(0.02)
            await super().shutdown(sockets)

    def quiet() -> bool:
        return not service.guard.active and monotonic() - service.guard.last > QUIET_SECONDS

    return Server


@contextlib.contextmanager
def _signals(server: Any) -> Iterator[None]:
    """Let the signals that end a program stop the server; one that is ignored stays so."""

    def stop(number: int, frame: Any) -> None:
        server.force_exit, server.should_exit = server.should_exit, True

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
