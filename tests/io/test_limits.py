"""A small file does not become gigabytes: what swells a thousandfold is refused before it is unpacked."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from xpcnn.data import array_file
from xpcnn.errors import FormatError
from xpcnn.io.limits import DEFLATE_LIMIT, most_inflated

from ..limits import at_most


def test_zeros_that_are_deflated_are_refused_before_they_are_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("x.npy", (10_000, 200, 200)), ("y.npy", (10_000,))):
            with archive.open(name, "w") as member:
                array = np.zeros((1, *shape[1:]), np.uint8)
                np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
                for _ in range(shape[0]):
                    member.write(array.tobytes())
    assert (tmp_path / "a.npz").stat().st_size < 2**20
    with (
        at_most(2**21),
        pytest.raises(FormatError, match=r"x: expected at most 268435456 bytes, .* compression"),
    ):
        array_file(tmp_path / "a.npz")


@pytest.mark.parametrize("stored", [0, 1, 10**5, 10**6, 10**8, 10**10])
def test_what_images_do_is_taken(stored):
    assert stored * 100 <= most_inflated(stored) <= stored * DEFLATE_LIMIT
    assert most_inflated(stored) <= max(100 * stored, 2**28)
