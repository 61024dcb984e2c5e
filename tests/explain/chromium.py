"""A page as Chromium shows it, served from this machine."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look at the page with")


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.path == "/page"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page if found else b"")

    def log_message(self, *args):
        pass


def in_chromium(source, folder):
    """The page as Chromium has it in the end, and the paths that were asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.page, server.asked = source.encode(), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
                f"--user-data-dir={folder}", "--dump-dom", f"http://127.0.0.1:{server.server_port}/page",
            ],
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
        server.shutdown()
    return done.stdout.decode(), server.asked
