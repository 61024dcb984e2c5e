"""Too little memory is one line that says how to go on, whatever it is that does not fit; the last checkpoint is whole.

The limit is one on addresses, as `ulimit -v` sets it. Each case runs in a process of its own, some of whose libraries
would end it, or wait for ever, where an allocation fails.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xpcnn.errors import OutOfMemoryError
from xpcnn.io.tensors import read_tensors
from xpcnn.training.checkpoint import CHECKPOINT

from .small import assert_same, everything, loader, rows, trainer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and RLIMIT_AS holds on Linux")

LIMIT = """
import resource, sys, numpy as np

def limit(mebibytes):
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(mebibytes * 2**20),) * 2)
"""
SAVE = """
from xpcnn.io.tensors import read_tensors, write_tensors
arrays = {{str(i): np.full(2**21, float(i)) for i in range(4)}}  # 64 MiB
arrays["turned"] = np.ones((2**10, 2**11)).T
limit({room})
write_tensors(sys.argv[1], arrays, {{}})
del arrays["0"]
print("written")
read_tensors(sys.argv[1])
print("read")
"""
FIT = """
import warnings
from xpcnn.data import Loader, Split
from xpcnn.nn import *
from xpcnn.optim import Adam
from xpcnn.training import Trainer
rng = np.random.default_rng(0)
model = Sequential(Conv2d(1, 32, 3, padding=1, rng=0), BatchNorm2d(32), ReLU(), Conv2d(32, 32, 3, padding=1, rng=1),
                   ReLU(), MaxPool2d(2), Flatten(), Linear(32 * 64, 3, rng=2))
run = Trainer(model, Adam(model.parameters(), lr=0.01), folder=sys.argv[1], verbose=False, ema=0.9)
split = Split(rng.integers(0, 256, (600, 16, 16, 1)).astype("uint8"), rng.integers(0, 3, 600))
run.fit(Loader(split, 10, prefetch=2), epochs=1)
limit({room})
run.fit(Loader(split, 300, prefetch=2), epochs=2)
print("fitted")
"""


def child(code, *words, **environment):
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"XPCNN_NUM_THREADS": "2", "XPCNN_BACKEND": "numpy"} | environment,
    )
    return run.returncode, run.stdout, run.stderr.strip().splitlines()


def test_a_file_is_written_where_there_is_memory_for_little_but_the_arrays(tmp_path):
    status, said, errors = child(LIMIT + SAVE.format(room=80), tmp_path / "file")
    assert (status, said.split(), errors) == (0, ["written", "read"], [])


@pytest.mark.parametrize("room", [0, 1, 16, 60])
def test_a_file_is_written_and_read_or_there_is_a_memory_error(tmp_path, room):
    status, said, errors = child(LIMIT + SAVE.format(room=room), tmp_path / "file")
    assert status == 0 or errors[-1].startswith(("MemoryError", "numpy._core._exceptions._ArrayMemoryError"))
    assert said.split()[:1] == ["written"] or room < 4
    if "written" in said:
        assert len(read_tensors(tmp_path / "file")[0]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["file"] * ("written" in said)


@pytest.mark.parametrize("room", [0, 8, 24, 48, 256])
def test_training_ends_well_or_in_one_line_with_its_checkpoint_whole(tmp_path, room):
    status, said, errors = child(LIMIT + FIT.format(room=room), tmp_path)
    assert read_tensors(tmp_path / CHECKPOINT)[1]["position"]["epoch"] == (2 if said else 1)
    if status:
        assert errors[-1].startswith("xpcnn.errors.OutOfMemoryError: Trainer.fit: expected memory for batches of 300")
        assert errors[-1].endswith("with resume=True where there is more memory")
    else:
        assert said.split() == ["fitted"]


COMMAND = """
import xpcnn.cli, xpcnn.cli.train, xpcnn.plot, mpl_toolkits.mplot3d, matplotlib.backends.backend_agg, PIL.Image
PIL.Image.init()
# all modules: where not 32 bytes are left in an import, CPython 3.11 may try for ever to raise its MemoryError
limit({room})
xpcnn.cli.main(["train", "digits", "--model", "mnist_cnn", "--epochs", "1", "--batch-size", "512", "--quiet", "--out",
                sys.argv[1]])
"""


@pytest.mark.parametrize("room", [4, 90, 150])
def test_the_command_ends_well_or_in_one_line(tmp_path, room):
    status, _, errors = child(LIMIT + COMMAND.format(room=room), tmp_path / "run")
    if status:
        assert (status, len(errors)) == (2, 1), errors
        assert (
            "a run with a smaller --batch-size needs less" in errors[0] or "pass fewer or smaller images" in errors[0]
        )
    else:
        assert errors == []


def test_the_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    whole = trainer(None)
    whole.fit(loader(), epochs=3)
    run = trainer(tmp_path)
    run.fit(loader(), epochs=1)
    step, count = run.train_step, [0]

    def full(*batches):
        count[0] += 1
        if count[0] == 4:
            raise MemoryError("Unable to allocate 8.00 EiB")
        return step(*batches)

    monkeypatch.setattr(run, "train_step", full)
    with pytest.raises(OutOfMemoryError, match=r"of 10, got Unable to allocate 8.00 EiB; .*resume=True") as caught:
        run.fit(loader(), epochs=3)
    assert isinstance(caught.value, MemoryError)
    again = trainer(tmp_path)
    again.fit(loader(), epochs=3, resume=True)
    assert_same(everything(again), everything(whole))
    assert rows(again) == rows(whole)


def test_without_a_checkpoint_there_is_none_to_go_on_from(monkeypatch):
    run = trainer(None)
    monkeypatch.setattr(run, "train_step", lambda *batches: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(OutOfMemoryError, match=r"got no more; make batches smaller; accumulate=2 makes.*halves$"):
        run.fit(loader(), epochs=3)
