"""The environment variables that xpcnn reads. Nothing else in the package looks at the environment.

XPCNN_BACKEND         numpy (default), cupy; torch and array_api_strict for tests
XPCNN_IMPLEMENTATION  forces one implementation of every operation, such as `reference`
XPCNN_DATA            the folder where data sets are looked for first
"""

from __future__ import annotations

import os
from pathlib import Path


def backend_name() -> str:
    return os.environ.get("XPCNN_BACKEND") or "numpy"


def implementation_name() -> str | None:
    return os.environ.get("XPCNN_IMPLEMENTATION") or None


def data_folder() -> Path | None:
    folder = os.environ.get("XPCNN_DATA")
    return Path(folder).expanduser() if folder else None
