"""Data sets and batches."""

from ..habits import names_of
from . import augment
from .array_file import array_file
from .cifar import cifar10, cifar100
from .csv_file import csv_file
from .dataset import Dataset
from .digits import digits
from .hdf5_file import hdf5_file
from .image_folder import image_folder
from .loader import Loader
from .mask_folder import mask_folder
from .mnist import fashion_mnist, kmnist, mnist
from .picture_table import picture_table
from .registry import load, load_parts, names
from .signs import signs
from .split import Split
from .splits import Parts
from .tar_shards import tar_shards

__all__ = [
    "Dataset",
    "Loader",
    "Parts",
    "Split",
    "array_file",
    "augment",
    "cifar10",
    "cifar100",
    "csv_file",
    "digits",
    "fashion_mnist",
    "hdf5_file",
    "image_folder",
    "kmnist",
    "load",
    "load_parts",
    "mask_folder",
    "mnist",
    "names",
    "picture_table",
    "signs",
    "tar_shards",
]

__getattr__ = names_of(__name__, __all__)
