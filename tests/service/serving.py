"""`xpcnn serve` as a user runs it: in a process of its own, on a port that is free."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def serving(model, *words, program=None):
    """The running process and its port; `program` is Python code to run in the place of the command."""
    begin = ["-m", "xpcnn"] if program is None else ["-c", program]
    command = [sys.executable, *begin, "serve", str(model), "--port", "0", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/ answers; Ctrl-C stops it\n", line)
            assert found, line + process.stderr.read()
            yield process, int(found[1])
        finally:
            process.kill()


def stopped(process, number=signal.SIGTERM):
    """Send the signal; the last line, what is on standard error, and the exit status."""
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    return said, errors, process.returncode
