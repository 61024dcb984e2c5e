"""MNIST and two data sets in its form: grey images in ten classes, in four IDX files.

Found on this machine, or downloaded once. Fashion-MNIST and Kuzushiji-MNIST have files of the same names, so these
are searched only in separate folders.

Source
    mnist: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits
    fashion_mnist: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017, https://arxiv.org/abs/1708.07747; MIT
    kmnist: T. Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018,
        https://arxiv.org/abs/1812.01718, https://doi.org/10.20676/00000341; CC BY-SA 4.0
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import FormatError
from ..io.idx import read_idx
from .dataset import Dataset
from .download import RemoteFile
from .locations import Folder, Mirrors, RemoteFiles
from .scale import BYTE
from .split import Split

_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MOST_BYTES = 64 * 2**20  # in one array; the largest has 45 MiB


def _files(*published: tuple[int, str]) -> tuple[RemoteFile, ...]:
    """The four files, from the size and SHA-256 of each, in the order of `_NAMES`."""
    return tuple(
        RemoteFile(
            f"{name}.gz", size, sha256, (name, name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
        )
        for name, (size, sha256) in zip(_NAMES, published, strict=True)
    )


MNIST = RemoteFiles(
    "mnist",
    _files(
        (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ("", "mnist", "MNIST/raw"),  # the last as torchvision has it
)
FASHION_MNIST = RemoteFiles(
    "fashion_mnist",
    _files(
        (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    ("fashion_mnist", "FashionMNIST/raw"),
)
KMNIST = RemoteFiles(
    "kmnist",
    _files(
        (18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        (29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        (3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        (5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ),
    ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    ("kmnist", "KMNIST/raw"),
)
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def mnist(folder: Folder = None, *, mirrors: Mirrors = None) -> Dataset:
    """MNIST, handwritten digits: images (N, 28, 28, 1) of uint8, 60,000 to train and 10,000 to test on.

    Parameters
        folder : where the four IDX files are (gzip-compressed or not), or where to put them; by default xpcnn
            searches XPCNN_DATA, its subfolder mnist, and the user's cache folder
        mirrors : addresses of folders to download missing files from, instead of the known ones
    Raises
        DataError : a folder does not exist, or a file is not found and cannot be downloaded
        FormatError : a file is not the expected one
        MissingExtraError : a download would need pooch

    >>> mnist().train  # doctest: +SKIP
    Split(60000 images (28, 28, 1), labels 0 … 9)
    """
    return _load(MNIST, folder, mirrors, tuple("0123456789"))


def fashion_mnist(folder: Folder = None, *, mirrors: Mirrors = None) -> Dataset:
    """Fashion-MNIST, pictures of clothes: images (N, 28, 28, 1) of uint8, 60,000 to train and 10,000 to test on.

    Parameters, Raises
        as of `mnist`; XPCNN_DATA's subfolder is fashion_mnist

    >>> fashion_mnist().train  # doctest: +SKIP
    Split(60000 images (28, 28, 1), labels 0 … 9)
    """
    return _load(FASHION_MNIST, folder, mirrors, CLOTHES)


def kmnist(folder: Folder = None, *, mirrors: Mirrors = None) -> Dataset:
    """Kuzushiji-MNIST, cursive hiragana: images (N, 28, 28, 1) of uint8, 60,000 to train and 10,000 to test on.

    The classes are named by their reading: o お, ki き, su す, tsu つ, na な, ha は, ma ま, ya や, re れ, wo を.

    Parameters, Raises
        as of `mnist`; XPCNN_DATA's subfolder is kmnist

    >>> kmnist().train  # doctest: +SKIP
    Split(60000 images (28, 28, 1), labels 0 … 9)
    """
    return _load(KMNIST, folder, mirrors, KANA)


def _load(source: RemoteFiles, folder: Folder, mirrors: Mirrors, classes: tuple[str, ...]) -> Dataset:
    images, labels, test_images, test_labels = source.fetch(folder, mirrors)
    return Dataset(source.name, _read_split(images, labels), _read_split(test_images, test_labels), classes)


def _read_split(images_path: Path, labels_path: Path) -> Split:
    images, labels = read_idx(images_path, most_bytes=_MOST_BYTES), read_idx(labels_path, most_bytes=_MOST_BYTES)
    for path, array, shape in ((images_path, images, ("N", 28, 28)), (labels_path, labels, ("N",))):
        if array.dtype != np.uint8 or array.ndim != len(shape) or array.shape[1:] != shape[1:]:
            expected = f"uint8 ({', '.join(map(str, shape))})"
            raise FormatError(str(path), expected, f"{array.dtype} {array.shape}", "check which file it is")
    return Split(images[..., None], labels.astype(np.int64), BYTE)  # (N, 28, 28, 1), (N,)
