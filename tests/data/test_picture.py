"""Pictures become the pixels that people see, whatever their file's form; broken and hostile ones end in one line."""

from __future__ import annotations

import os
import socket
import struct
import sys
import zlib

import numpy as np
import pytest

from xpcnn.data.picture import FORMATS, header, read_picture
from xpcnn.errors import DataError, FormatError, MissingExtraError

from ..limits import at_most

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pixels(rng):
    return rng.integers(256, size=(5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "ending", ["png", "bmp", "dib", "webp", "tif", "tiff", "ppm", "pnm", "tga", "pcx", "sgi", "qoi", "ico"]
)
def test_reads_exactly(tmp_path, pixels, ending):
    path = tmp_path / f"a.{ending}"
    image.fromarray(pixels).save(path, lossless=True)
    read = read_picture(path)
    assert read.dtype == np.uint8
    assert read.flags.writeable
    np.testing.assert_array_equal(read, pixels)


def test_reads_lossy_ones_nearly(tmp_path):
    ramp = np.tile(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (1, 48, 3))
    for ending in ("jpg", "jpeg", "gif"):
        image.fromarray(ramp).save(tmp_path / f"a.{ending}")
        read = read_picture(tmp_path / f"a.{ending}")
        assert read.shape == (48, 48, 3)
        assert np.abs(read.astype(int) - ramp).max() < 8


def test_grey_and_rgb(tmp_path, pixels):
    image.fromarray(pixels).save(tmp_path / "colour.png")
    image.fromarray(pixels[:, :, 0]).save(tmp_path / "grey.png")
    grey = read_picture(tmp_path / "colour.png", channels=1)
    assert grey.shape == (5, 7, 1)
    luma = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow's documentation says
    assert np.abs(grey[..., 0] - luma).max() <= 1
    np.testing.assert_array_equal(read_picture(tmp_path / "grey.png", channels=1)[..., 0], pixels[:, :, 0])
    np.testing.assert_array_equal(read_picture(tmp_path / "grey.png"), np.repeat(pixels[:, :, :1], 3, 2))


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("P", False), ("RGB", False), ("RGBA", False)],
)
def test_is_grey(tmp_path, mode, grey):
    image.new(mode, (4, 4)).save(tmp_path / "a.png")
    assert header(tmp_path / "a.png").is_grey is grey


def test_size_is_height_and_width(tmp_path, pixels):
    image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", size=(3, 9)).shape == (3, 9, 3)


def test_a_large_photograph_is_nearly_what_decoding_all_of_it_gives(tmp_path, rng):
    scene = image.fromarray(rng.integers(256, size=(24, 32, 3), dtype=np.uint8)).resize((400, 300))
    scene.save(tmp_path / "a.jpg", quality=95)
    expected = np.asarray(scene.resize((20, 30)), int)
    read = read_picture(tmp_path / "a.jpg", size=(30, 20))
    assert read.shape == (30, 20, 3)
    assert np.abs(read - expected).max() < 6
    with image.open(tmp_path / "a.jpg") as opened:
        exif = opened.getexif()
        exif[0x0112] = 6  # to be turned clockwise
        opened.save(tmp_path / "b.jpg", exif=exif, quality=95)
    turned = np.asarray(scene.transpose(image.Transpose.ROTATE_270).resize((20, 30)), int)
    assert np.abs(read_picture(tmp_path / "b.jpg", size=(30, 20)) - turned).max() < 6


def test_turned_as_the_camera_was_held(tmp_path):
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:4, :8] = 255  # light at the top left
    for orientation, stored in ((6, np.rot90(upright)), (3, np.rot90(upright, 2)), (8, np.rot90(upright, 3))):
        picture = image.fromarray(np.ascontiguousarray(stored))
        exif = picture.getexif()
        exif[0x0112] = orientation
        picture.save(tmp_path / "a.png", exif=exif)
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), upright)


def test_transparency_is_on_white(tmp_path):
    ink = np.zeros((2, 3, 4), np.uint8)
    ink[0, :, 3] = [0, 255, 127]  # black: not there, there, half there
    image.fromarray(ink).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", channels=1)[0, :, 0], [255, 0, 128])
    palette = image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "a.gif", transparency=0)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.gif")[0], [[255, 255, 255], [40, 50, 60]])


def test_of_an_animation_the_first_picture(tmp_path):
    frames = [image.new("L", (3, 3), level) for level in (50, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_picture(tmp_path / "a.gif", channels=1) == 50).all()


def test_of_a_telephone_s_two_pictures_the_first(tmp_path):
    frames = [image.new("L", (8, 8), level) for level in (50, 200)]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert (read_picture(tmp_path / "a.jpg", channels=1) == 50).all()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 1)) + chunk(b"IEND", b"")


def test_the_hand_made_png_is_one(tmp_path):
    (tmp_path / "a.png").write_bytes(png(2, 1, b"\0\x07\x09"))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", channels=1)[0, :, 0], [7, 9])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture at all",
        png(4, 4, bytes(20))[:-30],
        png(4, 4, bytes(20)).replace(b"IDAT", b"IDAX"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n",
        b"\xff\xd8\xff\xe0" + bytes(50),
        b"GIF89a" + bytes(20),
        b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(20),
        b"BM" + bytes(60),
    ],
    ids=range(9),
)
def test_refuses_what_is_no_picture(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a.png: expected a picture, got .+; get the file again"):
        read_picture(path)


def test_no_format_is_a_program(tmp_path, monkeypatch):
    """Pillow would hand PostScript to an interpreter."""
    seen = []
    monkeypatch.setattr(image, "open", lambda path, formats=None: seen.append(formats) or 1 / 0)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(FormatError):
        read_picture(tmp_path / "a.png")
    assert not {"EPS", "WMF", "PSD", "FPX", "SPIDER", "MIC"} & set(seen[0])


@pytest.mark.parametrize("read", [read_picture, header])
def test_where_memory_is_short_the_file_is_not_at_fault(tmp_path, monkeypatch, read):
    def short(path, formats=None):
        raise MemoryError

    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr(image, "open", short)
    with pytest.raises(MemoryError):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("side", [8193, 9000, 10_000, 60_000, 2**31 - 1])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_refuses_too_many_pixels_before_they_are_decoded(tmp_path, side):
    path = tmp_path / "a.png"
    path.write_bytes(png(side, side, bytes(1000)))
    for read in (read_picture, header):
        with at_most(2**21), pytest.raises(FormatError, match="pixels"):
            read(path)


def test_missing_files_channels_and_pillow(tmp_path, monkeypatch):
    with pytest.raises(FormatError, match=r"none.png: expected a picture, got No such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(DataError, match=r"an array of 4 channels \(.npy\), got a picture"):
        read_picture(tmp_path / "none.png", channels=4)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"train: expected pillow to read pictures.*xpcnn\[images\]"):
        read_picture(tmp_path / "none.png", who="train")


def test_what_pillow_reads_is_read_whatever_its_ending(tmp_path, pixels):
    """Camera files, Windows' and the portable anymap's, lossless where the format is."""
    lossy = {"JPEG", "JPEG2000", "AVIF", "GIF", "WEBP"}
    image.init()
    for name, endings in FORMATS.items():
        if name not in image.SAVE or (name == "AVIF" and "AVIF" not in image.MIME):
            continue
        picture = image.fromarray(pixels)
        for ending in set(endings) - {".pbm", ".pgm", ".pfm", ".bw", ".avifs", ".apng"}:
            path = tmp_path / f"a{ending}"
            picture.save(path, format=name)
            read = read_picture(path)
            assert read.shape == (5, 7, 3), ending
            if name not in lossy:
                np.testing.assert_array_equal(read, pixels, err_msg=ending)


@pytest.mark.parametrize(("ending", "mode"), [("pgm", "L"), ("pbm", "1"), ("jfif", "L"), ("jpe", "L"), ("bw", "L")])
def test_grey_forms(tmp_path, ending, mode):
    kind = {"pgm": "PPM", "pbm": "PPM", "bw": "SGI"}.get(ending, "JPEG")
    image.new(mode, (8, 8), 255).save(tmp_path / f"a.{ending}", format=kind)
    assert header(tmp_path / f"a.{ending}").is_grey
    assert (read_picture(tmp_path / f"a.{ending}", channels=1) == 255).all()


def test_every_ending_that_pillow_knows_of_these_formats_is_known():
    image.init()
    for ending, name in image.registered_extensions().items():
        assert name not in FORMATS or ending in FORMATS[name], ending


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket"])
def test_what_is_no_plain_file_is_no_picture_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
    for read in (read_picture, header):
        with pytest.raises(FormatError, match="a picture, got no plain file"):
            read(path)
    if kind == "socket":
        listening.close()
