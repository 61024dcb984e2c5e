"""Folders of pictures in which something is amiss: it is refused in a line, counted, or warned of."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from xpcnn.data.image_folder import image_folder
from xpcnn.data.picture_files import say_passed_over
from xpcnn.data.registry import load
from xpcnn.errors import DataError, FormatError, OptionError, XpcnnWarning

from ..limits import at_most
from .pictures import check, put

image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"size": 0}, OptionError, "size: an integer ≥ 1 or a pair"),
        ({"size": "8"}, OptionError, "size: an integer ≥ 1 or a pair"),
        ({"channels": 2}, OptionError, "1 for grey, 3 for RGB, got 2"),
        ({"test_fraction": 0}, OptionError, r"test_fraction: a number in \(0, 1\), got 0"),
        ({"test_fraction": 1.0}, OptionError, r"test_fraction: a number in \(0, 1\)"),
        ({"seed": -1}, OptionError, "seed: an integer ≥ 0"),
        ({"most_bytes": 2**62, "size": 10**6}, DataError, "bytes, which this machine has, got .*; pass a smaller"),
        ({"most_bytes": 100}, DataError, "at most 100 bytes, got 360 for 15 pictures of 4×6; pass a smaller size"),
    ],
)
def test_refuses_options(pets, options, error, text):
    with pytest.raises(error, match=text):
        image_folder(pets, **options)


def test_too_many_pixels_are_refused_before_there_is_memory_for_them(tmp_path):
    put(tmp_path, "dog/0", 100, shape=(2000, 2000))
    for i in range(1, 50):
        os.link(tmp_path / "dog/0.png", tmp_path / "dog" / f"{i}.png")
    put(tmp_path, "cat/0", 200, shape=(2000, 2000))
    with at_most(50 * 2**20), pytest.raises(DataError, match="got 204000000 for 51 pictures"):
        image_folder(tmp_path, most_bytes=10**8)


def test_too_large_a_size_is_refused_before_a_picture_is_decoded(pets, monkeypatch):
    def decode(path, **options):
        raise AssertionError(path)

    monkeypatch.setattr(import_module("xpcnn.data.decode"), "read_picture", decode)
    for channels, needed in ((None, 150000000000), (3, 450000000000)):
        with pytest.raises(DataError, match=f"got {needed} for 15 pictures of 100000×100000; pass a smaller size"):
            load(pets, size=100000, channels=channels, source="memory")
        with pytest.raises(DataError, match="a size of at most 67108864 pixels, got 100000×100000; pass a smaller"):
            load(pets, size=100000, channels=channels)


def test_a_broken_picture_is_named(pets):
    (pets / "dog" / "3.png").write_bytes((pets / "dog" / "3.png").read_bytes()[:50])
    with pytest.raises(FormatError, match=r"dog/3.png: expected a picture"):
        image_folder(pets)


def test_all_broken_pictures_are_named_at_once(pets):
    for name in ("dog/3", "dog/7", "cat/2"):
        (pets / f"{name}.png").write_bytes(b"" if name == "dog/7" else b"no picture")
    said = r"got 3 of 15 that cannot: cat/2.png .*, dog/3.png, dog/7.png in .*broken=skip"
    with pytest.raises(FormatError, match=said):
        image_folder(pets)
    with pytest.warns(XpcnnWarning, match=r"3 of 15 pictures cannot be read and are left out: .*2.png.*3.png.*7.png$"):
        data = load(pets, broken="skip")
    assert sorted(check(data.train) + check(data.test)) == [100, 101, 102, 104, 105, 106, 108, 109, 200, 201, 203, 204]
    for i in range(5):
        (pets / f"cat/{i}.png").write_bytes(b"")
    with pytest.warns(XpcnnWarning), pytest.raises(DataError, match="can be read of each class, got none in cat"):
        image_folder(pets, broken="skip")
    for i in range(10):
        (pets / f"dog/{i}.png").write_bytes(b"")
    with pytest.raises(FormatError, match="15 of 15 that cannot"):
        image_folder(pets, broken="skip")
    with pytest.raises(OptionError, match="broken"):
        image_folder(pets, broken="ignore")


def test_broken_pictures_are_left_out_of_the_part_that_they_were_in(tmp_path):
    for part in ("train", "test"):
        for i in range(3):
            put(tmp_path, f"{part}/dog/{i}", 100 + i)
            put(tmp_path, f"{part}/cat/{i}", 200 + i)
    (tmp_path / "train/dog/1.png").write_bytes(b"")
    (tmp_path / "test/cat/2.png").write_bytes((tmp_path / "test/cat/2.png").read_bytes()[:50])
    with pytest.warns(XpcnnWarning, match="2 of 12 pictures"):
        data = image_folder(tmp_path, broken="skip")
    assert (check(data.train), check(data.test)) == ([100, 102, 200, 201, 202], [100, 101, 102, 200, 201])


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and links")
def test_what_is_passed_over_is_counted(pets):
    os.mkfifo(pets / "dog" / "a.png")
    (pets / "dog" / "b.heic").write_bytes(b"x")
    (pets / "cat" / "c.heic").write_bytes(b"x")
    put(pets, "loose", 100)
    with pytest.warns(XpcnnWarning, match=r"4 files are no picture and passed over \(2 of .heic, 2 of .png\): c.heic"):
        data = image_folder(pets)
    assert len(data.train) + len(data.test) == 15
    (pets / "dog" / "a.png").unlink()
    (pets / "dog" / "b.heic").unlink()
    (pets / "cat" / "c.heic").unlink()
    (pets / "loose.png").unlink()
    (pets / "dog" / "gone.png").symlink_to(pets / "nowhere.png")
    with pytest.raises(FormatError, match=r"gone.png: expected a picture, got No such file"):
        image_folder(pets)


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
def test_names_in_another_encoding(tmp_path):
    for name, level in ((b"caf\xe9", 100), (b"caf\xe8", 200)):
        for i in range(4):
            put(tmp_path, f"all/{os.fsdecode(name)}/{os.fsdecode(name)}{i}", level + i)
    data = image_folder(tmp_path / "all")
    assert data.classes == (r"caf\xe8", r"caf\xe9")
    assert sorted(check(data.train) + check(data.test)) == [100, 101, 102, 103, 200, 201, 202, 203]
    "".join(data.classes).encode()


def test_darkness_is_said(tmp_path):
    """A camera's 12 bits, a mask of 0 and 1, a scanner's 32 bits."""
    rng = np.random.default_rng(0)
    for kind, most, text in (
        ("uint16", 4095, "65535, .* pass scale=4095"),
        ("uint8", 1, "255, .* is 1; pass scale=1,"),
    ):
        numbers = rng.integers(most + 1, size=(8, 4, 4)).astype(kind)
        numbers[:, 0, 0] = most
        for i, each in enumerate(numbers):
            path = tmp_path / kind / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.fromarray(each).save(path)
        with pytest.warns(XpcnnWarning, match=f"pictures are divided by {text}"):
            image_folder(tmp_path / kind)
        data = image_folder(tmp_path / kind, scale=most)
        assert data.train.scale == data.test.scale == most
        both = np.concatenate([data.train.images, data.test.images])[..., 0]
        np.testing.assert_array_equal(np.sort(both, axis=None), np.sort(numbers, axis=None))


def test_pictures_of_32_bits_need_a_scale(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        image.fromarray(rng.integers(256, size=(4, 4)).astype("int32")).save(tmp_path / "ab"[i % 2] / f"{i}.tif")
    with pytest.raises(FormatError, match=r"6 of 6 that cannot: .*0.tif \(32 bits, .*; pass scale="):
        image_folder(tmp_path)
    data = image_folder(tmp_path, scale=255)
    assert data.train.images.max() > 128
    assert data.train.scale == 255


@pytest.mark.parametrize(
    ("bad", "scale"), [(np.full((4, 4), np.nan, np.float32), 4095), (np.full((4, 4), 255, np.uint8), 4095)]
)
def test_a_picture_that_does_not_fit_the_scale_is_named_and_can_be_skipped(tmp_path, bad, scale):
    for i in range(8):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        image.fromarray(np.full((4, 4), 4000 + i, np.uint16)).save(tmp_path / "ab"[i % 2] / f"{i}.tif")
    image.fromarray(bad).save(tmp_path / "a" / "bad.tif")
    with pytest.raises(FormatError, match=r"bad.tif: .*broken=skip"):
        image_folder(tmp_path, scale=scale)
    with pytest.warns(XpcnnWarning, match="1 of 9 pictures cannot be read and are left out: .*bad.tif"):
        data = image_folder(tmp_path, scale=scale, broken="skip")
    assert len(data.train) + len(data.test) == 8


def test_pixels_that_are_taken_as_they_are_are_said(tmp_path):
    for i in range(4):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        image.linear_gradient("L").save(tmp_path / "ab"[i % 2] / f"{i}.png")
    with pytest.warns(XpcnnWarning, match="divided by the scale of 1, but the largest number is 241"):
        image_folder(tmp_path, scale=1, size=9)


def test_what_is_decoded_at_once_counts(tmp_path):
    """A few kilobytes of file are 256 MiB of pixels, four times in four threads."""
    for i, name in enumerate(("a", "a", "b", "b")):
        (tmp_path / name).mkdir(exist_ok=True)
        image.new("1", (8000, 8000), 1).save(tmp_path / name / f"{i}.png")
    with pytest.raises(DataError, match="for 4 pictures of 8×8 and what is decoded at once"):
        image_folder(tmp_path, size=8, most_bytes=2**28)


def test_missing_classes_and_folders(tmp_path, pets):
    with pytest.raises(DataError, match=r"a folder that exists, got '.*none'"):
        image_folder(tmp_path / "none")
    (pets / "mouse").mkdir()
    (pets / "bird").mkdir()
    with pytest.raises(DataError, match=r"pictures .* of each class, got none in bird, mouse"):
        image_folder(pets)
    with pytest.raises(DataError, match="a folder of pictures for each class, got none"):
        image_folder(pets / "cat")


def test_a_class_that_training_has_not(tmp_path):
    put(tmp_path, "train/cat/0", 200)
    put(tmp_path, "train/dog/0", 200)
    put(tmp_path, "test/cow/0", 100)
    with pytest.raises(DataError, match=r"classes that .*train has, got cow"):
        image_folder(tmp_path)


def test_one_picture_of_each_class_cannot_be_parted(tmp_path):
    put(tmp_path, "cat/0", 200)
    put(tmp_path, "dog/0", 100)
    with pytest.raises(DataError, match="two images of a class at least"):
        image_folder(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.txt"], "1 file is no picture and passed over (1 of .txt): a.txt"),
        (["a.txt", "b.TXT", "c"], "3 files are no picture and passed over (2 of .txt, 1 of no ending): "
         "a.txt, b.TXT, c"),
        ([f"{i}.{i}" for i in range(6)], "6 files are no picture and passed over "
         "(1 of .0, 1 of .1, 1 of .2, 1 of .3, 1 of .4): 0.0, 1.1, 2.2 …"),
    ],
)  # fmt: skip
def test_what_is_passed_over_is_counted_and_the_first_are_named(names, said):
    with pytest.warns(XpcnnWarning, match=f"^who: {re.escape(said)}; turn pictures into"):
        say_passed_over("who", [Path("folder", name) for name in names])
    say_passed_over("who", [])
