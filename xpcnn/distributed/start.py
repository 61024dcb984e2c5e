"""Find the other processes, and share the host's cores and GPUs with them."""

from __future__ import annotations

import os

from .. import settings
from ..backend import current_backend
from ..extras import need
from ..options import as_number
from .group import Group
from .ranks import Ranks, alarm

TIMEOUT = 300.0  # seconds
_found: list[Group] = []


def init(*, timeout: float = TIMEOUT) -> Group:
    """The processes of this program. It was started with several by `mpiexec -n 4 python -m mpi4py …`, else it is one.

    On each host, the processes share the cores: each uses as many threads as there are cores for it, unless the
    user's settings say how many. On GPUs each takes one.

    Parameters
        timeout : seconds that one rank waits for another before it says that the other hangs
    Raises
        MissingExtraError : the program was started under MPI, and mpi4py is not installed

    >>> group = init()
    >>> group.rank, group.size
    (0, 1)
    """
    timeout = as_number("distributed.init", "timeout", timeout, "(0, inf)")
    if not settings.started_by_mpi():
        return Group()
    if not _found:
        alarm(timeout)  # MPI itself waits forever for a process that does not come
        mpi = need("mpi4py.MPI", "distributed.init", "as the program was started under MPI")
        ranks = Ranks(mpi, timeout)
        _share_the_host(ranks)
        alarm(0)
        _found.append(Group(ranks if ranks.size > 1 else None))
    return _found[0]


def _share_the_host(ranks: Ranks) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    here = [ranks.hosts[ranks.rank], cores]  # MPI may have given each rank cores of its own
    sharing = ranks.comm.allgather(here).count(here)
    if sharing > 1 and not settings.threads_are_set():
        from threadpoolctl import threadpool_limits

        threadpool_limits(max(1, len(cores) // sharing), user_api="blas")
    if current_backend().name == "cupy":
        import cupy

        devices = cupy.cuda.runtime.getDeviceCount()
        cupy.cuda.Device(ranks.hosts[: ranks.rank].count(ranks.hosts[ranks.rank]) % devices).use()
