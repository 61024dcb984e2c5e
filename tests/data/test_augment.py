"""Each augmentation does what its formula says to each image by itself: plain loops over all that it may draw.

Pillow is a witness for turning, brightness and contrast. All backends give the same images, and nobody's array changes.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import xpcnn
from xpcnn.data import augment
from xpcnn.data.augment import Brightness, Compose, Contrast, Crop, Cutout, Flip, Mixup, Rotate, Shift
from xpcnn.data.augment.rotate import rotated
from xpcnn.errors import DataError, DTypeError, OptionError, ShapeError
from xpcnn.nn import CrossEntropyLoss

from ..arrays import assert_close

EXACT = [
    Flip(), Flip(horizontal=False, vertical=True, p=0.3), Flip(vertical=True), Shift(2), Shift((0, 2), fill=0.5),
    Crop((2, 1)), Cutout(3), Cutout(2, fill=0.25),
]  # fmt: skip
ROUNDED = [Rotate(30), Rotate(180, fill=0.5), Brightness(0.5), Contrast(0.5), Mixup(0.4, num_classes=5)]


def images(n=12, h=5, w=4, c=2, dtype="float32"):
    return np.random.default_rng(1).random((n, h, w, c)).astype(dtype)


def changed(augmentation, x, seed=0):
    """The images alone, on the host."""
    labels = xpcnn.asarray(np.arange(x.shape[0]) % 5)
    return xpcnn.to_numpy(augmentation(x, labels, np.random.default_rng(seed))[0])


@pytest.mark.parametrize("augmentation", EXACT + ROUNDED, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_images_on_every_backend(xp, augmentation, dtype):
    x, labels = images(dtype=dtype), np.arange(12) % 5
    with xpcnn.use_backend("numpy"):
        expected_x, expected_y = augmentation(x, labels, np.random.default_rng(4))
    given_x, given_y = xp.array(x, dtype), xp.array(labels)
    actual_x, actual_y = augmentation(given_x, given_y, np.random.default_rng(4))
    assert_close(actual_x, expected_x)
    if isinstance(augmentation, Mixup):
        assert_close(actual_y, expected_y)
    else:
        assert actual_y is given_y
    if augmentation in EXACT:
        np.testing.assert_array_equal(xpcnn.to_numpy(actual_x), expected_x)
    np.testing.assert_array_equal(xpcnn.to_numpy(given_x), x)  # nobody wrote into it
    assert np.abs(expected_x - x).max() > 0.1
    assert expected_x.min() >= 0
    assert expected_x.max() <= 1 + 1e-6
    again = augmentation(given_x, given_y, np.random.default_rng(5))[0]
    assert not np.array_equal(xpcnn.to_numpy(again), xpcnn.to_numpy(actual_x))


def assert_each_is_one_of(actual, x, candidates, share):
    """Image n is exactly one of candidates(x[n]), and at least that share of the candidates was met in all."""
    met = set()
    for before, after in zip(x, actual, strict=True):
        fits = [i for i, candidate in enumerate(candidates(before)) if np.array_equal(candidate, after)]
        assert fits
        met.update(fits)
    assert len(met) >= share * len(list(candidates(x[0])))


@pytest.mark.parametrize(
    ("augmentation", "axes"),
    [
        (Flip(), [(), (1,)]),
        (Flip(horizontal=False, vertical=True), [(), (0,)]),
        (Flip(vertical=True), [(), (0,), (1,), (0, 1)]),
        (Flip(p=0), [()]),
        (Flip(p=1), [(1,)]),
    ],
)
def test_flip(augmentation, axes):
    x = images(n=200)
    assert_each_is_one_of(changed(augmentation, x), x, lambda image: [np.flip(image, axis) for axis in axes], 1)


def test_flip_s_probability():
    x = images(n=4000, h=2, w=2, c=1)
    for p in (0.1, 0.5, 0.8):
        flipped = (changed(Flip(p=p), x) != x).any(axis=(1, 2, 3)).mean()
        assert abs(flipped - p) < 5 * math.sqrt(p * (1 - p) / 4000)


@pytest.mark.parametrize(
    ("augmentation", "most", "fill"),
    [(Shift(2), (2, 2), 0), (Shift((1, 3), fill=0.5), (1, 3), 0.5), (Crop(2), (2, 2), 0), (Crop((0, 1)), (0, 1), 0)],
)
def test_shift_and_crop(augmentation, most, fill):
    def candidates(image):
        h, w, _ = image.shape
        for a, b in itertools.product(*(range(-limit, limit + 1) for limit in most)):
            moved = np.full_like(image, fill)
            for i, j in itertools.product(range(h), range(w)):
                if 0 <= i + a < h and 0 <= j + b < w:
                    moved[i, j] = image[i + a, j + b]
            yield moved

    x = images(n=300)
    assert_each_is_one_of(changed(augmentation, x), x, candidates, 1)


def test_crop_is_padding_and_cutting():
    """As He et al. say it: 4 pixels on each side, and a crop of the old size."""
    x = images(n=20, h=8, w=8)
    padded = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
    for i, after in enumerate(changed(Crop(4), x)):
        crops = [padded[i, a : a + 8, b : b + 8] for a, b in itertools.product(range(9), range(9))]
        assert any(np.array_equal(crop, after) for crop in crops)


@pytest.mark.parametrize(("size", "fill"), [(1, 0), (2, 0.5), (3, 0), (5, 1)])
def test_cutout(size, fill):
    def candidates(image):
        h, w, _ = image.shape
        for centre in itertools.product(range(h), range(w)):
            top, left = (c - size // 2 for c in centre)
            cut = image.copy()
            for i, j in itertools.product(range(top, top + size), range(left, left + size)):
                if 0 <= i < h and 0 <= j < w:
                    cut[i, j] = fill
            yield cut

    x = images(n=300)
    assert_each_is_one_of(changed(Cutout(size, fill), x), x, candidates, 1 if size < 3 else 0.8)


def turned(x, degrees, fill):
    """Bilinear interpolation, one number at a time."""
    n, h, w, channels = x.shape
    y = np.zeros_like(x)
    for k, i, j, c in np.ndindex(n, h, w, channels):
        theta = math.radians(degrees[k])
        down, across = i - (h - 1) / 2, j - (w - 1) / 2
        r = down * math.cos(theta) + across * math.sin(theta) + (h - 1) / 2
        s = across * math.cos(theta) - down * math.sin(theta) + (w - 1) / 2
        for a in (math.floor(r), math.floor(r) + 1):
            for b in (math.floor(s), math.floor(s) + 1):
                value = x[k, a, b, c] if 0 <= a < h and 0 <= b < w else fill
                y[k, i, j, c] += (1 - abs(r - a)) * (1 - abs(s - b)) * value
    return y


@pytest.mark.parametrize("fill", [0.0, 0.7])
@pytest.mark.parametrize("shape", [(5, 4), (4, 7), (1, 3)])
def test_rotated_agrees_with_plain_loops(xp, fill, shape, rng):
    x = images(n=6, h=shape[0], w=shape[1], dtype="float64")
    degrees = np.array([-180, -45, 0, 10.5, 90, 133])
    assert_close(rotated(xp.array(x), degrees, fill), turned(x, degrees, fill))
    x = x.astype("float32")
    assert_close(rotated(xp.array(x, "float32"), degrees, fill), turned(x, degrees, fill), dtype="float32")


def test_quarter_turns_are_exact(xp):
    x = images(n=3, h=6, w=6, dtype="float64")
    for quarters in range(-2, 3):
        expected = np.rot90(x, quarters, axes=(1, 2))
        assert_close(rotated(xp.array(x), np.full(3, 90.0 * quarters), 0.0), np.ascontiguousarray(expected))


def test_rotated_agrees_with_pillow():
    from PIL import Image

    smooth = np.random.default_rng(0).random((6, 7))
    picture = Image.fromarray(smooth.astype("float32")).resize((42, 36), Image.Resampling.BICUBIC)
    x = np.asarray(picture)[None, :, :, None]
    for degrees in (-70, 20, 45):
        theirs = np.asarray(picture.rotate(degrees, Image.Resampling.BILINEAR))
        ours = rotated(x, np.array([degrees]), 0.0)[0, :, :, 0]
        distance = np.hypot(*(np.indices(theirs.shape) - np.array([17.5, 20.5])[:, None, None]))
        assert np.abs(ours - theirs)[distance < 16].max() < 1e-4  # Pillow leaves the border to its own rule


def test_rotate_draws_angles_to_both_sides():
    """On a slope, r = i cos θ + j sin θ can be read off."""
    slope = np.broadcast_to(np.linspace(0, 1, 9)[:, None, None], (2000, 9, 9, 1))
    y = changed(Rotate(40), slope) * 8
    angles = np.rad2deg(np.arctan2(y[:, 4, 5, 0] - y[:, 4, 4, 0], y[:, 5, 4, 0] - y[:, 4, 4, 0]))
    assert np.abs(angles).max() <= 40 + 1e-6
    np.testing.assert_allclose(np.quantile(angles, [0.02, 0.25, 0.5, 0.75, 0.98]), [-38.4, -20, 0, 20, 38.4], atol=3.5)


def test_brightness_multiplies(rng):
    x = images(n=2000) / 3 + 0.01
    factors = changed(Brightness(0.4), x) / x
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-5  # one factor an image
    factors = factors[:, 0, 0, 0]
    assert factors.min() >= 0.6 - 1e-6
    assert factors.max() <= 1.4 + 1e-6
    np.testing.assert_allclose(np.quantile(factors, [0.02, 0.25, 0.5, 0.75]), [0.616, 0.8, 1, 1.2], atol=0.04)
    bright = changed(Brightness(1.0), np.full((200, 2, 2, 1), 0.9))
    assert bright.max() == 1


def test_contrast_keeps_the_mean_and_stretches_the_rest():
    x = images(n=2000, dtype="float64") / 4 + 0.375  # far from 0 and 1
    y = changed(Contrast(0.5), x)
    means = x.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3), keepdims=True), means, atol=1e-12)
    factors = (y - means) / (x - means)
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-8
    factors = factors[:, 0, 0, 0]
    np.testing.assert_allclose(np.quantile(factors, [0.02, 0.25, 0.5, 0.75]), [0.52, 0.75, 1, 1.25], atol=0.05)
    clipped = changed(Contrast(1), images(n=50))
    assert (clipped.min(), clipped.max()) == (0, 1)


@pytest.mark.parametrize("augmentation", [Brightness(0.6), Contrast(0.6)], ids=repr)
def test_light_agrees_with_pillow(augmentation):
    from PIL import Image, ImageEnhance

    enhance = getattr(ImageEnhance, type(augmentation).__name__)
    grey = np.random.default_rng(0).integers(0, 256, (30, 9, 8)).astype("uint8")
    y = changed(augmentation, grey[..., None] / 255)[..., 0] * 255
    factors = np.random.default_rng(0).uniform(0.4, 1.6, 30)
    for before, after, factor in zip(grey, y, factors, strict=True):
        expected = np.asarray(enhance(Image.fromarray(before)).enhance(factor)).astype(float)
        assert np.abs(after - expected).max() < 1.5  # Pillow rounds the mean and the result


@pytest.mark.parametrize("augmentation", [Shift(0), Crop(0), Rotate(0), Brightness(0), Contrast(0)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_changes_at_zero(xp, augmentation, dtype):
    x = xp.array(images(dtype=dtype), dtype)
    np.testing.assert_allclose(changed(augmentation, x), images(dtype=dtype), rtol=0, atol=2e-16)


def test_mixup_mixes_images_and_labels_alike(xp):
    """Image n is 1 at pixel n alone, so that the shares can be read off."""
    n = 40
    x = np.eye(n, dtype="float32").reshape(n, 8, 5, 1)
    labels = np.arange(n) % 7
    x_, y_ = Mixup(0.5, num_classes=7)(xp.array(x, "float32"), xp.array(labels), np.random.default_rng(0))
    shares = xpcnn.to_numpy(x_).reshape(n, n).astype(float)  # row n: what image n is made of
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0) > 0, True)
    others = shares.copy()
    np.fill_diagonal(others, 0)
    assert ((others > 0).sum(axis=1) <= 1).all()
    assert ((others > 0).sum(axis=0) <= 1).all()  # a permutation
    assert len(set(np.diag(shares).round(5))) > 20  # each image its own share
    assert_close(y_, (shares @ np.eye(7)[labels]).astype("float32"))
    loss = CrossEntropyLoss()(xp.array(np.zeros((n, 7)), "float32"), y_)
    assert float(loss) == pytest.approx(math.log(7), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 4.0])
def test_mixup_s_shares_are_of_a_beta_distribution(alpha):
    n = 2000
    targets = np.arange(n, dtype="float64") + 1
    _, mixed = Mixup(alpha)(np.ones((n, 1, 1, 1)), targets, np.random.default_rng(3))
    drawn = np.random.default_rng(3)
    shares, others = drawn.beta(alpha, alpha, n), drawn.permutation(n)
    np.testing.assert_allclose(mixed, shares * targets + (1 - shares) * targets[others])
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_mixup_of_targets_and_of_probabilities(xp):
    x = xp.array(images(n=6), "float32")
    for shape, dtype in (((6,), "float32"), ((6, 3), "float32"), ((6, 3), "float64")):
        targets = np.random.default_rng(2).normal(size=shape).astype(dtype)
        _, mixed = Mixup(1.0, num_classes=10)(x, xp.array(targets, dtype), np.random.default_rng(0))
        drawn = np.random.default_rng(0)
        shares = drawn.beta(1, 1, 6).reshape(6, *(1,) * (len(shape) - 1))
        expected = shares * targets + (1 - shares) * targets[drawn.permutation(6)]
        assert_close(mixed, expected.astype(dtype))


def test_mixup_refuses_labels_that_it_cannot_mix(xp):
    x, rng = xp.array(images(n=3), "float32"), np.random.default_rng(0)
    with pytest.raises(OptionError, match="Mixup: expected num_classes, as the labels are integers, got None"):
        Mixup(0.2)(x, xp.array(np.arange(3)), rng)
    for shape in ((2,), (3, 1, 1), (4, 3)):
        with pytest.raises(ShapeError, match=r"Mixup: expected targets \(3,\) or \(3, D\), got"):
            Mixup(0.2)(x, xp.array(np.zeros(shape)), rng)
    with pytest.raises(ShapeError, match=r"Mixup: expected labels \(3,\), got \(2,\)"):
        Mixup(0.2, 5)(x, xp.array(np.arange(2)), rng)
    with pytest.raises(DTypeError, match="Mixup: expected float32 or float64, got bool"):
        Mixup(0.2, 5)(x, xp.array(np.zeros(3, bool)), rng)
    if xp.backend == "numpy":
        with pytest.raises(DataError, match=r"Mixup: expected labels 0 … 1, got 0 … 2"):
            Mixup(0.2, 2)(x, np.arange(3), rng)


@pytest.mark.parametrize("augmentation", EXACT + ROUNDED, ids=repr)
def test_bad_batches_are_refused(xp, augmentation):
    who, rng, y = type(augmentation).__name__, np.random.default_rng(0), xp.array(np.zeros(2, "i8"))
    for shape in ((2, 5, 4), (5, 4, 2, 1, 1)):
        with pytest.raises(ShapeError, match=rf"{who}: expected input \(N, H, W, C\), got"):
            augmentation(xp.array(np.zeros(shape)), y, rng)
    with pytest.raises(ShapeError, match=f"{who}: .*skip empty batches"):
        augmentation(xp.array(np.zeros((0, 5, 4, 1))), y, rng)
    with pytest.raises(DTypeError, match=rf"{who}: expected float32 or float64, got uint8.*/ 255"):
        augmentation(xp.array(np.zeros((2, 5, 4, 1), "u1")), y, rng)
    for wrong in (None, 3, np.random):
        with pytest.raises(OptionError, match=f"{who}: expected rng: a NumPy Generator"):
            augmentation(xp.array(np.zeros((2, 5, 4, 1))), y, wrong)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Flip(p=1.5), r"Flip: expected p: a number in \[0, 1\], got 1.5"),
        (lambda: Flip(horizontal=False), "Flip: expected horizontal, vertical or both, got neither"),
        (lambda: Shift(-1), "Shift: expected pixels: an integer ≥ 0"),
        (lambda: Shift(1.5), "Shift: expected pixels"),
        (lambda: Shift(1, fill=2), r"Shift: expected fill: a number in \[0, 1\]"),
        (lambda: Crop((1, 2, 3)), "Crop: expected padding"),
        (lambda: Rotate(181), r"Rotate: expected degrees: a number in \[0, 180\]"),
        (lambda: Rotate(float("nan")), "Rotate: expected degrees"),
        (lambda: Rotate(3, fill=-1), "Rotate: expected fill"),
        (lambda: Brightness(-0.1), "Brightness: expected amount"),
        (lambda: Contrast("a"), "Contrast: expected amount"),
        (lambda: Cutout(0), "Cutout: expected size: an integer ≥ 1"),
        (lambda: Cutout(1, fill=3), "Cutout: expected fill"),
        (lambda: Mixup(0), r"Mixup: expected alpha: a number in \(0, inf\)"),
        (lambda: Mixup(math.inf), "Mixup: expected alpha"),
        (lambda: Mixup(1, 0), "Mixup: expected num_classes: an integer ≥ 1"),
        (lambda: Compose(Flip), "Compose: expected augmentations, such as Flip"),
        (lambda: Compose(Flip(), "crop"), "got 'crop'"),
    ],
)
def test_bad_options_are_refused(make, text):
    with pytest.raises(OptionError, match=text):
        make()


def test_images_must_be_larger_than_what_happens_to_them():
    for augmentation in (Shift((1, 4)), Shift((5, 1)), Crop(5), Shift(10**30)):
        with pytest.raises(OptionError, match=f"{type(augmentation).__name__}: expected less than the images' 5×4 pix"):
            changed(augmentation, images())
    for size in (6, 10**30):
        with pytest.raises(OptionError, match="Cutout: expected a size within the images' 5×4 pixels"):
            changed(Cutout(size), images())


def test_compose_goes_through_its_steps_in_their_order_with_one_generator():
    x, y = images(), np.arange(12)
    rng = np.random.default_rng(6)
    expected = Cutout(2)(*Shift(1)(x, y, rng), rng)[0]
    np.testing.assert_array_equal(changed(Compose(Shift(1), Cutout(2)), x, seed=6), expected)
    assert changed(Compose(), x) is x
    own = Compose(lambda x, y, rng: (x, y + 1), lambda x, y, rng: (x, y * 2))
    np.testing.assert_array_equal(own(x, y, rng)[1], (y + 1) * 2)


def test_parse():
    text = " flip,vflip, shift:2 ,crop:4,rotate:7.5,brightness:0.2,contrast:.3,cutout:8,mixup:0.2"
    expected = Compose(
        Flip(), Flip(horizontal=False, vertical=True), Shift(2), Crop(4), Rotate(7.5), Brightness(0.2), Contrast(0.3),
        Cutout(8), Mixup(0.2, 10),
    )  # fmt: skip
    assert augment.parse(text, 10).steps == expected.steps
    assert repr(augment.parse(text, 10)) == repr(expected)
    assert [form.partition(":")[0] for form in augment.forms()] == [
        word.split(":")[0].strip() for word in text.split(",")
    ]
    assert augment.parse("mixup:1").steps == (Mixup(1),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip,turn:5", r"augment: expected words among flip, vflip, shift:PIXELS, .*, mixup:ALPHA, got 'turn:5'"),
        ("", "got ''"),
        ("flip,,crop:4", "got ''"),
        ("Flip", "got 'Flip'"),
        ("flip,rotate", "augment: expected rotate:DEGREES, got 'rotate'"),
        ("flip:2", "augment: expected flip without a number, got 'flip:2'"),
        ("crop:", "augment: expected padding: an integer ≥ 0 or a pair of them, got 'crop:'"),
        ("crop:4.5", "augment: expected padding: .*, got 'crop:4.5'"),
        ("cutout:-3", "augment: expected size: an integer ≥ 1, got 'cutout:-3'"),
        ("rotate:steep", r"augment: expected degrees: a number in \[0, 180\], got 'rotate:steep'"),
        ("mixup:nan", "got 'mixup:nan'"),
        ("mixup:0.2:3", "got 'mixup:0.2:3'"),
        ("brightness:1e999", "got 'brightness:1e999'"),
    ],
)
def test_parse_names_the_word_that_is_wrong(text, message):
    with pytest.raises(OptionError, match=message) as caught:
        augment.parse(text, 10)
    assert "\n" not in str(caught.value)


def test_parse_takes_text_only():
    for wrong in (None, ["flip"], 3):
        with pytest.raises(OptionError, match="augment: expected text, such as 'flip,crop:4', got"):
            augment.parse(wrong)
