"""Several processes make the numbers of one, to the last bit; one that fails ends all, and the run goes on elsewhere.

`program.py` has batch norm, dropout, augmentation, a moving average, clipping, accumulation, class weights, smoothed
labels, a schedule, patience, metrics, a log, a callback that changes weights, and a batch with fewer items than shards.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xpcnn
from xpcnn.io.tensors import read_tensors

pytest.importorskip("mpi4py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")
pytestmark = [
    pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside Python"),
    pytest.mark.skipif(os.environ.get("XPCNN_BACKEND", "numpy") != "numpy", reason="bits of NumPy"),
]
SETTINGS = {**os.environ, "PYTHONPATH": str(Path(xpcnn.__file__).parent.parent), "PYTHONWARNINGS": "ignore"}


def run(folder, processes, **options):
    """The program's result, or its errors."""
    words = [str(folder), *(f"{key}={json.dumps(value)}" for key, value in options.items())]
    started = [sys.executable, "-m", "tests.distributed.program", *words]
    if processes > 1:
        started[1:1] = ["-m", "mpi4py"]
        started = [str(MPIEXEC), "-n", str(processes), *started]
    done = subprocess.run(started, capture_output=True, text=True, env=SETTINGS, check=False, timeout=120)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return folder, run(folder, 1)


def same(folder, result, alone):
    expected = alone[1]
    assert set(result["weights"]) == set(expected["weights"])
    assert result["told"] == expected["told"]
    assert result["history"] == expected["history"]
    assert (folder / "model.safetensors").read_bytes() == (alone[0] / "model.safetensors").read_bytes()


@pytest.mark.parametrize("processes", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4, 5, 8))])
def test_the_same_bits(tmp_path, alone, processes):
    same(tmp_path, run(tmp_path, processes), alone)


def test_a_rank_that_raises_ends_all_and_the_run_goes_on_with_another_number(tmp_path, alone):
    said = run(tmp_path, 2, fail="rank 1")
    assert "rank 1 on " in said
    assert "ValueError: on purpose" in said
    assert (tmp_path / "checkpoint.safetensors").exists()
    result = run(tmp_path, 1, resume=True)
    assert set(result["weights"]) == set(alone[1]["weights"])
    assert 0 < len(result["told"]) < 6
    assert result["told"] == alone[1]["told"][-len(result["told"]) :]


@pytest.mark.slow
def test_a_full_disk_of_rank_0_is_everybody_s_error(tmp_path, alone):
    said = run(tmp_path, 3, fail="callback")
    assert "No space left on device" in said
    result = run(tmp_path, 2, resume=True)
    assert result["weights"][0] == alone[1]["weights"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fail", "what"),
    [
        ("options", "clip_norm 0.5, as rank 0, got 0.25"),
        ("data", "data "),
        ("rates", "rate and decay of 0.weight"),
        ("drift", "weights and optimizer of checksum"),  # found after an epoch, before it is kept
    ],
)
def test_processes_that_differ_are_refused(tmp_path, fail, what):
    said = run(tmp_path, 2, fail=fail)
    assert "rank 1 on " in said
    assert what in said
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow
def test_nan_is_found_and_its_batch_kept(tmp_path):
    said = run(tmp_path, 2, fail="nan")
    assert "NaN or infinity" in said or "infinite" in said
    kept = next(tmp_path.glob("nonfinite-*.safetensors"))
    assert read_tensors(kept)[0]["batch.y"].shape == (24,)  # the whole batch


@pytest.mark.slow
def test_a_stop_of_rank_0_s_callback_stops_all(tmp_path):
    one, two = (run(tmp_path / str(n), n, stop=3) for n in (1, 2))
    assert len(two["told"]) == 3
    assert two["told"] == one["told"]


FAST = """
import numpy as np
from tests.distributed.program import network
from xpcnn import distributed, nn
from xpcnn.distributed import Group
from xpcnn.training.sharded_gradients import Sharding, sharded_gradients
group, rng = distributed.init(timeout=60), np.random.default_rng(1)
x, y = rng.normal(size=(26, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 26)
found = []
for sharding in (Sharding(group, 0), Sharding(Group(), 1)):
    model = nn.Sequential(*list(network(0).children().values())[:-1])  # BatchNorm1d of few numbers magnifies rounding
    model[8].p = 0.0
    found.append(sharded_gradients(model, nn.CrossEntropyLoss(), sharding.of(x, y), sharding).grads)
scale = max(abs(g).max() for g in found[0].values())
worst = max(abs(found[0][name] - g).max() / scale for name, g in found[1].items())
if group.rank == 0:  # mpiexec may run lines of two ranks together; all have the same gradients
    print(worst)
"""


@pytest.mark.slow
def test_gradients_that_mpi_adds_agree_within_1e_6():
    words = [str(MPIEXEC), "-n", "3", sys.executable, "-m", "mpi4py", "-c", FAST]
    told = subprocess.run(words, capture_output=True, text=True, env=SETTINGS, check=True, timeout=60)
    assert max(map(float, told.stdout.split())) < 1e-6


STOPPED = """
import os, signal
from xpcnn import distributed
from xpcnn.distributed import start
share = start._share_the_host
def stop(ranks):
    if ranks.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    share(ranks)
start._share_the_host = stop
distributed.init(timeout=2)
"""


@pytest.mark.slow
def test_a_process_that_stops_while_all_start_ends_all():
    launched = "import sys; from xpcnn.distributed.launch import launch; launch(['-c', sys.argv[1]], 3)"
    words = [sys.executable, "-c", launched, STOPPED]
    told = subprocess.run(words, capture_output=True, text=True, env=SETTINGS, check=False, timeout=60)
    assert "expected to go on, got no answer of another process" in told.stderr


def test_a_program_that_mpi_did_not_start_needs_no_mpi():
    code = "import sys; from xpcnn import distributed; g = distributed.init(); print(g.size, 'mpi4py' in sys.modules)"
    plain = {name: value for name, value in SETTINGS.items() if not name.startswith("PMI")}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain, check=True)
    assert told.stdout == "1 False\n"


@pytest.mark.slow
def test_a_finished_run_changes_nothing_on_more_processes(tmp_path, alone):
    shutil.copytree(alone[0], tmp_path / "a")
    result = run(tmp_path / "a", 2, resume=True)
    assert set(result["weights"]) == set(alone[1]["weights"])
