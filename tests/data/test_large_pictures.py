"""Large pictures take little more memory than they have pixels, and come out as small ones do, bit for bit."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from xpcnn.data import decode, strips
from xpcnn.data import pictures as all_pictures
from xpcnn.data.decode import Reading
from xpcnn.data.picture import header, read_picture
from xpcnn.errors import FormatError

from ..limits import at_most
from .test_picture import chunk, png

image = pytest.importorskip("PIL.Image")

SIDE = 2500

PEAK = """
import sys
from PIL import Image
from xpcnn.data import decode
from xpcnn.data.image_folder import image_folder

def peak():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

Image.init()
decode.LARGE = 2**21  # these are decoded one at a time
before = peak()
image_folder(sys.argv[1], size=64)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("mode", "most"), [("RGB", 6), ("RGBA", 11), ("L", 3)])
def test_a_few_of_them_take_the_memory_of_one_decoded(tmp_path, mode, most):
    """Decoded, a pixel has 4 bytes, or 1 if it is grey, and 4 more once it is on white."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            if name == "a" and i == 0:
                image.new(mode, (SIDE, SIDE)).save(tmp_path / "a" / "0.png", compress_level=1)
            else:
                os.link(tmp_path / "a" / "0.png", tmp_path / name / f"{i}.png")
    run = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) / SIDE**2 < most


def pictures(rng):
    rgb, rgba, wide, floats = (
        image.fromarray(rng.integers(most, size=(40, 31, *bands)).astype(kind))
        for most, bands, kind in ((256, (3,), "u1"), (256, (4,), "u1"), (2**16, (), "u2"), (2**16, (), "f4"))
    )
    turned = image.Exif()
    turned[0x0112] = 6
    return {
        "rgb.png": (rgb, {}),
        "rgba.png": (rgba, {}),
        "turned.png": (rgba, {"exif": turned}),
        "one-is-clear.png": (rgb, {"transparency": rgb.getpixel((0, 0))}),
        "grey.png": (rgb.convert("L"), {}),
        "grey-alpha.png": (rgba.convert("LA"), {}),
        "bits.png": (rgb.convert("1"), {}),
        "palette.png": (rgb.quantize(32), {}),
        "palette-clear.png": (rgb.quantize(32), {"transparency": bytes(range(0, 256, 8))}),
        "16.png": (wide, {}),
        "floats.tif": (floats, {}),
        "cmyk.tif": (rgb.convert("CMYK"), {}),
        "rgb.jpg": (rgb, {}),
        "rgba.webp": (rgba, {"lossless": True}),
        "palette.gif": (rgb.quantize(32), {"transparency": 3}),
    }


@pytest.mark.parametrize("name", pictures(np.random.default_rng(0)))
@pytest.mark.parametrize("size", [None, (64, 64), (40, 9), (11, 31)])
def test_strips_give_what_the_whole_gives(tmp_path, rng, monkeypatch, name, size):
    picture, options = pictures(rng)[name]
    picture.save(tmp_path / name, **options)
    for channels in (1, 3):
        for scale in (None, 200.0):
            if name == "floats.tif" and scale is None:
                continue
            whole = read_picture(tmp_path / name, size=size, channels=channels, scale=scale)
            with monkeypatch.context() as patch:
                patch.setattr(strips, "STRIP", 100)
                read = read_picture(tmp_path / name, size=size, channels=channels, scale=scale)
            assert read.dtype == whole.dtype
            assert read.flags.writeable
            np.testing.assert_array_equal(read, whole)


@pytest.mark.parametrize("name", ["rgb.png", "grey.png", "bits.png", "palette.png", "cmyk.tif", "rgb.jpg"])
def test_they_are_what_pillow_converts_and_resizes(tmp_path, rng, monkeypatch, name):
    pictures(rng)[name][0].save(tmp_path / name)
    monkeypatch.setattr(strips, "STRIP", 100)
    for channels, mode in ((1, "L"), (3, "RGB")):
        expected = image.open(tmp_path / name).convert(mode)
        read = read_picture(tmp_path / name, channels=channels)
        np.testing.assert_array_equal(read.squeeze(), np.asarray(expected))
        read = read_picture(tmp_path / name, channels=channels, size=(37, 29))
        np.testing.assert_array_equal(read.squeeze(), np.asarray(expected.resize((29, 37))))


def test_strips_cover_a_picture_once(monkeypatch):
    monkeypatch.setattr(strips, "STRIP", 100)
    for width, height in ((7, 41), (300, 5), (1, 101), (101, 1)):
        found = list(strips._strips(image.new("L", (width, height))))
        assert [top for top, _ in found] == list(np.cumsum([0, *(strip.height for _, strip in found[:-1])]))
        assert sum(strip.height for _, strip in found) == height
        assert all(strip.width == width and strip.width * strip.height <= max(100, width) for _, strip in found)


def test_of_a_jpeg_that_is_not_decoded_in_full_the_coefficients_count(tmp_path):
    for ending in ("png", "jpg"):
        image.new("L", (800, 400)).save(tmp_path / f"a.{ending}")
    assert header(tmp_path / "a.png", size=(50, 50)).decoded == 800 * 400
    assert header(tmp_path / "a.jpg").decoded == 800 * 400
    assert header(tmp_path / "a.jpg", size=(200, 390)).decoded == 800 * 400
    assert header(tmp_path / "a.jpg", size=(50, 50)).decoded == 800 * 400 * 3 // 8


def test_large_and_small_ones_stay_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "LARGE", 12)
    paths = [tmp_path / f"{i}.png" for i in range(9)]
    for i, path in enumerate(paths):
        image.new("L", (4 + i % 3, 6), 20 * i).save(path)
    images, kept = all_pictures.read_pictures(paths, "a", Reading(size=(3, 3)))
    assert images[:, 0, 0, 0].tolist() == [20 * i for i in range(9)]
    assert kept == list(range(9))


@pytest.mark.parametrize(("width", "height"), [(1, 2**18 + 1), (2**18 + 1, 1)])
def test_refuses_what_is_too_long(tmp_path, width, height):
    """Pillow keeps 32 bytes for each pixel along an axis that it resizes, and 8 for each row."""
    (tmp_path / "a.png").write_bytes(png(width, height, bytes(height * (width + 1))))
    for read in (read_picture, header):
        with pytest.raises(FormatError, match=rf"pixels, 262144 along an axis, got {width}×{height}; make it smaller"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"IEND"])
def test_a_part_that_claims_gigabytes_takes_none(tmp_path, kind):
    contents = png(20, 30, bytes(30 * 21)).replace(chunk(b"IEND", b""), chunk(b"tEXt", bytes(9)) + chunk(b"IEND", b""))
    at = contents.index(kind)
    (tmp_path / "a.png").write_bytes(contents[: at - 4] + struct.pack(">I", 2**31 - 1) + contents[at:])
    with at_most(2**21), suppress(FormatError):
        read_picture(tmp_path / "a.png")
