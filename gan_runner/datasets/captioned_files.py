"""Photographs with captions written by people, read from their published folder layouts."""

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
from gan_runner.datasets.folder import FileSource, subfolders
from gan_runner.datasets.labels import Classes, as_classes
from gan_runner.errors import DataError

Content = TypeVar("Content")
LETTERS = frozenset(ALPHABET) - {" "}


@dataclass(frozen=True, kw_only=True)
class CaptionedFiles(CaptionedImageDataset, ABC):
    """Image files with files of captions.

    Args:
        root: the folder with all files.
    """

    root: str
    image_size: int = 64

    name: ClassVar[str]
    advice: ClassVar[str]

    @property
    def folder(self) -> Path:
        """The absolute path of `root`."""
        return Path(self.root).expanduser().absolute()

    @property
    def has_test(self) -> bool:
        """True: each of these datasets has a test split."""
        return True

    def source(self) -> CaptionedSource:
        """Open the images for training and validation."""
        return self.open_split("train")

    def test_source(self) -> CaptionedSource:
        """Open the images of the test split."""
        return self.open_split("test")

    @abstractmethod
    def open_split(self, split: Split) -> CaptionedSource:
        """Open the images and captions for training or testing.

        Raises:
            DataError: a file is missing or broken.
        """

    def read(self, path: Path, parse: Callable[[Path], Content]) -> Content:
        """Return the parsed content of a file or folder.

        Raises:
            DataError: the path does not exist or cannot be parsed.
        """
        if not path.exists():
            raise DataError(f"there is no {path}; {self.advice}")
        try:
            return parse(path)
        except Exception as error:  # broken files raise errors of many types
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{path} cannot be read ({reason}); {self.advice}") from error

    def build_source(
        self, files: Sequence[Path], labels: Sequence[int], sentences: Sequence[Sequence[str]]
    ) -> CaptionedSource:
        """Combine image files with their labels and sentences.

        Raises:
            DataError: there are no images.
        """
        if not files:
            raise DataError(f"{self.folder} contains no images of {self.name} with captions; {self.advice}")
        images = FileSource(self.name, list(files), list(labels), self.image_size, self.channels)
        return CaptionedSource(images, collect_captions(sentences, torch.tensor(labels), self.caption_length))


@dataclass(frozen=True)
class Picture:
    """An image file of a class.

    Args:
        file: path of the image.
        text: path of its sentences.
        group: name of the folder of its class.
        label: index of its class.
        trains: whether it is a training image if images, and not classes, are split.
    """

    file: Path
    text: Path
    group: str
    label: int
    trains: bool


@dataclass(frozen=True, kw_only=True)
class CaptionedClasses(CaptionedFiles):
    """Images of classes with ten sentences per image (Reed et al. 2016, arXiv:1605.05395).

    Args:
        images: the folder in `root` with the images and their labels.
        texts: the folder in `root` with `text_c10/`, `trainvalclasses.txt` and `testclasses.txt`.
        zero_shot: test on unseen classes, the split published with the sentences; if false, test on unseen images of
            the same classes, the split published with the images.
        classes: names of the classes; None reads them from the files or numbers them.
    """

    images: str
    texts: str
    zero_shot: bool = True
    classes: tuple[str, ...] | None = None

    known: ClassVar[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        as_classes(self.classes)  # rejects empty and duplicate names

    @property
    def labels(self) -> Classes:
        """The classes."""
        return Classes(tuple(self.classes or self.names()))

    def names(self) -> Sequence[str]:
        """Return the default names of the classes: their numbers, from 1 on."""
        return [str(i + 1) for i in range(self.known)]

    @abstractmethod
    def pictures(self) -> Iterator[Picture]:
        """Yield all images in their published order."""

    def open_split(self, split: Split) -> CaptionedSource:
        """Open the images and captions for training or testing, split by class or by image."""
        pictures = list(self.pictures())
        if self.zero_shot:
            groups = {part: self.groups(part) for part in ("trainval", "test")}
            if both := sorted(groups["trainval"] & groups["test"]):
                raise DataError(f"{both[0]} is in both lists of classes in {self.folder / self.texts}; {self.advice}")
            wanted = groups["test" if split == "test" else "trainval"]
            pictures = [picture for picture in pictures if picture.group in wanted]
        else:
            pictures = [picture for picture in pictures if picture.trains == (split != "test")]
        known = self.labels.dim  # may read a folder
        if unknown := [picture for picture in pictures if not 0 <= picture.label < known]:
            raise DataError(
                f"{unknown[0].file} has class {unknown[0].label + 1}, and there are only {known} classes; {self.advice}"
            )
        sentences = [self.read(picture.text, read_sentences) for picture in pictures]
        return self.build_source([p.file for p in pictures], [p.label for p in pictures], sentences)

    def groups(self, part: str) -> set[str]:
        """Return the class folders of a published part, `trainval` or `test`."""
        path = self.folder / self.texts / f"{part}classes.txt"
        return set(self.read(path, lambda path: path.read_text("utf-8").split()))


@dataclass(frozen=True, kw_only=True)
class CUB(CaptionedClasses):
    """Caltech-UCSD Birds-200-2011 (Wah et al. 2011): 150 classes for training and 50 for testing."""

    images: str = "CUB_200_2011"
    texts: str = "cvpr2016_cub"

    name = "CUB-200-2011"
    known = 200
    advice = (
        "put CUB_200_2011/ (www.vision.caltech.edu/datasets/cub_200_2011) and the captions cvpr2016_cub/ "
        "(github.com/reedscot/cvpr2016) into one folder, and set dataset.root to it"
    )

    def names(self) -> Sequence[str]:
        """Return the names of the image folders, such as 001.Black_footed_Albatross, without their numbers.

        If the folders are missing, the classes are numbered.
        """
        folders = [name.partition(".") for name in subfolders(self.folder / self.images / "images")]
        names = [name for _, _, name in folders]
        in_order = [number.lstrip("0") for number, _, _ in folders] == [str(i + 1) for i in range(len(folders))]
        return names if folders and in_order else super().names()

    def pictures(self) -> Iterator[Picture]:
        """Yield the images that images.txt lists."""
        folder, text = self.folder / self.images, self.folder / self.texts / "text_c10"
        files = self.read(folder / "images.txt", read_pairs)
        numbers = self.read(folder / "image_class_labels.txt", read_numbers)
        trains = {} if self.zero_shot else self.read(folder / "train_test_split.txt", read_numbers)
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
    """Oxford's 102 category flowers (Nilsback & Zisserman 2008): 82 classes for training and 20 for testing."""

    images: str = "flowers-102"
    texts: str = "cvpr2016_flowers"

    name = "Oxford-102"
    known = 102
    advice = (
        "put jpg/, imagelabels.mat and setid.mat (www.robots.ox.ac.uk/~vgg/data/flowers/102) into flowers-102/, beside "
        "it the captions cvpr2016_flowers/ (github.com/reedscot/cvpr2016), and set dataset.root to the folder of both"
    )

    def pictures(self) -> Iterator[Picture]:
        """Yield the labelled images: image_00001.jpg and so on."""
        folder, text = self.folder / self.images, self.folder / self.texts / "text_c10"
        labels = self.read(folder / "imagelabels.mat", lambda path: read_matlab(path)["labels"].flatten().tolist())
        trains: set[int] = set()
        if not self.zero_shot:
            trains = self.read(folder / "setid.mat", lambda path: training_numbers(read_matlab(path)))
        for number, label in enumerate(labels, 1):
            group, name = f"class_{label:05}", f"image_{number:05}"
            file, sentences = folder / "jpg" / f"{name}.jpg", text / group / f"{name}.txt"
            yield Picture(file, sentences, group, label - 1, number in trains)


@dataclass(frozen=True, kw_only=True)
class COCO(CaptionedFiles):
    """COCO with captions (Chen et al. 2015, arXiv:1504.00325): about five sentences per image, no classes.

    Its validation images are the test split, since the captions of its test images are not published.

    Args:
        year: 2014 or 2017; both have the same images, split differently.
    """

    year: Literal[2014, 2017] = 2017

    name = "COCO"
    advice = (
        "unzip annotations/ and the images (cocodataset.org/#download: train, val, and their annotations) into one "
        "folder, and set dataset.root to it"
    )

    def open_split(self, split: Split) -> CaptionedSource:
        """Open the images that have captions, ordered by number."""
        part = f"{'val' if split == 'test' else 'train'}{self.year}"
        path = self.folder / "annotations" / f"captions_{part}.json"
        files, sentences = self.read(path, read_annotations)
        numbers = [number for number in sorted(files) if sentences[number]]
        if not (self.folder / part).is_dir():
            raise DataError(f"there is no {self.folder / part}; {self.advice}")
        images = [self.folder / part / files[number] for number in numbers]
        return self.build_source(images, [0] * len(images), [sentences[number] for number in numbers])


def read_sentences(path: Path) -> list[str]:
    """Read a file with one sentence per line.

    Raises:
        ValueError: the file has no sentence.
    """
    sentences = non_empty(path.read_text("utf-8", "replace").splitlines())
    if not sentences:
        raise ValueError("it contains no sentence")
    return sentences


def non_empty(lines: Sequence[str]) -> list[str]:
    """Return the lines with at least one character of the alphabet that is not a space."""
    return [line for line in lines if LETTERS & set(line.lower())]


def read_pairs(path: Path) -> dict[str, str]:
    """Read a file with one key and value per line.

    Raises:
        ValueError: the file has another format.
    """
    pairs = [line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError("its lines are not pairs of a key and a value")
    return {key: value.strip() for key, value in pairs}


def read_numbers(path: Path) -> dict[str, int]:
    """Read a file with one key and number per line.

    Raises:
        ValueError: the file has another format.
    """
    return {key: int(value) for key, value in read_pairs(path).items()}


def read_matlab(path: Path) -> dict[str, Any]:
    """Read the variables of a MATLAB file."""
    from scipy.io import loadmat

    return loadmat(path)


def training_numbers(sets: dict[str, Any]) -> set[int]:
    """Return the numbers of the images that are not in the test split."""
    return {*sets["trnid"].flatten().tolist(), *sets["valid"].flatten().tolist()}


def read_annotations(path: Path) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Read COCO's annotations: file names and sentences by image number."""
    content = json.loads(path.read_text("utf-8"))
    sentences: dict[int, list[str]] = defaultdict(list)
    for annotation in content["annotations"]:
        sentences[annotation["image_id"]] += non_empty([annotation["caption"]])
    return {image["id"]: image["file_name"] for image in content["images"]}, sentences
