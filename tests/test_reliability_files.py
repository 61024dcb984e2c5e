"""`python -m ci.reliability` counts every outcome of a damaged or hostile file, and only the good ones pass."""

from __future__ import annotations

import os
import time

import pytest

from ci.reliability import attacks, child, hostile, mutations
from ci.reliability.damage import damage
from ci.reliability.kind import Kind
from ci.reliability.row import FAILS, HOLDS, Effort
from xpcnn.errors import FormatError

pytestmark = [
    pytest.mark.skipif(not child.FORKS, reason="the checks fork"),
    pytest.mark.skipif(bool(os.environ.get("XPCNN_BACKEND")), reason="the checks are of NumPy"),
    pytest.mark.skipif(bool(os.environ.get("XPCNN_IMPLEMENTATION")), reason="they choose implementations themselves"),
]


class Reader:
    """Reads the intact file as usual, and any other as configured."""

    def __init__(self, wrong):
        self.wrong, self.state = wrong, 0

    def __call__(self, path):
        contents = path.read_bytes()
        return contents if contents == bytes(range(200)) else self.wrong(self)

    def overwrite(self):
        self.state = 1
        raise FormatError("file", "another", "this")


def refuse(text):
    raise FormatError("file", text, "this")


class LongError(FormatError):
    def __str__(self):
        return "two lines\n" * 200


def refuse_at_length():
    raise LongError("file", "one line", "this")


def work(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


PLANTED = {
    mutations.FOREIGN: lambda reader: {}["missing"],
    mutations.SENSELESS: lambda reader: (_ for _ in ()).throw(mutations.SenselessError("epoch -1")),
    mutations.SILENT: lambda reader: b"another",
    mutations.LONG: lambda reader: refuse_at_length(),
    mutations.LATE: Reader.overwrite,
    mutations.MEMORY: lambda reader: bytearray(2**36),
    mutations.SLOW: lambda reader: work(0.15),
    mutations.ABORTED: lambda reader: os.abort(),
    mutations.HUNG: lambda reader: time.sleep(60),
    mutations.REFUSED: lambda reader: refuse("another"),
}


@pytest.mark.parametrize("code", PLANTED, ids=lambda code: mutations.OUTCOMES[code])
def test_mutated_files(monkeypatch, code):
    reader = Reader(PLANTED[code])

    def kinds(folder):
        (folder / "file").write_bytes(bytes(range(200)))
        return {"kind": Kind("file", reader, (damage,), checked=True, touched=lambda: reader.state)}

    monkeypatch.setattr(mutations, "kinds", kinds)
    monkeypatch.setattr(mutations, "WATCH", 1.0 if code == mutations.HUNG else 60.0)
    monkeypatch.setattr(mutations, "SECONDS", 0.1)
    (found,) = mutations.rows(Effort(most=4))
    assert found.tried == 4
    assert found.counts.keys() <= {mutations.OUTCOMES[code], mutations.OUTCOMES[mutations.SAME]}
    assert found.verdict == (HOLDS if code == mutations.REFUSED else FAILS)


ATTACKS = {
    hostile.ERROR: lambda path: {}["missing"],
    hostile.MEMORY: lambda path: bytearray(2**36),
    hostile.TIME: lambda path: time.sleep(60),
    hostile.RAN: lambda path: (path.parent / "new").touch(),
    hostile.ESCAPED: lambda path: print("\x1b[31m"),
    hostile.LONG: lambda path: refuse_at_length(),
    hostile.HARMLESS: lambda path: None,
    hostile.REFUSED: lambda path: refuse("another"),
}


@pytest.mark.parametrize("outcome", ATTACKS)
def test_hostile_files(monkeypatch, outcome):
    monkeypatch.setattr(hostile, "WATCH", 2.0)
    attack = attacks.contents("file", b""), ATTACKS[outcome]
    monkeypatch.setattr(attacks, "groups", lambda: {"group": {"attack": attack}})
    (found,) = hostile.rows(Effort())
    assert dict(found.counts) == {outcome: 1}
    assert found.verdict == (HOLDS if outcome == hostile.REFUSED else FAILS)


def test_a_hostile_file_that_keeps_a_processor_busy(monkeypatch):
    monkeypatch.setattr(hostile, "SECONDS", 1)
    attack = attacks.contents("file", b""), lambda path: work(60)
    monkeypatch.setattr(attacks, "groups", lambda: {"group": {"attack": attack}})
    (found,) = hostile.rows(Effort())
    assert dict(found.counts) == {hostile.TIME: 1}
    assert "signal 24" in found.examples[hostile.TIME][0]  # SIGXCPU
