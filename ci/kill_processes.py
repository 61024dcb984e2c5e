"""Kill random ranks of a training at random moments; each time another number of processes goes on.

    python -m ci.kill_processes --kills 100

The training of `tests/distributed/program.py`, with batch norm, dropout and augmentation, is killed again and again,
and resumed on 1 to 8 processes, until it has ended. Its model must be that of a run that nobody stopped, byte for byte.
Then the next one begins. One process is killed by SIGKILL, or stopped so that it hangs, and all must end, with one line
that names it.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

HANGS = 5  # seconds after which a process is said to hang
LAUNCH = "import sys; from xpcnn.distributed.launch import launch; sys.exit(launch(sys.argv[2:], int(sys.argv[1])))"


def train(folder: Path, processes: int, epochs: int) -> subprocess.Popen[str]:
    resume = "true" if (folder / "checkpoint.safetensors").exists() else "false"
    words = ["-m", "tests.distributed.program", str(folder)]
    words += [f"epochs={epochs}", f"resume={resume}", f"timeout={HANGS}", "patience=null"]
    started = [sys.executable, *words] if processes == 1 else [sys.executable, "-c", LAUNCH, str(processes), *words]
    settings = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings)


def ranks(folder: Path) -> dict[int, int]:
    """The process of each rank of the run in that folder; it may have one process and no rank."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words, settings = ((place / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            continue
        if os.fsencode(folder) in words and b"mpi4py" in words and b"-c" not in words:
            rank = next((each for each in settings if each.startswith(b"PMI_RANK=")), None)
            if rank is not None:
                found[int(rank.partition(b"=")[2])] = int(place.name)
    return found


def end(started: subprocess.Popen[str], folder: Path, rank: int) -> str:
    """Wait for the end of a run of which that rank was killed or stopped; return what it said."""
    try:
        return started.communicate(timeout=100)[1]
    except subprocess.TimeoutExpired:
        if set(left := ranks(folder)) != {rank}:
            sys.exit(f"all wait for rank {rank}: {left}")
        os.kill(left[rank], signal.SIGKILL)  # it was stopped when all had ended their training, and nobody waits for it
        return started.communicate(timeout=100)[1]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--epochs", type=int, default=60, help="of each training")
    options.add_argument(
        "--wait", type=float, default=6.0, help="seconds after which a process is killed at the latest"
    )
    wanted = options.parse_args()
    draw, kills, runs, slowest, hung = random.Random(wanted.seed), 0, 0, 0.0, 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        train(whole, 1, wanted.epochs).communicate()
        expected = (whole / "model.safetensors").read_bytes()
        while kills < wanted.kills:
            folder, ended = Path(place) / f"run{runs}", False
            while not ended:
                processes = draw.randint(1, 8)
                started = train(folder, processes, wanted.epochs)
                moment = time.monotonic() + draw.uniform(0.5, wanted.wait)
                while time.monotonic() < moment and started.poll() is None:
                    time.sleep(0.05)
                each = ranks(folder) if processes > 1 else {0: started.pid}
                if kills < wanted.kills and each and started.poll() is None:
                    rank = draw.choice(sorted(each))
                    how = signal.SIGSTOP if processes > 1 and draw.random() < 0.1 else signal.SIGKILL
                    begun = time.monotonic()
                    with suppress(ProcessLookupError):
                        os.kill(each[rank], how)
                        kills, hung = kills + 1, hung + (how == signal.SIGSTOP)
                        print(kills, end=" ", flush=True)
                    errors = end(started, folder, rank)
                    slowest = max(slowest, time.monotonic() - begun)
                    lines = [line for line in errors.splitlines() if line.startswith("xpcnn.errors.")]
                    if processes > 1 and started.returncode and (len(lines) != 1 or f"rank {rank} on" not in lines[0]):
                        print(f"kill {kills}, {how.name} of rank {rank} of {processes}, said: {lines or errors}")
                    if left := ranks(folder):
                        sys.exit(f"rank {rank} of {processes}, {how.name}: some live on: {left}")
                else:
                    _, errors = started.communicate(timeout=300)
                    if started.returncode:
                        sys.exit(f"{processes} processes ended with {started.returncode}:\n{errors}")
                ended = started.returncode == 0
            if (folder / "model.safetensors").read_bytes() != expected:
                sys.exit(f"after {kills} kills: the model differs")
            runs += 1
            print(f"{kills} kills, of which {hung} hang; {runs} runs ended with the same bytes", flush=True)
    print(f"after a kill, all ended within {slowest:.1f} s")


if __name__ == "__main__":
    main()
