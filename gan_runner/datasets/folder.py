"""A folder of the user's own images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gan_runner.datasets.images import ImageDataset, Source
from gan_runner.datasets.labels import Labels, classes, listed
from gan_runner.errors import DataError

LOOSE = "."
"""The class of images that lie beside the folders of the others."""

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")

SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
"""Names of folders that are hardly those of classes."""


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ImageDataset):
    """Every image below a folder, flat or one subfolder a class, of any size, grey or colour.

    Args:
        root: the folder. Files are found at any depth; a file's class is the first folder on the way to it.
        test_root: another, of the same classes, for testing.
        classes: the names of the folders that are classes; None takes all that there are in `root`, sorted.
    """

    root: str
    test_root: str | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        classes(self.classes)  # refuses names by which nothing can be chosen
        found = subfolders(Path(self.root).expanduser()) if self.classes is None else ()
        if "train" in found and set(found) <= SPLITS:
            raise DataError(
                f"the folders in {self.root} look like splits of data, not like classes ({', '.join(found)}); choose "
                f"dataset.root={Path(self.root) / 'train'} and perhaps dataset.test_root, or, if they are classes, "
                f"dataset.classes=[{','.join(found)}]"
            )

    @property
    def labels(self) -> Labels | None:
        """The folders that are classes; None where there are none, or where they are not named and not at hand."""
        return classes(self.classes or subfolders(Path(self.root).expanduser()) or None)

    @property
    def has_test(self) -> bool:
        """Whether there is a folder for testing."""
        return self.test_root is not None

    def source(self) -> Source:
        """The files for training."""
        return self.listed("root", self.root)

    def test_source(self) -> Source:
        """The files for testing."""
        assert self.test_root is not None
        return self.listed("test_root", self.test_root)

    def listed(self, option: str, root: str) -> Source:
        """List the files below a folder, sorted."""
        folder = Path(root).expanduser().absolute()
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}; set dataset.{option} to the folder of your images")
        files = sorted(image_files(folder))
        if not files:
            raise DataError(
                f"{folder} holds no images; set dataset.{option} to a folder of {', '.join(EXTENSIONS)} files"
            )
        return Source(str(folder), Files(files, self.numbers(folder, files)), self.image_size, self.channels, files)

    def numbers(self, folder: Path, files: list[Path]) -> list[int]:
        """The class of each of the files in a folder, all 0 if there are no classes.

        Raises:
            DataError: a file is of none of the classes.
        """
        if self.labels is None:
            return [0] * len(files)
        number = {name: i for i, name in enumerate(self.labels.names)}
        names = [path.relative_to(folder).parts[0] if path.parent != folder else LOOSE for path in files]
        if unknown := sorted(set(names) - set(number)):
            raise DataError(
                f"{folder / unknown[0]} is none of the classes {listed(self.labels.names)}; "
                "move its images, or set dataset.classes"
            )
        return [number[name] for name in names]


class Files:
    """Image files with the numbers of their classes."""

    def __init__(self, files: list[Path], labels: list[int]):
        self.files = files
        self.labels = labels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.open(self.files[index]), self.labels[index]


def subfolders(folder: Path) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted, with one for images beside them; none where there is no folder."""
    if not folder.is_dir():
        return ()
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    names = {entry.name for entry in entries if entry.is_dir()}
    loose = names and any(entry.name.lower().endswith(EXTENSIONS) for entry in entries if entry.is_file())
    return tuple(sorted(names | ({LOOSE} if loose else set())))


def image_files(folder: Path) -> Iterator[Path]:
    """Every image below a folder, through links too; hidden files and folders are passed over."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS):
                yield Path(parent, name)
