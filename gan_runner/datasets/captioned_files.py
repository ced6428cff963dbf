"""Photographs with captions that people wrote, in their published layouts."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch

from gan_runner.datasets.base import Split
from gan_runner.datasets.captions import ALPHABET, CaptionedImageDataset, CaptionedSource, collect_captions
from gan_runner.datasets.folder import Files, subfolders
from gan_runner.datasets.images import Source
from gan_runner.datasets.labels import Classes, classes
from gan_runner.errors import DataError

Content = TypeVar("Content")
LETTERS = frozenset(ALPHABET) - {" "}


@dataclass(frozen=True, kw_only=True)
class CaptionedFiles(CaptionedImageDataset, ABC):
    """Image files, and files that hold sentences about them.

    Args:
        root: the folder that holds everything.
    """

    root: str
    image_size: int = 64

    name: ClassVar[str]
    advice: ClassVar[str]

    @property
    def folder(self) -> Path:
        """`root`, in full."""
        return Path(self.root).expanduser().absolute()

    @property
    def has_test(self) -> bool:
        """They all have."""
        return True

    def source(self) -> CaptionedSource:
        """Those for training."""
        return self.chosen("train")

    def test_source(self) -> CaptionedSource:
        """Those for testing."""
        return self.chosen("test")

    @abstractmethod
    def chosen(self, split: Split) -> CaptionedSource:
        """Those for training or for testing.

        Raises:
            DataError: a file is missing or broken.
        """

    def read(self, path: Path, understand: Callable[[Path], Content]) -> Content:
        """What a file or folder holds.

        Raises:
            DataError: it is not there, or holds something else.
        """
        if not path.exists():
            raise DataError(f"there is no {path}; {self.advice}")
        try:
            return understand(path)
        except Exception as error:  # whatever a reader makes of broken bytes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{path} cannot be read ({reason}); {self.advice}") from error

    def gathered(
        self, files: Sequence[Path], labels: Sequence[int], sentences: Sequence[Sequence[str]]
    ) -> CaptionedSource:
        """Images with their labels and their sentences.

        Raises:
            DataError: there are none.
        """
        if not files:
            raise DataError(f"{self.folder} has no such images of {self.name} with captions; {self.advice}")
        images = Source(self.name, Files(list(files), list(labels)), self.image_size, self.channels, files)
        return CaptionedSource(images, collect_captions(sentences, torch.tensor(labels), self.caption_length))


@dataclass(frozen=True)
class Picture:
    """An image file.

    Args:
        file: where it is.
        text: where the sentences about it are.
        group: the folder of its class.
        label: the number of its class, from 0 on.
        trains: whether it is for training where images are split, and not classes.
    """

    file: Path
    text: Path
    group: str
    label: int
    trains: bool


@dataclass(frozen=True, kw_only=True)
class CaptionedClasses(CaptionedFiles):
    """Images of classes, with ten sentences each (Reed et al. 2016, arXiv:1605.05395).

    Args:
        images: the folder below `root` that holds the images and their labels.
        texts: the folder below `root` that holds `text_c10/`, `trainvalclasses.txt` and `testclasses.txt`.
        zero_shot: test on classes that are not trained on, as published with the sentences; otherwise on other
            images of the same classes, as published with the images.
        classes: their names; None takes those that there are.
    """

    images: str
    texts: str
    zero_shot: bool = True
    classes: tuple[str, ...] | None = None

    known: ClassVar[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        classes(self.classes)  # refuses names by which nothing can be chosen

    @property
    def labels(self) -> Classes:
        """The classes."""
        return Classes(tuple(self.classes or self.names()))

    def names(self) -> Sequence[str]:
        """What they are called where nothing else is said: by their numbers from 1 on."""
        return [str(i + 1) for i in range(self.known)]

    @abstractmethod
    def pictures(self) -> Iterator[Picture]:
        """All images, in the order in which they were published."""

    def chosen(self, split: Split) -> CaptionedSource:
        """Those for training or for testing, by class or by image."""
        pictures = list(self.pictures())
        if self.zero_shot:
            groups = {part: self.groups(part) for part in ("trainval", "test")}
            if both := sorted(groups["trainval"] & groups["test"]):
                raise DataError(f"{both[0]} is in both lists of classes in {self.folder / self.texts}; {self.advice}")
            wanted = groups["test" if split == "test" else "trainval"]
            pictures = [picture for picture in pictures if picture.group in wanted]
        else:
            pictures = [picture for picture in pictures if picture.trains == (split != "test")]
        known = self.labels.dim  # which may look into a folder
        if beyond := [picture for picture in pictures if not 0 <= picture.label < known]:
            raise DataError(f"{beyond[0].file} is of class {beyond[0].label + 1} of {known}; {self.advice}")
        sentences = [self.read(picture.text, written) for picture in pictures]
        return self.gathered([p.file for p in pictures], [p.label for p in pictures], sentences)

    def groups(self, part: str) -> set[str]:
        """The folders of the classes for training and validation, or for testing."""
        path = self.folder / self.texts / f"{part}classes.txt"
        return set(self.read(path, lambda path: path.read_text("utf-8").split()))


@dataclass(frozen=True, kw_only=True)
class CUB(CaptionedClasses):
    """Caltech-UCSD CUB-200-2011 (Wah et al. 2011), 150 classes for training and 50 for testing."""

    images: str = "CUB_200_2011"
    texts: str = "cvpr2016_cub"

    name = "CUB-200-2011"
    known = 200
    advice = (
        "put CUB_200_2011/ (www.vision.caltech.edu/datasets/cub_200_2011) and the captions cvpr2016_cub/ "
        "(github.com/reedscot/cvpr2016) into one folder, and set dataset.root to it"
    )

    def names(self) -> Sequence[str]:
        """The names of the folders of images, 001.Black_footed_Albatross and so on, where these are at hand."""
        folders = [name.partition(".") for name in subfolders(self.folder / self.images / "images")]
        names = [name for _, _, name in folders]
        in_order = [number.lstrip("0") for number, _, _ in folders] == [str(i + 1) for i in range(len(folders))]
        return names if folders and in_order else super().names()

    def pictures(self) -> Iterator[Picture]:
        """Those that are listed in images.txt."""
        folder, text = self.folder / self.images, self.folder / self.texts / "text_c10"
        files = self.read(folder / "images.txt", pairs)
        numbers = self.read(folder / "image_class_labels.txt", numbered)
        trains = {} if self.zero_shot else self.read(folder / "train_test_split.txt", numbered)
        for key, file in files.items():
            if key not in numbers or (trains and key not in trains):
                raise DataError(f"image {key} of {folder / 'images.txt'} has no class or no split; {self.advice}")
            yield Picture(
                folder / "images" / file,
                (text / file).with_suffix(".txt"),
                file.partition("/")[0],
                numbers[key] - 1,
                trains.get(key) == 1,
            )


@dataclass(frozen=True, kw_only=True)
class Oxford102(CaptionedClasses):
    """Oxford's 102 category flowers (Nilsback & Zisserman 2008), 82 classes for training and 20 for testing."""

    images: str = "flowers-102"
    texts: str = "cvpr2016_flowers"

    name = "Oxford-102"
    known = 102
    advice = (
        "put jpg/, imagelabels.mat and setid.mat (www.robots.ox.ac.uk/~vgg/data/flowers/102) into flowers-102/, beside "
        "it the captions cvpr2016_flowers/ (github.com/reedscot/cvpr2016), and set dataset.root to the folder of both"
    )

    def pictures(self) -> Iterator[Picture]:
        """Those that have a label: image_00001.jpg, and so on."""
        folder, text = self.folder / self.images, self.folder / self.texts / "text_c10"
        labels = self.read(folder / "imagelabels.mat", lambda path: matrices(path)["labels"].flatten().tolist())
        trains: set[int] = set()
        if not self.zero_shot:
            trains = self.read(folder / "setid.mat", lambda path: training(matrices(path)))
        for number, label in enumerate(labels, 1):
            group, name = f"class_{label:05}", f"image_{number:05}"
            file, sentences = folder / "jpg" / f"{name}.jpg", text / group / f"{name}.txt"
            yield Picture(file, sentences, group, label - 1, number in trains)


@dataclass(frozen=True, kw_only=True)
class COCO(CaptionedFiles):
    """COCO's captions (Chen et al. 2015, arXiv:1504.00325): about five sentences of each scene, no classes.

    Its validation images are the test split, since captions of its test images were not published.

    Args:
        year: 2014 or 2017, which share out the same images in other ways.
    """

    year: Literal[2014, 2017] = 2017

    name = "COCO"
    advice = (
        "unzip annotations/ and the images (cocodataset.org/#download: train, val, and their annotations) into one "
        "folder, and set dataset.root to it"
    )

    def chosen(self, split: Split) -> CaptionedSource:
        """Those that have a caption, in the order of their numbers."""
        part = f"{'val' if split == 'test' else 'train'}{self.year}"
        path = self.folder / "annotations" / f"captions_{part}.json"
        files, about = self.read(path, annotated)
        numbers = [number for number in sorted(files) if about[number]]
        if not (self.folder / part).is_dir():
            raise DataError(f"there is no {self.folder / part}; {self.advice}")
        images = [self.folder / part / files[number] for number in numbers]
        return self.gathered(images, [0] * len(images), [about[number] for number in numbers])


def written(path: Path) -> list[str]:
    """The sentences in a file, one a line.

    Raises:
        ValueError: there are none.
    """
    sentences = said(path.read_text("utf-8", "replace").splitlines())
    if not sentences:
        raise ValueError("it holds no sentence")
    return sentences


def said(lines: Sequence[str]) -> list[str]:
    """Those lines that hold a letter, a digit or a sign."""
    return [line for line in lines if LETTERS & set(line.lower())]


def pairs(path: Path) -> dict[str, str]:
    """A file of lines of a key and a value.

    Raises:
        ValueError: it holds something else.
    """
    found = [line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not found or any(len(pair) != 2 for pair in found):
        raise ValueError("its lines are no pairs")
    return {key: value.strip() for key, value in found}


def numbered(path: Path) -> dict[str, int]:
    """A file of lines of a key and a number.

    Raises:
        ValueError: it holds something else.
    """
    return {key: int(value) for key, value in pairs(path).items()}


def matrices(path: Path) -> dict[str, Any]:
    """A file of MATLAB's."""
    from scipy.io import loadmat

    return loadmat(path)


def training(sets: dict[str, Any]) -> set[int]:
    """The numbers of the images that are not for testing."""
    return {*sets["trnid"].flatten().tolist(), *sets["valid"].flatten().tolist()}


def annotated(path: Path) -> tuple[dict[int, str], dict[int, list[str]]]:
    """File names and sentences by the numbers of images, of COCO's annotations."""
    content = json.loads(path.read_text("utf-8"))
    about: dict[int, list[str]] = defaultdict(list)
    for note in content["annotations"]:
        about[note["image_id"]] += said([note["caption"]])
    return {image["id"]: image["file_name"] for image in content["images"]}, about
