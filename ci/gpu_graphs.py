"""Inference captured as a CUDA graph: whether CuPy allows it, whether the replay is right, and what it saves.

    XPCNN_BACKEND=cupy python -m ci.gpu_graphs --out graphs.json

Each net runs until its kernels are compiled and compared, and is then captured with a memory pool of its own, which
lives as long as the graph. A replay reads its input from the same array: it is given other images, and compared with
the network itself. A net that cannot be captured is no error; the report says why. (cuBLAS cannot be captured through
CuPy 14, so that for now every net is expected to be one of these.)
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import xpcnn
from xpcnn.backend import synchronize
from xpcnn.table import columns

from .bench import nets

NETS = ("lenet5", "mnist_cnn", "vgg_small", "resnet20")
REPEATS = 50
LIMIT = 1e-6  # largest difference over largest number: the same kernels run in the same order


def tried(name: str) -> dict[str, Any]:
    """What came of it: milliseconds of the network and of the replay, and the error; or why there is no graph."""
    import cupy

    sizes = nets.NETS[name]
    rng = np.random.default_rng(1)
    first, second = (rng.random((sizes.trained[0], *sizes.image), np.float32) for _ in range(2))
    model, x = nets.build(name, sizes.image), xpcnn.asarray(first)
    model(x)
    try:
        stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
        with stream, cupy.cuda.using_allocator(pool.malloc):
            model(x)  # what this stream needs, such as a workspace of cuBLAS, is made before
            stream.synchronize()
            stream.begin_capture()
            try:
                y = model(x)
            finally:
                graph = stream.end_capture()
            x[...] = xpcnn.asarray(second)
            stream.synchronize()
            graph.launch(stream)
            stream.synchronize()
            found = xpcnn.to_numpy(y)
            replay = seconds(lambda: graph.launch(stream), stream)
    except Exception as last:
        refusal = last.__context__ or last  # what was refused, rather than that a broken capture cannot be ended
        return {"net": name, "why not": f"{type(refusal).__name__}: {' '.join(str(refusal).split())[:200]}"}
    plain = seconds(lambda: model(x))
    expected = xpcnn.to_numpy(model(xpcnn.asarray(second)))
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    return {"net": name, "plain": plain * 1e3, "replay": replay * 1e3, "error": error, "agrees": error <= LIMIT}


def seconds(run: Any, stream: Any = None) -> float:
    """The mean time of a call, of many before a wait."""
    wait = synchronize if stream is None else stream.synchronize
    run()
    wait()
    begun = time.perf_counter()
    for _ in range(REPEATS):
        run()
    wait()
    return (time.perf_counter() - begun) / REPEATS


def table(rows: list[dict[str, Any]]) -> str:
    cells = [
        (row["net"], "", "", "", f"no graph: {row['why not']}")
        if "why not" in row
        else (row["net"], f"{row['plain']:.3f}", f"{row['replay']:.3f}", f"{row['error']:.1e}",
              "" if row["agrees"] else "WRONG")
        for row in rows
    ]  # fmt: skip
    return columns(("inference", "plain ms", "replay ms", "error", ""), cells, left=(0, 4))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.gpu_graphs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the rows as JSON, written after each net")
    options = parser.parse_args()
    rows = []
    with xpcnn.use_backend("cupy"):
        for name in NETS:
            rows.append(tried(name))
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))
    return int(any(not row.get("agrees", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
