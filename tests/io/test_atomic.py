"""Files are whole or untouched, whatever happens to the process or the disk while they are written."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import textwrap

import pytest

from xpcnn.errors import FileError
from xpcnn.io.atomic import sweep, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and kill")


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "file"
    for data in (b"first", b"", b"x" * 100_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["file"]


def test_follows_links(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_makes_the_folder_only_when_asked(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    with pytest.raises(FileError, match=r"to write the file, got No such file or directory"):
        write_atomically(path, b"data")
    assert not path.parent.exists()
    write_atomically(path, b"data", make_folder=True)
    assert path.read_bytes() == b"data"


@posix
@pytest.mark.parametrize("contents", [b"contents", lambda file: file.write(b"contents") and file.seek(0)])
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_stays(tmp_path, contents, linked):
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        path = tmp_path / "link"
        path.symlink_to("pipe")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(path, contents)
        assert os.read(reader, 100) == b"contents"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@posix
def test_a_socket_is_refused_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(FileError, match="to write the file"):
            write_atomically(tmp_path / "s", b"contents")
    assert (tmp_path / "s").is_socket()


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, function):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(FileError) as caught:
        write_atomically(path, b"new")
    assert str(caught.value) == f"{path}: expected to write the file, got No space left on device; free some space"
    assert isinstance(caught.value, OSError)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_a_write_that_stops_halfway_leaves_the_old_file(tmp_path):
    """No simulation: the system refuses to let the file grow beyond 100 kB."""
    script = textwrap.dedent("""
        import resource, sys
        from xpcnn.errors import FileError
        from xpcnn.io.atomic import write_atomically
        write_atomically(sys.argv[1], b"old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_atomically(sys.argv[1], b"new" * 1_000_000)
        except FileError as error:
            print(error)
    """)
    run = subprocess.run([sys.executable, "-c", script, tmp_path / "file"], capture_output=True, text=True, check=True)
    assert "to write the file, got File too large" in run.stdout
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupt_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_contents_reach_the_disk_before_the_name_and_the_folder_after(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor):
        order.append(("fsync", os.path.isdir(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor).st_size))
        fsync(descriptor)

    def record_replace(source, target):
        order.append(("replace", os.path.dirname(source) == os.path.dirname(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_atomically(tmp_path / "file", b"12345")
    assert order[0] == ("fsync", False, 5)
    assert order[1] == ("replace", True)
    assert order[2][:2] == ("fsync", True)


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(FileError, match="Is a directory"):
        write_atomically(tmp_path / "file", b"data")
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_sweeps_what_dead_processes_left_and_nothing_else(tmp_path, monkeypatch):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [f".xpcnn-{dead.pid}-0123abcd.tmp", f".xpcnn-{os.getpid()}-0123abcd.tmp"]  # numbers are used again
    stay = [
        f".xpcnn-{os.getppid()}-0123abcd.tmp",
        "model.safetensors",
        f".xpcnn-{dead.pid}-0123abcd.tmp.bak",
        ".xpcnn-x-0123abcd.tmp",
        f"xpcnn-{dead.pid}-0123abcd.tmp",
    ]
    for name in left + stay:
        (tmp_path / name).touch()
    assert sorted(path.name for path in sweep(tmp_path)) == sorted(left)
    assert sorted(os.listdir(tmp_path)) == sorted(stay)


def test_does_not_sweep_what_this_process_writes(tmp_path, monkeypatch):
    fsync = os.fsync

    def sweep_meanwhile(descriptor):
        assert sweep(tmp_path) == []
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sweep_meanwhile)
    write_atomically(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


# Forks children that write the file again and again, and kills each after a random time.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from xpcnn.io.atomic import sweep, write_atomically

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
path = folder / "file"
random.seed(0)
lost, midway = 0, 0
write_atomically(path, bytes(300_000))
for kill in range(kills):
    child = os.fork()
    if not child:
        i = 0
        while True:
            i += 1
            write_atomically(path, bytes([i % 256]) * 300_000)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    data = path.read_bytes()
    lost += len(data) != 300_000 or data != data[:1] * 300_000
    midway += len(sweep(folder))
print(lost, midway, *os.listdir(folder))
"""


@posix
@pytest.mark.parametrize("kills", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_kill_loses_the_file(tmp_path, kills):
    arguments = [sys.executable, "-W", "ignore", "-c", KILLER, str(tmp_path), str(kills)]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True)
    lost, midway, *files = run.stdout.split()
    assert lost == "0"
    assert int(midway) > 0  # some did fall into writes
    assert files == ["file"]
