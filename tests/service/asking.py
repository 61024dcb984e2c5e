"""Requests to an ASGI application without a server."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def asked(app, method, path, body=b"", *, host="localhost:8000", waits=False, **headers):
    """The response to one request; the body is bytes, or a list of its parts. With `waits` its end never comes."""
    parts = [body] if isinstance(body, bytes) else list(body)
    given = {"host": host, **{name.replace("_", "-"): str(value) for name, value in headers.items()}}
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "server": ("localhost", 8000), "client": ("127.0.0.1", 50000),
    }  # fmt: skip
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages[-1]["more_body"] = waits
    sent = []

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Response(sent[0]["status"], names, b"".join(each.get("body", b"") for each in sent[1:]))


def ask(app, *request, **headers):
    return asyncio.run(asked(app, *request, **headers))


def together(app, requests):
    """The responses to several requests that come at the same time."""

    async def all_of_them():
        return await asyncio.gather(*(asked(app, *request, **headers) for request, headers in requests))

    return asyncio.run(all_of_them())
