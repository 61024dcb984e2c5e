"""A process that has imported the library, and for each line on its input becomes `xpcnn` in a copy of itself.

Without this, most of the time of the tests of the command line is that of importing NumPy and Matplotlib anew.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import warnings
from contextlib import suppress
from importlib import import_module

LIMIT = 300  # seconds that a command may take


def serve() -> None:
    from xpcnn.cli import COMMANDS
    from xpcnn.ops import dispatch

    parts = ["data", "io", "models", "plot", "training", *(f"cli.{command}" for command in COMMANDS)]
    libraries = ["matplotlib.backends.backend_agg", "matplotlib.figure", "PIL.Image", "threadpoolctl"]
    for name in [*libraries, *(f"xpcnn.{part}" for part in parts)]:
        with suppress(ImportError):  # some libraries are optional
            import_module(name)
    dispatch.names()  # imports the implementations
    gc.freeze()
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the threads of NumPy's BLAS, which knows of forks
            child = os.fork()
        if not child:
            become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(words: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    from xpcnn import __main__

    signal.alarm(LIMIT)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR), number)
    sys.path[0] = os.getcwd()
    sys.argv = [__main__.__file__, *words]
    try:
        __main__.main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code)  # at once: to free all that was imported takes longer than most commands


if __name__ == "__main__":
    serve()
