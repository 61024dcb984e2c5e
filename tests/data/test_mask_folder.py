"""Folders of pictures and masks: found under usual names, paired by file names; the class of each pixel is what the
file says and nothing else; one line for each mistake."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from xpcnn import data
from xpcnn.data.mask_file import read_mask
from xpcnn.errors import DataError, FormatError, OptionError

RNG = np.random.default_rng(0)


def masks(n=4, h=8, w=10, classes=3):
    found = RNG.integers(0, classes, (n, h, w), dtype=np.uint8)
    found[:, 0, :classes] = np.arange(classes)  # each occurs
    return found


def write(folder, array, name="0.png", palette=False):
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette:
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
    image.save(folder / name)


def pair(root, labels, *, images="images", of_masks="masks", after="", palette=False):
    for i, label in enumerate(labels):
        write(root / images, RNG.integers(0, 256, (*label.shape, 3), dtype=np.uint8), f"{i}.png")
        write(root / of_masks, label, f"{i}{after}.png", palette)
    return root


@pytest.mark.parametrize(
    ("images", "of_masks", "after"),
    [
        ("images", "masks", ""),
        ("imgs", "labels", "_mask"),
        ("JPEGImages", "SegmentationClass", ""),
        ("train", "train_masks", "-seg"),
    ],
)
@pytest.mark.parametrize("palette", [False, True])
def test_the_class_of_each_pixel_is_the_files(tmp_path, images, of_masks, after, palette):
    labels = masks()
    pair(tmp_path, labels, images=images, of_masks=of_masks, after=after, palette=palette)
    parts = data.load_parts(tmp_path)
    np.testing.assert_array_equal(parts.everything.labels, labels)
    assert (parts.classes, parts.task, parts.everything.ignore_index) == (("0", "1", "2"), "pixels", None)
    dataset = data.load(tmp_path, test_fraction=0.25)
    assert (len(dataset.train), len(dataset.test), dataset.task) == (3, 1, "pixels")


def test_parts_by_folders_in_either_order(tmp_path):
    for part, n in (("train", 3), ("test", 2), ("val", 1)):
        pair(tmp_path / "outside" / part, masks(n))
        pair(tmp_path / "inside", masks(n), images=f"images/{part}", of_masks=f"masks/{part}")
        pair(tmp_path / "words", masks(n), images=f"{part}_images", of_masks=f"{part}_masks")
    for name in ("outside", "inside", "words"):
        dataset = data.load(tmp_path / name)
        assert (len(dataset.train), len(dataset.test)) == (3, 2), name


def test_masks_elsewhere_and_a_folder_of_classes(tmp_path):
    pair(tmp_path, masks(), images="a", of_masks="b")
    assert data.load_parts(tmp_path / "a", masks=str(tmp_path / "b")).task == "pixels"
    assert data.load_parts(tmp_path).classes == ("a", "b")  # two folders of other names are two classes
    pair(tmp_path / "named", masks())
    assert data.load_parts(tmp_path / "named", parts=False).classes == ("images", "masks")


def test_values_names_and_what_does_not_count(tmp_path):
    labels = np.where(masks(classes=2) == 1, 255, 0).astype(np.uint8)
    labels[:, 1, 1] = 7
    pair(tmp_path, labels)
    split = data.load_parts(tmp_path, values=[0, 255], classes=["sky", "sea"], ignore_index=7).everything
    np.testing.assert_array_equal(split.labels == 1, labels == 255)
    np.testing.assert_array_equal(split.labels == 255, labels == 7)
    assert (split.ignore_index, split.highest_class) == (255, 1)
    split = data.load_parts(tmp_path, classes=list("abcdefgh"), ignore_index=255).everything
    np.testing.assert_array_equal(split.labels, labels)
    for options, error, message in (
        (
            {},
            DataError,
            r"each of the classes 0, 1, 2 … in some mask, .* got 0, 7, 255, and never 1; values=\[0, 7, 255\]",
        ),
        ({"ignore_index": 7}, DataError, r"values=\[0, 255\] if these are all"),
        (
            {"classes": ["a", "b"]},
            DataError,
            r"masks.0\.png: expected classes 0 … 1, got 7; name more classes, or ignore",
        ),
        (
            {"classes": ["a", "b"], "ignore_index": 255},
            DataError,
            r"classes 0 … 1, or 255, which does not count, got 7",
        ),
        ({"values": [0, 0]}, OptionError, "values: different numbers"),
        ({"values": [0, 7], "ignore_index": 7}, OptionError, "none of the values"),
        ({"values": [0, 7], "classes": ["a"]}, OptionError, "1 values, one of each class"),
        ({"ignore_index": 256}, OptionError, "ignore_index"),
        ({"resize": "pad", "size": 8}, OptionError, "ignore_index, for the border of padded masks"),
    ):
        with pytest.raises(error, match=message):
            data.load_parts(tmp_path, **options)


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
def test_a_mask_is_resized_with_its_picture_and_never_blurred(tmp_path, how):
    labels = np.zeros((3, 24, 40), np.uint8)
    labels[:, 5:15, 8:30] = 2
    for i, label in enumerate(labels):
        write(tmp_path / "images", np.repeat(label[..., None] * 100, 3, axis=2), f"{i}.png")
        write(tmp_path / "masks", label, f"{i}.png")
    split = data.load_parts(tmp_path, size=16, resize=how, classes=list("abc"), ignore_index=255).everything
    assert set(np.unique(split.labels)) == {0, 2} | ({255} if how == "pad" else set())
    bright, inside = split.images[..., 0] > 100, split.labels == 2
    assert (bright == inside)[split.labels != 255].mean() > 0.97
    assert split.resize == how


def test_the_same_from_a_disk_or_cache(tmp_path):
    pair(tmp_path / "set", masks())
    options = {"classes": list("abc"), "cache": tmp_path / "cache", "size": 8, "resize": "crop"}
    whole = data.load_parts(tmp_path / "set", **options).everything
    for source in ("disk", "cache"):
        split = data.load_parts(tmp_path / "set", source=source, **options).everything
        every = np.arange(len(split))
        np.testing.assert_array_equal(split.labels[every], whole.labels)
        np.testing.assert_array_equal(split.images[every], whole.images)
        np.testing.assert_array_equal(split.select(np.array([2, 0])).batch(np.array([0]))[1], whole.labels[[2]])


def grey(image):
    return np.repeat(image[..., None], 3, axis=2)


def test_mistakes_are_named(tmp_path):
    labels = masks()
    cases = {
        "missing": (
            lambda m: (m / "2.png").unlink(),
            r"a mask of each picture, .* got none of 2\.png: 1 of 4; .*missing=skip",
        ),
        "alone": (lambda m: write(m, labels[0], "9.png"), r"got none for 9\.png of 5"),
        "doubled": (lambda m: write(m, labels[0], "2.bmp"), r"one file of each name, got 2\.bmp and 2\.png"),
        "also doubled": (lambda m: write(m, labels[0], "2_mask.png"), r"got 2\.png and 2_mask\.png"),
        "size": (
            lambda m: write(m, labels[0][:7], "2.png"),
            r"2\.png: expected a mask of 8×10, as its picture 2\.png, got 7×10",
        ),
        "turned": (lambda m: write(m, labels[0].T.copy(), "2.png"), "got 10×8"),
        "broken": (lambda m: (m / "2.png").write_bytes(b"none"), r"2\.png: expected a picture.*take it away$"),
        "colours": (lambda m: write(m, grey(labels[0]) * np.array([1, 2, 1], np.uint8), "2.png"), "a colour, "),
        "numbers": (lambda m: write(m, labels[0].astype(np.uint16) + 300, "2.png"), "from 0 to 255, got 300 to 302"),
        "lossy": (lambda m: (write(m, labels[0], "2.jpg"), (m / "2.png").unlink()), "without loss, got JPEG"),
        "lossy WebP": (lambda m: (write(m, labels[0], "2.webp"), (m / "2.png").unlink()), "got WEBP with loss"),
        "lossy TIFF": (
            lambda m: (Image.fromarray(labels[0]).save(m / "2.tif", compression="jpeg"), (m / "2.png").unlink()),
            "got TIFF with jpeg",
        ),
    }
    for name, (spoil, message) in cases.items():
        root = pair(tmp_path / name, labels)
        spoil(root / "masks")
        with pytest.raises((DataError, FormatError), match=message) as refused:
            data.load_parts(root, classes=list("abc"))
        assert "\n" not in str(refused.value)
    with pytest.warns(UserWarning, match=r"1 of 4 pictures have no mask and are left out: 2\.png"):
        left = data.load_parts(tmp_path / "missing", missing="skip").everything
    np.testing.assert_array_equal(left.labels, labels[[0, 1, 3]])


def test_a_grey_mask_in_three_channels_is_one_number_a_pixel(tmp_path):
    labels = masks()
    for i, label in enumerate(labels):
        write(tmp_path / "images", grey(label) * 100, f"{i}.png")
        write(tmp_path / "masks", grey(label), f"{i}.png")
    np.testing.assert_array_equal(data.load_parts(tmp_path).everything.labels, labels)


def test_grey_numbers_of_other_depths_are_the_files_own(tmp_path):
    numbers = " ".join(map(str, (labels := masks(1, classes=3) * 90)[0].ravel()))
    (tmp_path / "m.pgm").write_text(f"P2 10 8 200 {numbers}")
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0), b"IDAT" + zlib.compress(b"\0\x1f"), b"IEND"]
    made = (struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in chunks)
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(made))  # 1 and 15, in 4 bits each
    for name, expected in (("m.pgm", labels[0]), ("m.png", [[1, 15]])):
        found = read_mask(tmp_path / name, size=None, resize="squash", border=255)
        np.testing.assert_array_equal(found[..., 0], expected)


def test_errors_of_pictures_name_this_reader_and_its_options(tmp_path):
    pair(tmp_path / "sizes", [*masks(), *masks(1, 9)], of_masks="labels")
    with pytest.raises(DataError, match=r"^mask_folder: expected pictures of one size"):
        data.mask_folder(tmp_path / "sizes")
    pair(tmp_path / "damaged", masks())
    path = tmp_path / "damaged" / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(FormatError, match="truncated") as caught:
        data.mask_folder(tmp_path / "damaged")
    assert "skip" not in str(caught.value)  # a mask without its picture is none
