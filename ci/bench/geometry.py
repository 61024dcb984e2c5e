"""One convolution of the sweep: its sizes, and the arrays that every peer gets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

LIMIT = 512 * 2**20  # bytes of x, y and their gradients; all workers hold them at once


@dataclass(frozen=True)
class Geometry:
    batch: int = 64
    size: int = 28  # height and width
    cin: int = 16
    cout: int = 32
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.dilation * (self.kernel - 1) // 2

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of forward and backward for the whole batch: y, dx and dw take the same number."""
        return 3 * self.batch * self.out**2 * self.cout * self.kernel**2 * self.cin // self.groups

    @property
    def bytes(self) -> int:
        return 2 * 4 * self.batch * (self.size**2 * self.cin + self.out**2 * self.cout)

    def bounded(self) -> Geometry:
        """The same geometry, with the batch halved until its arrays are below the limit."""
        each = self
        while each.bytes > LIMIT and each.batch > 1:
            each = replace(each, batch=each.batch // 2)
        return each

    def arrays(self) -> dict[str, np.ndarray]:
        """x (N, H, W, Cin), w (Cout, K, K, Cin/groups), b (Cout,) and dy (N, OH, OW, Cout)."""
        rng = np.random.default_rng(2)
        shapes = {
            "x": (self.batch, self.size, self.size, self.cin),
            "w": (self.cout, self.kernel, self.kernel, self.cin // self.groups),
            "b": (self.cout,),
            "dy": (self.batch, self.out, self.out, self.cout),
        }
        return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
