"""Pictures from memory, a cache, their disk and tar shards are the same bits; what changes or breaks is noticed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, image_folder, load, picture_source, picture_store, tar_shards
from xpcnn.errors import DataError, FileError, FormatError, XpcnnWarning

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photos(tmp_path, rng):
    for i in range(40):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(rng.integers(0, 256, (7 + i % 3, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def tarred(folder, shards, *, json=False):
    """The pictures in two shards, in the order of their names."""
    shards.mkdir()
    files = sorted(folder.rglob("*.png"), key=lambda path: path.name)
    for number in range(2):
        with tarfile.open(shards / f"shard-{number}.tar", "w") as archive:
            for path in files[20 * number :][:20]:
                archive.add(path, path.name)
                label = f'{{"label": "{path.parent.name}"}}' if json else path.parent.name
                member = tarfile.TarInfo(f"{path.stem}.{'json' if json else 'cls'}")
                member.size = len(label)
                archive.addfile(member, io.BytesIO(label.encode()))
    return shards


def batches(split):
    for x, y in Loader(split, 7, shuffle=True, seed=1, buffer=1000):
        yield xpcnn.to_numpy(x), xpcnn.to_numpy(y)


@pytest.mark.parametrize("scale", [None, 255])
@pytest.mark.parametrize("source", ["cache", "disk"])
def test_every_source_has_the_same_bits(photos, monkeypatch, source, scale):
    memory = image_folder(photos, size=8, source="memory", scale=scale)
    for threads in (1, 4):
        monkeypatch.setattr(picture_source, "THREADS", threads)
        for _ in range(2):  # decoded, and found again
            other = image_folder(photos, size=8, source=source, scale=scale)
            assert other.classes == memory.classes
            for one, two in ((memory.train, other.train), (memory.test, other.test)):
                np.testing.assert_array_equal(one.digests, two.digests)
                assert one.scale_in_words == two.scale_in_words
                for (x, y), (x2, y2) in zip(batches(one), batches(two), strict=True):
                    np.testing.assert_array_equal(x, x2)
                    np.testing.assert_array_equal(y, y2)


def test_the_choice_depends_on_the_size(photos, monkeypatch, capsys):
    assert isinstance(image_folder(photos, size=8).train.images, np.ndarray)
    assert not capsys.readouterr().err
    monkeypatch.setattr("xpcnn.data.pictures.IN_MEMORY", 40 * 8 * 8 * 3 - 1)
    image_folder(photos, size=8)
    assert "photos: 40 pictures of 8×8×3, 0.00 GB decoded, once, into the cache" in capsys.readouterr().err
    image_folder(photos, size=8)
    assert "; from the cache" in capsys.readouterr().err
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: free)
    image_folder(photos, size=6)
    monkeypatch.setattr("xpcnn.data.pictures.IN_MEMORY", 0)
    image_folder(photos, size=6)
    assert "each whenever it is needed" in capsys.readouterr().err
    with pytest.raises(FileError, match=r"bytes of disk, and 1 GiB left, got 1000; free some space"):
        image_folder(photos, size=6, source="cache")


@pytest.mark.parametrize("source", ["cache", "disk"])
def test_a_picture_that_changes_is_noticed_even_with_its_size_and_time(photos, source):
    before = image_folder(photos, size=8, source=source)
    path = photos / "a" / "00.png"
    found = path.stat()
    contents = path.read_bytes()
    path.write_bytes(contents[:-20] + bytes(20))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    if source == "disk":
        with pytest.raises(DataError, match=r"00\.png: expected the picture as it was at first, got one written since"):
            [*batches(before.train), *batches(before.test)]
        path.unlink()
        with pytest.raises(FileError, match=r"00\.png: expected a readable file"):
            [*batches(before.train), *batches(before.test)]
    else:
        assert len([*batches(before.train), *batches(before.test)]) > 5  # the cache is a copy
        path.unlink()
    again = image_folder(photos, size=8, source=source)
    assert len(again.train) + len(again.test) == 39


@pytest.mark.parametrize("source", ["cache", "disk"])
def test_broken_pictures_are_refused_or_left_out_at_the_beginning(photos, source):
    path = photos / "b" / "01.png"
    path.write_bytes(path.read_bytes()[:60])
    for _ in range(2):
        with pytest.raises(FormatError, match=r"01\.png: expected a picture.*--option broken=skip"):
            image_folder(photos, size=8, source=source)
    with pytest.warns(XpcnnWarning, match=r"1 of 40 pictures cannot be read and are left out: .*01\.png"):
        found = image_folder(photos, size=8, source=source, broken="skip")
    with pytest.warns(XpcnnWarning):
        memory = image_folder(photos, size=8, source="memory", broken="skip")
    assert found.train.digest == memory.train.digest


def test_what_is_torn_or_damaged_in_a_cache_is_decoded_again_or_refused(photos, tmp_path):
    options = {"size": 8, "source": "cache", "cache": tmp_path / "kept"}
    expected = image_folder(photos, **options).train.digest
    (path,) = (tmp_path / "kept").glob("*.cache")
    whole = path.read_bytes()
    for at in (20, len(whole) - 40 * 8 * 8 * 3 - 5, None):
        damaged = bytearray(whole)
        if at is not None:
            damaged[at] ^= 1
        path.write_bytes(damaged if at is not None else whole[:-1])
        split = image_folder(photos, **options).train
        assert split.digest == expected
        assert split.digests[0] == picture_store.image_digests(split.images[np.array([0])], 255)[0]
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    found = image_folder(photos, **options)
    with pytest.raises(FormatError, match=r"the pixels of .*\.png, got others; remove it: it is damaged"):
        [*batches(found.train), *batches(found.test)]


BUILD = """
import sys
from xpcnn.data import image_folder, picture_source
read = picture_source.Decoder.__call__
def slow(self, i):
    import time
    time.sleep(0.02)
    return read(self, i)
picture_source.Decoder.__call__ = slow
print(image_folder(sys.argv[1], size=8, source="cache", cache=sys.argv[2]).train.digest)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills")
def test_a_build_that_is_killed_goes_on_and_two_at_once_wait_for_each_other(photos, tmp_path):
    words = [sys.executable, "-c", BUILD, str(photos), str(tmp_path / "kept")]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as first:
        until = time.monotonic() + 60
        while not (found := list((tmp_path / "kept").glob("*.part"))) or not done(found[0]):
            assert time.monotonic() < until
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
    assert not list((tmp_path / "kept").glob("*.cache"))
    begun = done(found[0])
    assert 0 < begun < 40
    with found[0].open("r+b") as file:  # as after a power cut: a pixel of the first picture was not written
        file.seek(-40 * 8 * 8 * 3, os.SEEK_END)
        (pixel,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([pixel ^ 255]))
    runs = [subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=60) for run in runs]
    expected = image_folder(photos, size=8, source="memory").train.digest
    assert [out.strip() for out, _ in said] == [expected, expected], said
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".cache"]
    split = image_folder(photos, size=8, source="cache", cache=tmp_path / "kept").train
    np.testing.assert_array_equal(picture_store.image_digests(split.images[np.arange(len(split))], 255), split.digests)


def done(part) -> int:
    """The number of pictures that an unfinished cache has."""
    contents = part.read_bytes()
    length = int.from_bytes(contents[:8], "little")
    records = np.frombuffer(contents[8 + length :][: 40 * 32], picture_store.RECORD)
    return int((records["state"] > 0).sum())


@pytest.mark.parametrize("json", [False, True])
def test_shards_have_the_same_pictures_and_are_read_nearly_in_order(photos, tmp_path, json):
    shards = tarred(photos, tmp_path / "shards", json=json)
    found, folder = load(shards, size=8, buffer=16), image_folder(photos, size=8, source="memory")
    assert found.classes == folder.classes
    for one, other in ((found.train, folder.train), (found.test, folder.test)):
        assert dict(zip(one.digests, one.labels, strict=True)) == dict(zip(other.digests, other.labels, strict=True))
    assert Loader(found.train, 4, shuffle=True).buffer == 16
    x, _ = next(Loader(found.train, 4, shuffle=True).epoch(0))
    assert x.shape == (4, 8, 8, 3)
    assert load(shards / "shard-0.tar", size=8, source="cache").train.buffer is None


def test_shards_that_say_so_are_to_test_on_and_wrong_ones_are_refused(photos, tmp_path):
    shards = tarred(photos, tmp_path / "shards")
    (shards / "shard-1.tar").rename(shards / "test-0.tar")
    (shards / "shard-0.tar").rename(shards / "train-0.tar")
    found = tar_shards(shards, size=8)
    assert (len(found.train), len(found.test), found.parts) == (20, 20, "train-0.tar … and test-0.tar …")
    with tarfile.open(shards / "train-0.tar", "a") as archive:
        archive.add(photos / "a" / "00.png", "new.png")
    with pytest.raises(DataError, match=r"a label of each picture, got none of new\.png; add its \.cls"):
        tar_shards(shards, size=8)
    with tarfile.open(shards / "train-0.tar", "w:gz") as archive:
        archive.add(photos / "a" / "00.png", "new.png")
    with pytest.raises(FormatError, match=r"an uncompressed tar archive.*unpack \.tar\.gz"):
        tar_shards(shards, size=8)


MORE = "nothing after its last member, got more"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda whole, half: whole[:half], "a whole tar archive, got one that ends at byte"),
        (lambda whole, half: whole[: half + 100], MORE),
        (
            lambda whole, half: whole[:half] + bytes(512) + whole[half + 512 :],
            MORE,
        ),
        (
            lambda whole, half: whole[:half] + b"x" * 512 + whole[half + 512 :],
            MORE,
        ),
        (lambda whole, half: whole + whole.replace(b"0", b"9"), MORE),
    ],
)
def test_an_archive_that_does_not_end_with_its_members_is_refused(photos, tmp_path, spoil, said):
    """One that is cut off, damaged in the middle, or joined of two: `tarfile` would leave the rest out."""
    shard = tarred(photos, tmp_path / "shards") / "shard-0.tar"
    with tarfile.open(shard) as archive:
        members = archive.getmembers()
    shard.write_bytes(spoil(shard.read_bytes(), members[len(members) // 2].offset))
    with pytest.raises(FormatError, match=said):
        tar_shards(shard, size=8)


def test_a_sample_with_two_labels_is_refused(photos, tmp_path):
    shard = tarred(photos, tmp_path / "shards") / "shard-0.tar"
    with tarfile.open(shard, "a") as archive:
        label = next(each.name for each in archive if each.name.endswith(".cls"))
        member = tarfile.TarInfo(label.replace(".cls", ".json"))
        member.size = 4
        archive.addfile(member, io.BytesIO(b'"zo"'))
    with pytest.raises(DataError, match="one label a sample"):
        tar_shards(shard, size=8)


def test_no_sample_is_left_out_without_a_word(photos, tmp_path):
    """A label whose picture has another name, and a picture that is a link to another one."""
    shard = tarred(photos, tmp_path / "shards") / "shard-0.tar"
    with tarfile.open(shard, "a") as archive:
        member = tarfile.TarInfo("other.cls")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"a"))
    with pytest.warns(XpcnnWarning, match="1 labels have no picture, such as other, and are left out"):
        tar_shards(shard, size=8)
    with tarfile.open(shard, "a") as archive:
        link = tarfile.TarInfo("other.png")
        link.type, link.linkname = tarfile.LNKTYPE, archive.getnames()[0]
        archive.addfile(link)
    with pytest.raises(FormatError, match=r"other\.png, a link or in parts; tar --dereference"):
        tar_shards(shard, size=8)
