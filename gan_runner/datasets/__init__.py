"""Data: what is real.

A dataset knows the `shape` of a sample and whether samples are `bounded` in [−1, 1] before any file is read;
`load` reads the files. Afterwards `batches` yields batches on a device, each a function of the seed and its
number alone, so that a resumed run sees the same data as one that was never stopped.
"""

from gan_runner.datasets.base import Batches, Data, Dataset
from gan_runner.datasets.captioned_files import Birds, CommonObjects, Flowers
from gan_runner.datasets.captions import CaptionedImageDataset, CaptionedImages
from gan_runner.datasets.digits import Digits
from gan_runner.datasets.folder import ImageFolder
from gan_runner.datasets.labelled import LabelledSubset, PartlyLabelled
from gan_runner.datasets.labels import Attributes, Classes, Labels
from gan_runner.datasets.point import PointMass
from gan_runner.datasets.shapes import CaptionedShapes
from gan_runner.datasets.stacked import StackedDigits
from gan_runner.datasets.tinted import TintedDigits
from gan_runner.datasets.torchvision import TorchvisionImages
from gan_runner.datasets.toy import Density, GaussianMixture, Grid, ParallelLines, Ring, SwissRoll

__all__ = [
    "Attributes",
    "Batches",
    "Birds",
    "CaptionedImageDataset",
    "CaptionedImages",
    "CaptionedShapes",
    "Classes",
    "CommonObjects",
    "Data",
    "Dataset",
    "Density",
    "Digits",
    "Flowers",
    "GaussianMixture",
    "Grid",
    "ImageFolder",
    "LabelledSubset",
    "Labels",
    "ParallelLines",
    "PartlyLabelled",
    "PointMass",
    "Ring",
    "StackedDigits",
    "SwissRoll",
    "TintedDigits",
    "TorchvisionImages",
]
