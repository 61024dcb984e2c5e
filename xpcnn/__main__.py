"""`python -m xpcnn` is the same program as `xpcnn`."""

import os
import signal
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C during its import prints one line, not a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    from .cli import main as run

    run()


def _interrupted(number: int, frame: FrameType | None) -> None:
    os.write(2, b"xpcnn: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
