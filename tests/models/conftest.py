"""torchvision as a witness; it runs beside a PyTorch that it was not built for, once the operators it names exist."""

from __future__ import annotations

from contextlib import suppress

import pytest


@pytest.fixture(scope="session")
def torchvision():
    torch = pytest.importorskip("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        with suppress(RuntimeError):  # it is there
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield pytest.importorskip("torchvision")
    del library  # with it go the operators
