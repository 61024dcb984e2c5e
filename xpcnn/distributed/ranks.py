"""Messages among the processes of one MPI program. Nothing waits forever, and a failure reaches all.

Each call is begun without blocking, and then asked whether it is done, between short sleeps: so a process that waits
leaves the core to others. While it waits, it also looks for a message that another rank has failed, and whether the
processes of its own host are alive. After half of
`timeout` it asks the others whether they are there; after all of it, those that have not answered hang or have gone.
Those that wait answer.

Counted are the messages and bytes that this rank sends to others if each of its numbers goes to its receivers
directly; MPI may send fewer and longer messages.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RankError
from ..typing import NDArray

FAILED, ASKED, HERE = 1, 2, 3  # tags
LOOK = 0.02  # seconds between two looks for messages of others
CLOSE = 0.5  # seconds in which a call that all have begun may still be done, after one has failed
ABORT, STATUS = 5.0, 2  # seconds; of the processes that end so
GRACE = 30.0  # seconds in which all come to the end after one has failed


class Ranks:
    """This process among the others.

    Parameters
        mpi : the module mpi4py.MPI
        timeout : seconds that one rank waits for another
    """

    def __init__(self, mpi: Any, timeout: float) -> None:
        self.mpi, self.timeout = mpi, timeout
        world = mpi.COMM_WORLD
        self.comm, self.side, self.ending = world.Dup(), world.Dup(), world.Dup()
        self.rank, self.size = world.rank, world.size
        self.hosts: list[str] = world.allgather(mpi.Get_processor_name())
        self.pids: list[int] = world.allgather(os.getpid())
        self.messages = self.bytes = 0
        self.broken = False  # a call was left undone, so that MPI cannot end as it should
        self._calls, self._told = 0, list[Any]()
        self._failure: RankError | None = None  # of another rank
        self._end: Any = None  # the last call

    def all_gather(self, own: NDArray, counts: Sequence[int]) -> NDArray:
        """The numbers of all ranks one after the other; `counts` says how many each has."""
        whole = np.empty(sum(counts), own.dtype)
        self._count(own.nbytes * (self.size - 1), self.size - 1)
        self.wait(self.comm.Iallgatherv(np.ascontiguousarray(own), [whole, list(counts)]))
        return whole

    def all_to_all(self, own: NDArray, send: Sequence[int], receive: Sequence[int]) -> NDArray:
        """Send send[r] of own numbers to each rank r, in order; return those from all, receive[r] from each."""
        got = np.empty(sum(receive), own.dtype)
        self._count(own.nbytes - send[self.rank] * own.itemsize, self.size - 1)
        self.wait(self.comm.Ialltoallv([own, list(send)], [got, list(receive)]))
        return got

    def all_reduce(self, own: NDArray) -> NDArray:
        """The sum over all ranks, in an order that MPI chooses."""
        whole = np.empty_like(own)
        self._count(2 * own.nbytes * (self.size - 1) // self.size, 2 * (self.size - 1))  # as a ring does it
        self.wait(self.comm.Iallreduce(own, whole, op=self.mpi.SUM))
        return whole

    def gather_text(self, text: bytes) -> list[bytes]:
        """The bytes of all ranks."""
        counts = self.all_gather(np.array([len(text)], np.int64), [1] * self.size).tolist()
        whole = self.all_gather(np.frombuffer(text, np.uint8), counts).tobytes()
        ends = np.cumsum(counts).tolist()
        return [whole[end - count : end] for end, count in zip(ends, counts, strict=True)]

    def broadcast(self, array: NDArray) -> None:
        """Write the array of rank 0 into those of the others."""
        self._count(array.nbytes * (self.size - 1) if self.rank == 0 else 0, self.size - 1 if self.rank == 0 else 0)
        self.wait(self.comm.Ibcast(array, root=0))

    def wait(self, request: Any) -> None:
        """Wait until the call is done.

        Raises
            RankError : another rank has failed, or does not come
        """
        self._calls += 1
        begun = looked = time.monotonic()
        pause, asked, here = 0.0, False, {self.rank}
        try:
            while not request.Test():
                time.sleep(pause)
                now = time.monotonic()
                pause = min(1e-3, (now - begun) / 20)
                if now - looked < LOOK:
                    continue
                looked = now
                here |= self._look()
                if self._failure is not None and now - begun > CLOSE:
                    raise self._failure
                if now - begun > self.timeout / 2 and not asked:
                    asked = True
                    self._tell(ASKED, {"call": self._calls})
                if now - begun > self.timeout:
                    raise self._missing(here)
        except self.mpi.Exception as error:  # MPI itself has noticed that a rank has gone
            raise RankError(self.name(), "all ranks", f"MPI: {error}", "") from error
        except BaseException:
            self.broken = True
            raise

    def fail(self, parts: Sequence[str]) -> None:
        """Tell all others that this rank fails; `parts` are those of an `XpcnnError`."""
        self._tell(FAILED, {"parts": list(parts)})

    def end(self, *, failed: bool, missing: Sequence[int] = ()) -> bool:
        """Come to the end together; return whether all have come, within `GRACE` if one has failed."""
        if missing:
            return False
        if self._end is None:
            states, own = np.zeros(self.size, np.int64), np.array([1 + self.broken], np.int64)
            self._end = states, own, self.ending.Iallgather(own, states)
        states, _, request = self._end
        begun, pause = time.monotonic(), 0.0
        while not request.Test():
            time.sleep(pause)
            pause = min(LOOK, pause + 1e-4)
            self._look()
            if self._failure is not None and not failed:
                raise self._failure
            if time.monotonic() - begun > (GRACE if failed else self.timeout):
                return False
        if (states == 1).all():
            self._look()
            alarm(GRACE)
            self.mpi.Finalize()
            alarm(0)
        return True

    def abort(self, speaks: bool) -> None:
        """End all processes; those that do not speak leave it for `ABORT` seconds to the one that does."""
        if not speaks:
            time.sleep(ABORT)
        alarm(ABORT)
        self.comm.Abort(STATUS)

    def name(self, rank: int | None = None) -> str:
        """Such as "rank 3 on node7"."""
        rank = self.rank if rank is None else rank
        return f"rank {rank} on {self.hosts[rank]}"

    def _tell(self, tag: int, what: dict[str, Any], ranks: Sequence[int] | None = None) -> None:
        text = json.dumps(what).encode()
        for rank in range(self.size) if ranks is None else ranks:
            if rank != self.rank:  # the text must stay until it is sent
                self._told.append((text, self.side.Isend([text, self.mpi.BYTE], dest=rank, tag=tag)))

    def _look(self) -> set[int]:
        """Read what others have told and answer them; return those that say that they are here."""
        here, status = set[int](), self.mpi.Status()
        while self.side.Iprobe(status=status):
            text = bytearray(status.Get_count(self.mpi.BYTE))
            self.side.Recv([text, self.mpi.BYTE], source=status.source, tag=status.tag)
            rank, tag, said = status.source, status.tag, json.loads(text)
            if tag == FAILED:
                self._failure = self._failure or self._told_by(rank, said)
            elif tag == ASKED:
                self._tell(HERE, said, [rank])
            elif said["call"] == self._calls:
                here.add(rank)
        for rank, (host, pid) in enumerate(zip(self.hosts, self.pids, strict=True)):
            if self._failure is None and host == self.hosts[self.rank] and not _is_alive(pid):
                self._failure = self._dead(rank)
                self._tell(FAILED, {"dead": rank})
        return here

    def _told_by(self, rank: int, said: dict[str, Any]) -> RankError:
        if "dead" in said:
            return self._dead(said["dead"])
        who, *rest = said["parts"]
        return RankError(f"{self.name(rank)}: {who}", *rest)

    def _dead(self, rank: int) -> RankError:
        return RankError(self.name(rank), "to go on", "killed: its process is no more", "", (rank,))

    def _missing(self, here: set[int]) -> RankError:
        missing = tuple(sorted(set(range(self.size)) - here))
        names = ", ".join(map(self.name, missing[:4])) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        what = f"an answer within {self.timeout:g} s"
        return RankError(names or "MPI", what, "none: it hangs, or cannot be reached", "", missing)

    def _count(self, size: int, messages: int) -> None:
        self.bytes, self.messages = self.bytes + size, self.messages + messages


def alarm(seconds: float) -> None:
    """End this process after so many seconds: MPI may wait for a host that cannot be reached, and runs no Python."""
    if hasattr(signal, "alarm") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(math.ceil(seconds))


def _is_alive(pid: int) -> bool:
    """False if no process of this host has that number, or one that has ended and is not cleared away yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:  # no such file, as there is no /proc
        return True
