"""Load on `xpcnn serve` over loopback: requests a second, latencies, and whether any is lost when it is stopped.

    python -m ci.load_test [--model lenet5] [--clients 32] [--seconds 10] [words for xpcnn serve]

Each client keeps one connection and sends the next picture as soon as the last one is answered. At the end the service
gets SIGTERM under full load. A request is lost if it was sent on a connection that had been accepted and got no answer.
The clients are one Python process of their own, on the same machine, and take their share of its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from xpcnn.io import save_model
from xpcnn.models import MODELS
from xpcnn.png import data_url


@dataclass
class Seen:
    """What the clients have seen."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    refused: int = 0  # connections after the service had stopped listening
    processor: float = 0.0  # seconds of the service's processor time until it was stopped


async def client(port: int, body: bytes, seen: Seen, stopped: asyncio.Event) -> None:
    """Send requests until the service accepts no more connections."""
    request = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            seen.refused += 1
            if stopped.is_set():
                return
            continue
        try:
            while True:
                begun = perf_counter()
                writer.write(request)
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                    await reader.readexactly(int(length[1]) if length else 0)
                except (OSError, EOFError):
                    seen.lost += 1
                    break
                seen.seconds.append(perf_counter() - begun)
                status = int(head[9:12])
                seen.statuses[status] = seen.statuses.get(status, 0) + 1
                if b"connection: close" in head.lower():
                    break
        finally:
            writer.close()


async def load(
    port: int, body: bytes, clients: int, seconds: float, stop: asyncio.Future[None], pid: int
) -> tuple[Seen, Seen]:
    """What the clients see before the service is stopped, and after."""
    before, stopped = Seen(), asyncio.Event()
    seen = Seen()
    tasks = [asyncio.create_task(client(port, body, seen, stopped)) for _ in range(clients)]
    await asyncio.sleep(seconds)
    before.seconds, before.statuses = list(seen.seconds), dict(seen.statuses)
    before.processor = processor_seconds(pid)
    stop.set_result(None)
    stopped.set()
    await asyncio.gather(*tasks)
    return before, seen


def processor_seconds(pid: int) -> float:
    """The processor time that a process has used, where the system has /proc; else 0."""
    stat = Path(f"/proc/{pid}/stat")
    user, system = stat.read_text().rpartition(")")[2].split()[11:13] if stat.exists() else ("0", "0")
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measured(model: Path, body: bytes, clients: int, seconds: float, words: list[str]) -> tuple[Seen, Seen, str, int]:
    """What is seen of a service of that model; the last line that it prints, and its exit status."""
    command = [sys.executable, "-m", "xpcnn", "serve", str(model), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            port = int(re.search(r":(\d+)/", service.stdout.readline())[1])  # type: ignore[index]

            begun = processor_seconds(service.pid)

            async def run() -> tuple[Seen, Seen]:
                stop = asyncio.get_running_loop().create_future()
                stop.add_done_callback(lambda done: service.send_signal(signal.SIGTERM))
                return await load(port, body, clients, seconds, stop, service.pid)

            before, seen = asyncio.run(run())
            before.processor -= begun
            said = service.stdout.read()
            return before, seen, said.strip(), service.wait(60)
        finally:
            service.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="lenet5", choices=MODELS)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    options, words = parser.parse_known_args()
    shape = (options.side, options.side, 1 if options.model == "lenet5" else 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_model(MODELS[options.model](shape, 10, rng=0), path, input_shape=shape, classes="0123456789")
        found = measured(
            path, base64.b64decode(data_url(pixels).partition(",")[2]), options.clients, options.seconds, words
        )
    before, seen, said, status = found
    times = np.sort(before.seconds) * 1000
    print(
        f"{options.model} {shape}, {options.clients} clients, {options.seconds:g} s, {os.cpu_count()} cores,", end=" "
    )
    print(f"load {os.getloadavg()[0]:.1f}; {' '.join(words)}")
    print(f"{len(times) / options.seconds:.0f} requests/s; ms: median {np.median(times):.1f}", end=", ")
    print(f"99th percentile {np.percentile(times, 99):.1f}, largest {times[-1]:.1f}; statuses {before.statuses}")
    print(f"{before.processor / max(1, len(times)) * 1000:.2f} ms of the service's processor time a request")
    print(f"SIGTERM: {len(seen.seconds) - len(times)} answered after it, {seen.lost} lost; {said}; status {status}")


if __name__ == "__main__":
    main()
