"""Memory and speed of a folder of pictures that is read from its disk: `python -m ci.larger_than_memory`.

Makes pictures of 224×224, reads them in each way, and prints the highest resident memory of each phase of a training
(Linux counts it) and the images a second that a small network trains on. `--most MIB` fails above that.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from xpcnn import data, models, nn, optim, plot, training
from xpcnn.data.splits import Parts
from xpcnn.table import columns

SIDE, CLASSES, PER_SHARD = 224, 10, 1000
TIMED = 4000  # images, of the comparison of speeds


def make(folder: Path, count: int) -> None:
    """Pictures of smooth colours with a bright square, in a folder for each class and in shards."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for c in range(CLASSES):
        (folder / "pictures" / str(c)).mkdir(parents=True)
    (folder / "shards").mkdir()
    for begin in range(0, count, PER_SHARD):
        with tarfile.open(folder / "shards" / f"shard-{begin // PER_SHARD:04}.tar", "w") as shard:
            for i in range(begin, min(begin + PER_SHARD, count)):
                small = Image.fromarray(rng.integers(0, 200, (7, 7, 3), dtype=np.uint8))
                pixels = np.array(small.resize((SIDE, SIDE)))
                at = 20 * (i % CLASSES)
                pixels[at : at + 20] += 55
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "JPEG", quality=85)
                contents = file.getvalue()
                (folder / "pictures" / str(i % CLASSES) / f"{i:06}.jpg").write_bytes(contents)
                for ending, each in (("jpg", contents), ("cls", str(i % CLASSES).encode())):
                    member = tarfile.TarInfo(f"{i:06}.{ending}")
                    member.size = len(each)
                    shard.addfile(member, io.BytesIO(each))


def resident() -> float:
    """The highest resident memory since the last `forget`, in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def network(shape: tuple[int, ...], rng: int = 0) -> nn.Layer:
    """Averages of 32×32 pixels, and one linear layer."""
    cells = (shape[0] // 32) * (shape[1] // 32) * shape[2]
    return nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(cells, CLASSES, rng=rng))


def phases(folder: Path, source: str, batch_size: int) -> dict[str, float]:
    """A whole training from that source; the highest memory of each phase."""
    found: dict[str, float] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")
        begun = time.perf_counter()
        yield
        found[name] = resident()
        print(f"{source:<6} {name:<28} {found[name]:6.0f} MiB {time.perf_counter() - begun:7.1f} s", flush=True)

    with phase("nothing yet"):
        pass
    place, options = folder / ("shards" if source == "tar" else "pictures"), {"cache": folder / "cache"}
    with phase("found, decoded once"):
        dataset = data.load(place, source="disk" if source == "tar" else source, size=SIDE, **options)
    with phase("found again"):
        dataset = data.load(place, source="disk" if source == "tar" else source, size=SIDE, **options)
    with phase("division, mean, deviation"):
        train, validation = dataset.train.split(0.1)
        mean, deviation = train.statistics()
    model = models.normalized(network(dataset.input_shape), mean, deviation)
    run = folder / f"run-{source}"
    trainer = training.Trainer(
        model, optim.Adam(model.parameters()), folder=run, classes=dataset.classes, verbose=False
    )
    loader = data.Loader(train, batch_size, shuffle=True)
    with phase("training and validation"):
        trainer.fit(loader, validation, epochs=1)
    with phase("test"):
        training.evaluate(model, dataset.test)
    with phase("picture of the most wrong"):
        plot.save(plot.most_wrong(model, dataset.test, classes=dataset.classes), folder / "wrong.png")
    if source == "cache":  # it does not depend on the source
        with phase("prediction of all pictures"):
            predict(run, folder / "pictures", folder / "answers.csv")
    return found


def predict(run: Path, pictures: Path, out: Path) -> None:
    """`xpcnn predict`, in this process."""
    from xpcnn.cli import main

    with suppress(SystemExit):
        main(["predict", str(run), str(pictures), "--out", str(out)])


def part_of(parts: Parts, n: int) -> data.Split:
    everything = parts.everything
    return everything.take(min(n, len(everything)))


def speeds(folder: Path, batch_size: int) -> dict[str, float]:
    """Images a second that a small network trains on, from each source; the same images, but for the shards."""
    options = {"cache": folder / "cache", "size": SIDE}
    cached = part_of(data.load_parts(folder / "pictures", source="cache", **options), TIMED)
    splits = {
        "array": data.Split(cached.images[np.arange(len(cached))], cached.labels),
        "cache": cached,
        "disk": part_of(data.load_parts(folder / "pictures", source="disk", **options), TIMED),
        "tar": part_of(data.load_parts(folder / "shards", **options), TIMED),
    }
    found: dict[str, list[float]] = {name: [] for name in splits}
    for _ in range(3):
        for name, split in splits.items():
            model = network(split.input_shape)
            trainer = training.Trainer(model, optim.Adam(model.parameters()), verbose=False)
            begun = time.perf_counter()
            trainer.fit(data.Loader(split, batch_size, shuffle=True), epochs=1)
            found[name].append(len(split) / (time.perf_counter() - begun))
    return {name: float(np.median(each)) for name, each in found.items()}


def main(words: list[str] | None = None) -> int:
    """Print the figures; return 1 if a phase takes more than `--most`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--most", type=float, default=1024, help="MiB of resident memory")
    parser.add_argument("--above", action="store_true", help="--most counts from what the program has at its beginning")
    parser.add_argument("--folder", type=Path, help="for the pictures (default: a temporary one)")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.part:
        name, source = options.part
        part = phases(options.folder, source, options.batch_size) if name == "phases" else None
        done = speeds(options.folder, options.batch_size) if part is None else part
        (options.folder / f"{name}-{source}.json").write_text(json.dumps(done))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        begun = time.perf_counter()
        make(folder, options.pictures)
        print(f"{options.pictures} pictures made in {time.perf_counter() - begun:.0f} s", flush=True)
        results = {each: _part(folder, "phases", each, options.batch_size) for each in ("cache", "disk", "tar")}
        rows = [
            (name, *(f"{each[name]:.0f}" if name in each else "" for each in results.values()))
            for name in results["cache"]
        ]
        print(columns(("highest resident memory, MiB", *results), rows))
        rates = _part(folder, "speeds", "all", options.batch_size)
    print(columns(("source", "images a second"), [(name, f"{rate:.0f}") for name, rate in rates.items()]))
    least = [each["nothing yet"] if options.above else 0 for each in results.values()]
    highest = max(max(each.values()) - base for each, base in zip(results.values(), least, strict=True))
    print(f"highest: {highest:.0f} MiB, of {options.most:.0f}")
    return int(highest > options.most)


def _part(folder: Path, name: str, source: str, batch_size: int) -> dict[str, float]:
    """In a process of its own, so that no phase finds the memory of another."""
    words = ["--folder", str(folder), "--batch-size", str(batch_size), "--part", name, source]
    subprocess.run([sys.executable, "-m", "ci.larger_than_memory", *words], check=True)
    found: dict[str, float] = json.loads((folder / f"{name}-{source}.json").read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
