"""`xpcnn serve`."""

from __future__ import annotations

import argparse

from ..errors import OptionError
from .files import add_model_argument, add_pixel_arguments, read_model

LOCAL = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "--host", default=LOCAL[0], help="address to listen at (default 127.0.0.1: this machine alone; 0.0.0.0 is all)"
    )
    parser.add_argument("--port", type=int, default=8000, help="its port (default 8000; 0 for any that is free)")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="images at once, at most (default 16)")
    parser.add_argument(
        "--wait-ms", type=float, default=0.0, metavar="T",
        help="milliseconds that a first image waits for others (default 0: only while others are computed)",
    )  # fmt: skip
    parser.add_argument(
        "--queue", type=int, default=128, metavar="N",
        help="images that wait, and requests at the same time (default 128); more are answered with status 503",
    )  # fmt: skip
    parser.add_argument("--max-mib", type=float, default=16.0, metavar="M", help="MiB of a request (default 16)")
    add_pixel_arguments(parser)


def run(options: argparse.Namespace) -> None:
    from ..service import Service, serve

    if not 0 <= options.port <= 65535:
        raise OptionError("--port", "0 to 65535", str(options.port))
    if not 0 < options.max_mib <= 4096:
        raise OptionError("--max-mib", "more than 0, and at most 4096", str(options.max_mib))
    local = options.host in LOCAL
    service = Service(
        read_model(options.model),
        batch_size=options.batch_size,
        wait_ms=options.wait_ms,
        queue=options.queue,
        most_bytes=int(options.max_mib * 2**20),
        scale=options.scale,
        invert=options.invert,
        local=local,
    )

    def tell(port: int) -> None:
        host = f"[{options.host}]" if ":" in options.host else options.host
        print(f"http://{host}:{port}/ answers; Ctrl-C stops it", flush=True)

    serve(service, options.host, options.port, tell)
    print(f"stopped, after {sum(service.metrics.by_status.values())} requests", flush=True)
