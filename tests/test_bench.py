"""The benchmark without a clock: peers that fail or compute something else, networks as documents, profiles, tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ci.bench import figures, nets, profile, report, rounds, sweep
from ci.bench.errors import NotPossible
from ci.bench.markdown import markdown
from ci.bench.peers import MUST_WORK, PEERS, USUAL
from ci.bench.processes import WorkerFailed
from ci.bench.wiring import Wiring
from xpcnn import nn

on_numpy = pytest.mark.skipif(
    not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="peers are given NumPy's arrays"
)


class Process:
    """Answers like a worker whose steps take that long; `fails` says at which request."""

    pid = 0

    def __init__(self, seconds, answer, fails=None):
        self.seconds, self.answer, self.fails, self.asked = seconds, answer, fails, []

    def ask(self, do, **request):
        self.asked.append(do)
        if self.fails and self.fails[0] == do:
            raise self.fails[1]
        steps = request.get("steps", 2)
        return {**(self.answer if do == "prepare" else {}), "seconds": [self.seconds] * steps}


class Workers:
    def __init__(self, **alive):
        self.alive, self.missing = alive, {"absent": "absent: not installed"}

    def failed(self, peer, error):
        return {"reason": f"failed: {error}"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(rounds, "SETTLE", 0)
    monkeypatch.setattr(rounds, "MOST", np.inf)  # what others do on this machine


def measured(workers, **effort):
    return rounds.measure(
        workers, "inference", {}, rounds.Effort(rounds=6, **effort), [*workers.alive, *workers.missing]
    )


LOGITS = {"logits": [[1.0, 2.0]]}


def test_a_peer_that_fails_has_a_reason_and_the_others_are_measured():
    workers = Workers(
        xpcnn=Process(0.01, LOGITS),
        torch=Process(0.02, LOGITS, fails=("prepare", WorkerFailed("it died"))),
        later=Process(0.02, LOGITS, fails=("burst", WorkerFailed("out of memory"))),
        never=Process(0.02, LOGITS, fails=("prepare", NotPossible("no such layer"))),
        other=Process(0.03, LOGITS),
    )
    found = measured(workers)
    reasons = {peer: each["reason"] for peer, each in found.items() if "reason" in each}
    assert reasons == {
        "torch": "failed: it died",
        "later": "failed: out of memory",
        "never": "no such layer",
        "absent": "absent: not installed",
    }
    assert found["xpcnn"]["rounds"] == [0.01] * 6
    assert found["other"]["rounds"] == [0.03] * 6


def test_a_peer_that_computes_something_else_is_not_measured():
    wrong = Process(0.01, {"logits": [[1.0, 2.1]]})
    found = measured(Workers(xpcnn=Process(0.01, LOGITS), torch=wrong))
    assert "computes something else: logits that differ" in found["torch"]["reason"]
    assert wrong.asked == ["prepare"]


def test_long_steps_take_five_rounds_and_modes_far_from_the_bar_none():
    alive = {
        "xpcnn": Process(0.4, LOGITS),
        "torch": Process(0.6, LOGITS),
        "torch frozen": Process(0.4, LOGITS),
        "jax": Process(4.0, LOGITS),
    }
    found = measured(Workers(**alive))
    assert {peer: len(each["rounds"]) for peer, each in found.items() if "rounds" in each} == {
        "xpcnn": 5,
        "torch": 1,
        "torch frozen": 5,
        "jax": 1,
    }


@on_numpy
@pytest.mark.parametrize("net", ["resnet20", "mobilenet_v2"])
def test_a_network_made_of_its_document_computes_the_same(net):
    image = (32, 32, 3)
    model = nets.build(net, image)
    document = json.loads(json.dumps(nets.describe(model, image)))
    layers = dict(model.named_layers())
    x = np.random.default_rng(0).random((2, *image), dtype=np.float32)
    np.testing.assert_allclose(_run(document, layers, x), model(x), rtol=1e-4, atol=1e-4)


def _run(d, layers, x):
    children = d.get("children", {})
    if d["type"] == "Graph":
        return Wiring(d).run(x, lambda name, value: _run(children[name], layers, value))
    if d["type"] == "Residual":
        around = _run(children["shortcut"], layers, x) if "shortcut" in children else x
        return _run(children["body"], layers, x) + around
    for child in children.values():
        x = _run(child, layers, x)
    return x if children else layers[d["name"]](x)


def test_a_value_is_let_go_after_its_last_use():
    wiring = Wiring({"inputs": ["x"], "outputs": ["c"], "reads": {"a": ["x"], "b": ["a", "x"], "c": ["b"]}})
    assert wiring.steps == [("a", ["x"], []), ("b", ["a", "x"], ["a", "x"]), ("c", ["b"], ["b"])]
    assert wiring.run(2, lambda name, value: sum(value) if name == "b" else value + 1) == 6


@on_numpy
@pytest.mark.parametrize(("what", "images"), [("training", 8), ("inference", 8), ("inference", 1)])
def test_a_profile_has_every_kind_of_layer_and_its_work(what, images, tmp_path):
    model = nets.build("lenet5", (28, 28, 1))
    nets.write(model, (28, 28, 1), images, tmp_path / "net.npz")
    request = {"net": "lenet5", "document": nets.describe(model, (28, 28, 1)), "arrays": str(tmp_path / "net.npz")}
    peer = None
    if what == "inference":
        from ci.bench.peers.xpcnn import Xpcnn

        peer = Xpcnn(1, "cpu")
    found = profile.by_kind(profile.measure(peer, what, seconds=0.01, warm_up=1, **request))
    flop = sum(kind["flop"] for kind in found["kinds"])
    once = 2 * images * nets.multiply_adds(model, (28, 28, 1))
    first = 2 * images * 28 * 28 * 6 * 25  # of the first layer, whose dx nobody needs
    assert flop == (once if what == "inference" else 3 * once - first)
    assert sum(kind["seconds"] for kind in found["kinds"]) <= found["run"]


def test_what_is_measured_by_default_are_known_peers():
    assert {peer for peers in USUAL.values() for peer in peers} <= PEERS.keys()
    assert set(MUST_WORK) <= PEERS.keys()


def test_tables_and_picture_of_a_run_in_which_something_failed(tmp_path):
    def timed(**seconds):
        return {peer.replace("_", " "): {"rounds": [each] * 5} for peer, each in seconds.items()}

    failed = {"xpcnn": {"reason": "failed: it died"}, "torch": {"rounds": [0.2] * 5}}
    inference = timed(xpcnn=0.1, xpcnn_numba=0.05, torch=0.4, torch_frozen=0.2, onnxruntime=0.025)
    kinds = [{"kind": "Conv2d 3×3", "rows": 2, "seconds": 0.08, "flop": 8e8, "bytes": 0}]
    profiled = {"what": "training", "net": "resnet20", "batch": 16, "peers": {"xpcnn": {"run": 0.1, "kinds": kinds}}}
    memory = {peer: {"growth": mib, "before": 1.0, "peak": 200.0} for peer, mib in (("xpcnn", 8.0), ("torch", 100.0))}
    result = {
        "machine": {
            "cpu": "a processor", "cores": 2, "ram_gib": 8, "system": "Linux", "python": "3", "numpy": "2", "blas": "b",
            "threads": 2, "commit": "abc", "implementation": "chosen by xpcnn", "date": "2026-12-01 05:00 UTC",
        },
        "peers": {"xpcnn": {"version": "1"}, "torch": {"version": "2"}, "onnxruntime": {"version": "3"}},
        "training": [
            {"net": "lenet5", "batch": 64, "peers": failed},
            {"net": "resnet20", "batch": 16, "peers": timed(xpcnn=0.4, torch=0.2)},
        ],
        "inference": [{"net": "lenet5", "batch": 1, "peers": inference}],
        "convolution": [{"name": "stride 2", "peers": timed(xpcnn=0.1, torch=0.2)}],
        "memory": [{"net": "lenet5", "batch": 64, "peers": memory}],
        "ceilings": {"gflops": 100.0, "gb_per_s": 30.0},
        "profile": [profiled],
    }  # fmt: skip
    shown = report.text(result)
    assert "training, lenet5 b64, xpcnn: failed: it died" in shown
    assert "resnet20 training b16, xpcnn, 0.50 of PyTorch's speed" in shown
    assert "10.0 (10%)" in shown
    assert figures.failures(result) == ["training, lenet5 b64, xpcnn: failed: it died"]
    lines = markdown(result).splitlines()
    inference_row = "| lenet5, 1 | 200 f | 25.0 | 100 | **2.00** (2.00–2.00) | **0.25** (0.25–0.25) "
    assert inference_row + "| 50.0 | **4.00** (4.00–4.00) | **0.50** (0.50–0.50) |" in lines
    assert "| lenet5, 64 | 200 | — | — | — | — |" in lines
    assert "| stride 2 | 200 | 100 | **2.00** (2.00–2.00) | — | — |" in lines
    assert "| lenet5, 64 | 100 | 8.00 | **12.50** | — | — |" in lines
    pytest.importorskip("matplotlib")
    from ci.bench.picture import draw

    draw(result, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_every_point_of_the_default_run_is_small_enough():
    assert all(geometry.bounded() == geometry for geometry in sweep.POINTS.values())
