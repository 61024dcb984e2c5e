"""The environment variables that xpcnn reads. Nothing else in the package looks at the environment.

XPCNN_BACKEND         numpy (default), cupy; torch and array_api_strict for tests
XPCNN_IMPLEMENTATION  the implementation that runs, such as `reference`, which also runs where there is none of that
                      name or it refuses
XPCNN_NUM_THREADS     threads that the fast implementations on NumPy use; as many as NumPy's BLAS would, if unset
XPCNN_DATA            the folder where data sets are looked for first
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import OptionError


def backend_name() -> str:
    return os.environ.get("XPCNN_BACKEND") or "numpy"


def implementation_name() -> str | None:
    return os.environ.get("XPCNN_IMPLEMENTATION") or None


def num_threads() -> int | None:
    text = os.environ.get("XPCNN_NUM_THREADS")
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise OptionError("XPCNN_NUM_THREADS", "a number of threads ≥ 1", repr(text))
    return int(text)


def data_folder() -> Path | None:
    folder = os.environ.get("XPCNN_DATA")
    return Path(folder).expanduser() if folder else None
