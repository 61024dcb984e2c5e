"""CIFAR's archives are read member by member, exactly; hostile ones end in FormatError, with little memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from xpcnn.data.registry import load
from xpcnn.errors import DataError, FormatError

from ..limits import at_most

module = import_module("xpcnn.data.cifar")
MEMBERS10 = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


def records(rng, n: int, labels: int, first: int = 0) -> bytes:
    """Records with labels first, first + 1 …, and one more of the coarse ones."""
    images = rng.integers(256, size=(n, 3, 32, 32), dtype=np.uint8)
    return b"".join(bytes([first + i] * labels) + image.tobytes() for i, image in enumerate(images))


@pytest.fixture
def members10(rng):
    return {f"cifar-10-batches-bin/{name}": records(rng, 2, 1, i) for i, name in enumerate(MEMBERS10)}


@pytest.fixture
def members100(rng):
    def two(n, coarse, fine):
        data = bytearray(records(rng, n, 2))
        for i in range(n):
            data[i * 3074], data[i * 3074 + 1] = coarse + i, fine + i
        return bytes(data)

    return {"cifar-100-binary/train.bin": two(4, 10, 90), "cifar-100-binary/test.bin": two(2, 17, 50)}


def archive(members: dict[str, bytes], changed=None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if changed:
                changed(info)
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return packed.getvalue()


@pytest.fixture
def write(tmp_path):
    def to_file(data: bytes, name="cifar-10-binary.tar.gz"):
        folder = tmp_path / "here"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        return folder

    return to_file


def test_cifar10(write, members10):
    data = module.cifar10(write(archive(members10)))
    assert (data.name, len(data.train), len(data.test), data.input_shape) == ("cifar10", 10, 2, (32, 32, 3))
    assert data.train.labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]  # batch i begins at label i
    assert data.test.labels.tolist() == [5, 6]
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.train.images.flags.c_contiguous
    raw = members10["cifar-10-batches-bin/data_batch_2.bin"]
    for row, column, channel in ((0, 0, 0), (0, 0, 2), (3, 7, 1), (31, 30, 2)):
        expected = raw[1 + channel * 1024 + row * 32 + column]  # as the format says
        assert data.train.images[2, row, column, channel] == expected


def test_the_order_in_the_archive_does_not_matter(write, members10):
    expected = module.cifar10(write(archive(members10)))
    turned = module.cifar10(write(archive(dict(reversed(members10.items())))))
    np.testing.assert_array_equal(turned.train.images, expected.train.images)
    np.testing.assert_array_equal(turned.train.labels, expected.train.labels)


def test_cifar100_fine_and_coarse(write, members100):
    folder = write(archive(members100), "cifar-100-binary.tar.gz")
    fine, coarse = load("cifar100", folder=folder), load("cifar100", folder=folder, coarse=True)
    assert fine.train.labels.tolist() == [90, 91, 92, 93]
    assert fine.test.labels.tolist() == [50, 51]
    assert coarse.train.labels.tolist() == [10, 11, 12, 13]
    assert coarse.test.labels.tolist() == [17, 18]
    np.testing.assert_array_equal(fine.train.images, coarse.train.images)
    raw = members100["cifar-100-binary/train.bin"]
    assert fine.train.images[1, 2, 5, 1] == raw[3074 + 2 + 1024 + 2 * 32 + 5]
    assert (fine.classes[90], fine.classes[50]) == ("train", "mouse")
    assert (coarse.classes[10], coarse.classes[17]) == ("large_natural_outdoor_scenes", "trees")


def test_the_classes():
    assert len(module.CLASSES10) == 10
    assert len(set(module.FINE)) == 100
    assert len(set(module.COARSE)) == 20
    assert list(module.FINE) == sorted(module.FINE)
    assert list(module.COARSE) == sorted(module.COARSE)


def test_an_unpacked_folder_will_do(tmp_path, write, members10):
    for name, data in members10.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packed, unpacked = module.cifar10(write(archive(members10))), module.cifar10(tmp_path / "unpacked")
    np.testing.assert_array_equal(packed.train.images, unpacked.train.images)
    np.testing.assert_array_equal(packed.test.labels, unpacked.test.labels)


def test_downloads_once(tmp_path, members10, mirror, monkeypatch):
    pytest.importorskip("pooch")
    data = archive(members10)
    (mirror.folder / "cifar-10-binary.tar.gz").write_bytes(data)
    (file,) = module.CIFAR10.files
    tiny = replace(file, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(module, "CIFAR10", replace(module.CIFAR10, files=(tiny,), mirrors=(mirror.address,)))
    for _ in range(2):
        assert len(load("cifar10").train) == 10
    assert mirror.asked == ["/cifar-10-binary.tar.gz"]
    assert [path.name for path in (tmp_path / "cache/xpcnn/cifar10").iterdir()] == ["cifar-10-binary.tar.gz"]


def link(kind):
    def change(info):
        if info.name.endswith("data_batch_3.bin"):
            info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    return change


def test_a_link_is_not_followed(write, members10):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        with pytest.raises(FormatError, match=r"data_batch_3.bin: a plain file of at most \d+ bytes, got something"):
            module.cifar10(write(archive(members10, link(kind))))


def test_names_that_lead_elsewhere_write_nothing(tmp_path, write, members10):
    """Members are known by their last name; nothing is ever written."""

    def climb(info):
        info.name = "../../../" + info.name

    folder = write(archive(members10, climb))
    before = sorted(tmp_path.rglob("*"))
    assert len(module.cifar10(folder).train) == 10
    assert sorted(tmp_path.rglob("*")) == before


GOOD = {name: bytes(3073) for name in MEMBERS10}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "a file data_batch_1.bin, got none|whole .tar.gz"),
        (b"no archive", "a whole .tar.gz archive"),
        (gzip.compress(b"no archive" * 100), "a whole .tar.gz archive"),
        (archive(GOOD)[:-40], "a whole .tar.gz archive"),
        (archive(GOOD)[: len(archive(GOOD)) // 2], "a whole .tar.gz archive"),
        (archive(GOOD | {"test_batch.bin": bytes(3072)}), "test_batch.bin of records of 3073 bytes, got 3072"),
        (archive(GOOD | {"test_batch.bin": b""}), "test_batch.bin of records of 3073 bytes, got 0 bytes"),
        (archive({name: data for name, data in GOOD.items() if "4" not in name}), "a file data_batch_4.bin, got none"),
    ],
    ids=range(8),
)
def test_refuses_broken_archives(write, data, text):
    with pytest.raises(FormatError, match=text):
        module.cifar10(write(data))


def test_labels_without_a_class(write):
    with pytest.raises(DataError, match="train labels below 10, the number of classes, got 10"):
        module.cifar10(write(archive(GOOD | {"data_batch_2.bin": b"\x0a" + bytes(3072)})))


def bomb(name: str, size: int, extended: bool = False) -> bytes:
    """A member, or the extended header of one, of so many zeros."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, tarfile.XHDTYPE if extended else tarfile.REGTYPE
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(min(size, 20_000_000)), 1)


@pytest.mark.parametrize(
    "data", [bomb("data_batch_1.bin", 8 * 10**9), bomb("data_batch_1.bin", 2 * 10**7), bomb("x", 2 * 10**7),
             bomb("x", 8 * 10**9, True), bomb("x", 2 * 10**7, True)], ids=range(5),
)  # fmt: skip
def test_a_bomb_ends_at_the_limit(write, monkeypatch, data):
    monkeypatch.setattr(module, "_MOST_BYTES", 10**6)
    folder = write(data)
    with at_most(2**23), pytest.raises(FormatError, match=r"more than 1000000 bytes|of at most 1000000 bytes"):
        module.cifar10(folder)


def test_what_is_there_is_read_once(write):
    """No more than the archive and the images are in memory."""
    members = {name: bytes(3073 * 200) for name in MEMBERS10}
    folder = write(archive(members))
    with at_most(4 * 3073 * 1200):
        module.cifar10(folder)
