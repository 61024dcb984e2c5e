"""Pictures are squashed, cropped or padded to a size, as torchvision and Keras mean it; masks without new numbers; and
a mask comes back to its picture's size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from xpcnn import data
from xpcnn.data.picture import read_picture
from xpcnn.data.resizing import RESIZES, resized, restored
from xpcnn.errors import OptionError

WIDE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(8, 8), (12, 30), (40, 10)])
def test_against_pillows_own_functions(tmp_path, size):
    image, path = Image.fromarray(WIDE), tmp_path / "wide.png"
    image.save(path)
    wanted = {
        "squash": image.resize(size[::-1]),
        "crop": ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC),
        "pad": Image.new("RGB", size[::-1]),
    }
    whole = ImageOps.contain(image, size[::-1], Image.Resampling.BICUBIC)
    wanted["pad"].paste(whole, ((size[1] - whole.width) // 2, (size[0] - whole.height) // 2))
    for how in RESIZES:
        np.testing.assert_array_equal(read_picture(path, size=size, resize=how), np.array(wanted[how]))


def test_a_crop_is_the_middle_and_a_pad_keeps_all():
    image = Image.fromarray(WIDE[..., 0])
    square = np.array(resized(image, (20, 20), "crop"))
    np.testing.assert_array_equal(square[:, 2:-2], np.array(image.resize((20, 20), box=(5.5, 0, 25.5, 20)))[:, 2:-2])
    padded = np.array(resized(image, (31, 31), "pad", fill=7))
    np.testing.assert_array_equal(padded[5:25], WIDE[..., 0])
    assert (padded[:5] == 7).all()
    assert (padded[25:] == 7).all()


@pytest.mark.parametrize("how", RESIZES)
@pytest.mark.parametrize("size", [(16, 16), (9, 21), (64, 64)])
def test_masks_get_no_new_numbers_and_come_back(how, size):
    mask = np.zeros((30, 44), np.uint8)
    mask[4:20, 10:33], mask[20:, :15] = 3, 90
    small = np.array(resized(Image.fromarray(mask), size, how, nearest=True, fill=255))
    assert small.shape == size
    assert set(np.unique(small)) <= {0, 3, 90} | ({255} if how == "pad" else set())
    again = restored(small, mask.shape, how, fill=255)
    seen = again != 255
    assert seen.mean() > (0.45 if how == "crop" else 0.999)
    assert (again == mask)[seen].mean() > 0.88


def test_options_that_make_no_sense(tmp_path):
    for options, message in (
        ({"resize": "stretch", "size": 8}, "resize"),
        ({"resize": "crop"}, r"a size, as there is resize='crop'"),
    ):
        with pytest.raises(OptionError, match=message):
            data.image_folder(tmp_path, **options)
    with pytest.raises(OptionError, match="Split: expected resize"):
        data.Split(np.zeros((1, 2, 2, 1)), np.array([0]), resize="stretch")
