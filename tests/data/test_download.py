"""Downloads: the right file or none, from the first mirror that has it; whatever else happens ends in one line."""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from xpcnn.data.download import RemoteFile, download
from xpcnn.errors import DataError, FileError, MissingExtraError

from .conftest import NOWHERE

pooch = pytest.importorskip("pooch")
CONTENTS = bytes(range(256)) * 1000
FILE = RemoteFile("good.bin", len(CONTENTS), hashlib.sha256(CONTENTS).hexdigest())


def put(mirror, data: bytes = CONTENTS, name: str = "good.bin") -> None:
    (mirror.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (mirror.folder / name).write_bytes(data)


def everything(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def test_a_file_arrives_whole_and_under_its_name(tmp_path, mirror):
    put(mirror)
    path = download("data", FILE, [mirror.address], [tmp_path / "first", tmp_path / "new" / "cache"])
    assert path == tmp_path / "new" / "cache" / "good.bin"
    assert path.read_bytes() == CONTENTS
    assert everything(tmp_path / "new") == ["cache", "good.bin"]
    assert not (tmp_path / "first").exists()


def test_says_nothing_where_nobody_watches(tmp_path, mirror, capfd):
    put(mirror)
    logger, told = pooch.get_logger(), io.StringIO()
    level, handler = logger.level, logging.StreamHandler(told)
    logger.addHandler(handler)
    download("data", FILE, [NOWHERE, mirror.address], [tmp_path])
    logger.removeHandler(handler)
    assert (*capfd.readouterr(), told.getvalue()) == ("", "", "")
    assert logger.level == level


def test_shows_a_bar_on_a_terminal(tmp_path, mirror, monkeypatch, capfd):
    put(mirror)
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    download("data", FILE, [mirror.address], [tmp_path])
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "good.bin" in shown.err
    assert "256.0/256.0 kB" in shown.err


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_first_mirror_that_has_it_gives_it(tmp_path, mirror, slash):
    put(mirror, b"another file", "wrong/good.bin")
    put(mirror, name="right/good.bin")
    put(mirror, name="unasked/good.bin")
    mirrors = [NOWHERE, *(f"{mirror.address}{name}{slash}" for name in ("empty", "wrong", "right", "unasked"))]
    assert download("data", FILE, mirrors, [tmp_path / "cache"]).read_bytes() == CONTENTS
    assert mirror.asked == [f"/{name}/good.bin" for name in ("empty", "wrong", "right")]
    assert everything(tmp_path / "cache") == ["good.bin"]


def cut(mirror):
    put(mirror, CONTENTS[:-1])
    mirror.promised["/good.bin"] = len(CONTENTS)


@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        (lambda mirror: put(mirror, CONTENTS[:-1] + b"!"), "does not match the known hash"),
        (lambda mirror: put(mirror, b"<html>sign in</html>"), "does not match the known hash"),
        (lambda mirror: put(mirror, b""), "does not match the known hash"),
        (lambda mirror: put(mirror, CONTENTS * 5), "more than the file's 256000 bytes"),
        (cut, "1 more expected"),
        (lambda mirror: None, "404 Client Error"),
    ],
    ids=["wrong", "page", "empty", "large", "truncated", "missing"],
)
def test_nothing_else_is_kept(tmp_path, mirror, arrange, reason):
    arrange(mirror)
    with pytest.raises(DataError) as caught:
        download("data", FILE, [mirror.address], [tmp_path / "elsewhere", tmp_path / "cache"])
    line = str(caught.value)
    assert "\n" not in line
    assert f"from {mirror.address} (" in line
    assert reason in line
    assert f"put that file (SHA-256 {FILE.sha256}) into {tmp_path / 'cache'}, or set XPCNN_DATA" in line
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("first", "again"), [(b"x" * 2**14, True), (b"x" * 1000, False), (b"", False)])
def test_a_download_that_never_ends_is_ended(tmp_path, mirror, monkeypatch, first, again):
    """A mirror that goes on and on, one that falls silent in the middle, and one that never says anything."""
    ended = threading.Event()

    def endless(out):
        out.write(first)
        while again:
            out.write(first)  # until the reader closes
        ended.wait(20)

    mirror.endless["/good.bin"] = endless
    monkeypatch.setattr("xpcnn.data.download._TIMEOUT", 0.3)
    with pytest.raises(DataError) as caught:
        download("data", FILE, [mirror.address], [tmp_path / "cache"])
    ended.set()
    reason = "more than the file's 256000 bytes" if again else "timed out"
    assert reason in str(caught.value).replace("Read timed", "timed")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_file_whose_size_nobody_states_may_not_fill_the_disk(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr("xpcnn.data.download._MOST_UNSTATED", 2**17)
    mirror.endless["/good.bin"] = lambda out: [out.write(b"x" * 2**14) for _ in range(1000)]
    with pytest.raises(DataError, match=f"more than the file's {2**17} bytes"):
        download("data", replace(FILE, size=0), [mirror.address], [tmp_path / "cache"])
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_was_there_stays(tmp_path, mirror):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError):
        download("data", FILE, [mirror.address], [tmp_path / "mine"])
    assert everything(tmp_path / "mine") == []
    assert (tmp_path / "mine").is_dir()


def test_without_any_server(tmp_path):
    with pytest.raises(DataError, match=r"none in .*/cache, nor from http://127.0.0.1:9/ \(Connection refused\)"):
        download("data", FILE, [NOWHERE], [tmp_path / "cache"])


def test_without_mirrors(tmp_path):
    with pytest.raises(DataError, match=r"the file good.bin, got none in .*/cache; there is no download; put that"):
        download("data", replace(FILE, sha256=""), [], [tmp_path / "cache"])


def test_without_pooch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError) as caught:
        download("data", FILE, [NOWHERE], [tmp_path / "cache"])
    line = str(caught.value)
    assert "\n" not in line
    for part in ("the file good.bin", "xpcnn[download]", f"put that file (SHA-256 {FILE.sha256}) into {tmp_path}"):
        assert part in line


def test_a_full_disk_asks_no_other_mirror(tmp_path, mirror, monkeypatch):
    put(mirror)

    def full(self, url, output_file, pooch, check_only=False):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(FileError, match=r"to write good.bin, got No space left on device"):
        download("data", FILE, [mirror.address] * 2, [tmp_path / "cache"])
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_made(tmp_path, mirror):
    put(mirror)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match=r"to write good.bin, got (Not a directory|File exists)"):
        download("data", FILE, [mirror.address], [tmp_path / "file" / "cache"])


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path, mirror):
    put(mirror, CONTENTS[:-1])
    mirror.promised["/good.bin"] = len(CONTENTS) + 1
    code = (
        "import signal, sys, time; from pathlib import Path; import pooch; from xpcnn.data import download as module\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a program in the background begins without
        "def wait(self, size): print('half', flush=True); time.sleep(60)\n"
        "module._ProgressBar.update = wait\n"
        f"module.download('data', module.RemoteFile('good.bin', {FILE.size}, {FILE.sha256!r}),"
        f" [{mirror.address!r}], [Path({str(tmp_path / 'cache')!r})])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"half\n"
    (partial,) = (tmp_path / "cache").iterdir()
    assert partial.name != "good.bin"
    deadline = time.monotonic() + 20
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors
    assert time.monotonic() < deadline
    assert not (tmp_path / "cache").exists()
