"""Fixtures of the tests of data sets: folders of their own, and a mirror on this machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import pytest

NOWHERE = "http://127.0.0.1:9/"  # the discard port: refuses at once


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """No test sees this machine's data sets, or leaves any."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("XPCNN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def pets(tmp_path):
    """A folder of pictures: ten dogs of levels 100 … 109, five cats of 200 … 204."""
    from .pictures import put  # needs Pillow

    for i in range(10):
        put(tmp_path / "pets", f"dog/{i}", 100 + i)
    for i in range(5):
        put(tmp_path / "pets", f"cat/{i}", 200 + i)
    return tmp_path / "pets"


@pytest.fixture
def write_text(tmp_path):
    """A function that writes a text to a file, and returns its path."""

    def to_file(text: str, name="a.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return to_file


@dataclass
class Mirror:
    """A server on this machine: its address, what it gives, and what it was asked for."""

    address: str
    folder: Path
    asked: list[str] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)  # by path: the length that it says, whatever it sends
    endless: dict[str, Callable[[Any], None]] = field(default_factory=dict)  # by path: writes the answer, without end


@pytest.fixture
def mirror(tmp_path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            running.asked.append(self.path)
            if self.path in running.endless:
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):  # the other side has closed
                    running.endless[self.path](self.wfile)
                return
            path = folder / self.path.strip("/")
            if not path.is_file():
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(running.promised.get(self.path, len(data))))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Mirror(f"http://127.0.0.1:{server.server_port}/", folder)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        server.shutdown()
        thread.join()
