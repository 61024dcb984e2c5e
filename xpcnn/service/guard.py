"""What stands before the routes of a service: whom it answers, how much a request may send, and how it stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, TypeAlias

from .errors import Refused, busy
from .metrics import Metrics

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]

BODY = "xpcnn.body"  # where the scope has the `_Body`
READ_SECONDS = 30.0  # in which a request must have been sent
_REST = 2**22  # bytes that are still read of a body that is refused, so that the client reads why
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """An ASGI application around another one.

    Parameters
        most_bytes : of a request's body
        most_requests : with a body, at the same time
        local : answer only requests that name this machine as localhost, so that no page elsewhere can ask
    """

    def __init__(self, inner: App, metrics: Metrics, *, most_bytes: int, most_requests: int, local: bool) -> None:
        self.inner, self.metrics = inner, metrics
        self.most_bytes, self.most_requests, self.local = most_bytes, most_requests, local
        self.active, self.posted, self.last = 0, 0, monotonic()
        self.stopping = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        self.active += 1
        posts = scope["method"] not in ("GET", "HEAD")
        self.posted += posts
        body = _Body(receive, self.most_bytes)
        response = _Response(self, send)
        try:
            self._check(scope, body)
            await self.inner({**scope, BODY: body}, body, response)
        except Refused as refused:
            await body.drop()
            await response.refuse(refused)
        finally:
            self.active -= 1
            self.posted -= posts
            self.last = monotonic()

    def _check(self, scope: Any, body: _Body) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "").lower()
        if self.local and (host if host.endswith("]") else host.rpartition(":")[0] or host) not in _LOCAL:
            raise Refused(421, "expected a request to localhost, where this service listens")
        length = headers.get(b"content-length", "0")
        if length.isdecimal() and int(length) > self.most_bytes:
            body.rest = int(length)
            raise body.too_large()
        if self.posted > self.most_requests:
            raise busy()


class _Body:
    """A request's body as the application receives it, which ends with an error where it is too large, or too slow."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self.most, self.read = receive, most, 0
        self.rest, self.ended = 0, False
        self._until = monotonic() + READ_SECONDS

    async def __call__(self) -> Message:
        if self.ended:
            return await self._receive()
        message = await self._next()
        self.read += len(message.get("body", b""))
        if self.read > self.most:
            raise self.too_large()
        return message

    async def _next(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._until - monotonic()))
        except TimeoutError:
            self.ended = True
            raise Refused(408, f"expected a request within {READ_SECONDS:g} seconds", {"Connection": "close"}) from None
        self.ended = not message.get("more_body", False)
        return message

    async def drop(self) -> None:
        """Read the rest of a refused body, if it is short: a client that is still sending reads no response."""
        dropped = self.rest if self.rest > self.most + _REST else 0
        while not self.ended and dropped <= _REST:
            try:
                dropped += len((await self._next()).get("body", b""))
            except Refused:
                return

    def too_large(self) -> Refused:
        return Refused(413, f"expected at most {self.most} bytes in a request", {"Connection": "close"})


class _Response:
    """The response as the application sends it; its status is counted, and the last one closes its connection."""

    def __init__(self, guard: Guard, send: Send) -> None:
        self._guard, self._send, self.begun = guard, send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._guard.metrics.count(message["status"])
            headers = [*message.get("headers", []), (b"x-content-type-options", b"nosniff")]
            if self._guard.stopping:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        if self.begun:
            raise refused
        body = json.dumps({"error": refused.why}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | refused.headers
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self({"type": "http.response.start", "status": refused.status, "headers": pairs})
        await self({"type": "http.response.body", "body": body})
