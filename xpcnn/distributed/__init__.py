"""Several processes that train one network, over MPI: `group = distributed.init()`; see `Group`.

    mpiexec -n 4 python -m mpi4py program.py

Needs mpi4py and an MPI library: `pip install 'xpcnn[mpi]'` on one machine, the cluster's own MPI on a cluster.
"""

from .group import Group
from .start import init

__all__ = ["Group", "init"]
