"""What a step sends with 1 to 8 processes, counted; and a model of its time with up to 1,024, from stated links.

    python -m ci.scaling                    the table of docs/howto/processes.md, for ResNet-20 on 32×32 images

The model adds, for each exchange of a step, log₂ P times the latency and the bytes over the bandwidth, to the measured
processor time of a process's share of the batch. An exchange here is the loss, the forward and the backward of each
batch norm, the two halves of the gradients' sum, and the agreement to go on. The batch has 32 images for each process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from math import log2, prod
from pathlib import Path

import numpy as np

from xpcnn import distributed, models, nn
from xpcnn.distributed.tree_sum import nodes
from xpcnn.shards import cut
from xpcnn.training.sharded_gradients import Sharding, sharded_gradients

LINKS = {"10 Gbit/s Ethernet": (25e-6, 1.25e9), "100 Gbit/s InfiniBand": (2e-6, 12.5e9)}  # seconds, bytes a second
EACH = 32  # images for each process
STEPS = 8


def network() -> nn.Layer:
    return models.resnet20((32, 32, 3), 10, rng=0)


def exchanges(model: nn.Layer, processes: int, shards: int) -> list[float]:
    """The bytes that a process sends in each exchange of a step, the most of any."""
    own = max(stop - start for start, stop in cut(shards, processes))
    channels = [layer.num_features for _, layer in model.named_layers() if isinstance(layer, nn.BatchNorm2d)]
    sums = [8 * own * (processes - 1) * k for c in channels for k in (1 + 2 * c, 2 * c)]
    numbers = sum(prod(p.shape) for p in model.parameters().values())
    parts = max(len(nodes(start, stop, shards)) for start, stop in cut(shards, processes))
    share = 4 * numbers * (processes - 1) / processes
    return [8 * own * (processes - 1) * 3, *sums, share * parts, share, 8 * (processes - 1)]


def counted() -> None:
    """In each process: do some steps, and print what rank 0 has sent in one, and its time."""
    group, model, rng = distributed.init(timeout=120), network(), np.random.default_rng(0)
    sharding = Sharding(group, max(8, group.size))
    x, y = rng.normal(size=(64, 32, 32, 3)).astype("float32"), rng.integers(0, 10, 64)
    batch = sharding.of(x, y)
    sharded_gradients(model, nn.CrossEntropyLoss(), batch, sharding)
    before, times = group.sent, []
    for _ in range(STEPS):
        begun, worked = time.perf_counter(), time.process_time()
        sharded_gradients(model, nn.CrossEntropyLoss(), batch, sharding)
        group.most(0)
        times.append((time.perf_counter() - begun, time.process_time() - worked))
    if group.rank == 0:
        sent = [(after - earlier) // STEPS for after, earlier in zip(group.sent, before, strict=True)]
        print(json.dumps([*sent, *map(min, zip(*times, strict=True))]))
    group.end()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    if options.parse_args().counted:
        return counted()
    model, alone = network(), 0.0
    print(
        "A batch of 64 images, 8 shards, as counted:\n\n"
        "| processes | messages | KiB | seconds a step |\n|---|---|---|---|"
    )
    for processes in (1, 2, 4, 8):
        start = [sys.executable, "-m", "ci.scaling", "--counted"]
        if processes > 1:
            mpiexec = str(Path(sys.executable).with_name("mpiexec"))
            start = [mpiexec, "-n", str(processes), sys.executable, "-m", "mpi4py", *start[1:]]
        done = subprocess.run(start, capture_output=True, text=True, check=True)
        messages, size, seconds, worked = json.loads(done.stdout)
        alone = alone or worked
        expected = sum(exchanges(model, processes, 8)) if processes > 1 else 0
        assert abs(size - expected) <= 16 * processes, (size, expected)
        print(f"| {processes} | {messages} | {size / 1024:.0f} | {seconds:.3f} |", flush=True)
    work = alone / 64 * EACH
    print(f"\nThe model, {EACH} images a process, {work * 1e3:.0f} ms of work:\n")
    print("| processes | MiB sent | " + " | ".join(f"{link}: images a second" for link in LINKS) + " |")
    print("|---|---" + "|---" * len(LINKS) + "|")
    for processes in (1, 2, 4, 8, 16, 64, 256, 1024):
        sizes = exchanges(model, processes, max(8, processes)) if processes > 1 else []
        cells = []
        for latency, bandwidth in LINKS.values():
            seconds = work + sum(log2(processes) * latency + size / bandwidth for size in sizes)
            speed = processes * EACH / seconds
            cells.append(f"{speed:,.0f} ({work / seconds:.0%})")
        print(f"| {processes:,} | {sum(sizes) / 2**20:.1f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
