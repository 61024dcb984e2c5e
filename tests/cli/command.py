"""The command line as a user meets it: in a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from . import ready

FAST = ("--model", "mlp", "--epochs", 2, "--lr", 0.02)  # the digits, in about a second


def xpcnn_command(*words: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The environment may be what is read when it is needed, such as XPCNN_BACKEND, not what is read at the start."""
    command = [sys.executable, "-m", "xpcnn", *map(str, words)]
    whole = os.environ | environment
    if sys.platform != "linux":  # elsewhere, libraries that are loaded may not survive a fork
        return subprocess.run(command, cwd=cwd, env=whole, capture_output=True, text=True, timeout=ready.LIMIT)
    with NamedTemporaryFile("r") as out, NamedTemporaryFile("r") as err:
        asked = {"words": command[3:], "folder": str(cwd), "environment": whole, "out": out.name, "err": err.name}
        server = _server()
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        return subprocess.CompletedProcess(command, int(server.stdout.readline()), out.read(), err.read())


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, ready.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)  # the end of its input is its end
    return server
