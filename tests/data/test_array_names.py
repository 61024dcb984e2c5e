"""Images and labels under the names that people use, in .npz and HDF5 files; and masks in arrays."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import data
from xpcnn.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 5, 5, 3), dtype=np.uint8)
LABELS = np.arange(8) % 2
PAIRS = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_data", "train_targets", "val_data", "val_targets"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("train_set_x", "train_set_y", "test_set_x", "test_set_y"),
    ("images", "labels", None, None),
    ("images", "targets", None, None),
    ("data", "target", None, None),
    ("data", "labels", None, None),
    ("image", "label", None, None),
    ("arr_0", "arr_1", None, None),
]


@pytest.mark.parametrize("names", PAIRS, ids=str)
@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_a_pair_is_found(tmp_path, names, ending):
    arrays = {names[0]: IMAGES, names[1]: LABELS}
    arrays |= {names[2]: IMAGES[:3], names[3]: LABELS[:3]} if names[2] else {}
    path = tmp_path / f"a.{ending}"
    if ending == "npz":
        np.savez(path, **arrays)
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    parts = data.load_parts(path)
    np.testing.assert_array_equal(parts.given.images, IMAGES)
    assert parts.given.labels.tolist() == LABELS.tolist()
    assert (len(parts.stated) if names[2] else parts.stated) == (3 if names[2] else None)


def test_masks_in_arrays(tmp_path):
    masks = np.random.default_rng(1).integers(0, 3, (8, 5, 5))
    masks[:, 0, 0] = 255
    np.savez(tmp_path / "a.npz", images=IMAGES, masks=masks)
    parts = data.load_parts(tmp_path / "a.npz", ignore_index=255)
    assert (parts.task, parts.classes, parts.given.ignore_index) == ("pixels", ("0", "1", "2"), 255)
    np.testing.assert_array_equal(parts.given.labels, masks)
    with pytest.raises(DataError, match=r"each in some, got 0, 1, 2, 255; name the classes, or ignore_index=255"):
        data.load_parts(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"masks of classes 0 … 1, got 0, 1, 2"):
        data.load_parts(tmp_path / "a.npz", classes=["a", "b"], ignore_index=255)
