"""Images of the user's own, in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gan_runner.datasets.images import ImageDataset, Source
from gan_runner.datasets.labels import Labels, as_classes, format_choices
from gan_runner.errors import DataError

LOOSE = "."
"""The class of images that are directly in the folder, beside the subfolders of the other classes."""

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")

SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
"""Names of folders that usually are splits and not classes."""


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ImageDataset):
    """All images in a folder, of any size, grey or colour. Subfolders are classes.

    Args:
        root: the folder. Files are found at any depth; the class of a file is the first subfolder on its path.
        test_root: a folder with the same classes for the test split.
        classes: names of the class folders; None takes all subfolders of `root`, sorted.
    """

    root: str
    test_root: str | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        as_classes(self.classes)  # rejects empty and duplicate names
        found = subfolders(Path(self.root).expanduser()) if self.classes is None else ()
        if "train" in found and set(found) <= SPLITS:
            raise DataError(
                f"the folders in {self.root} look like splits, not like classes ({', '.join(found)}); set "
                f"dataset.root={Path(self.root) / 'train'} and perhaps dataset.test_root, or, if they are classes, "
                f"dataset.classes=[{','.join(found)}]"
            )

    @property
    def labels(self) -> Labels | None:
        """The class folders; None if there are none, or if `classes` is not set and the folder is missing."""
        return as_classes(self.classes or subfolders(Path(self.root).expanduser()) or None)

    @property
    def has_test(self) -> bool:
        """Whether there is a folder for the test split."""
        return self.test_root is not None

    def source(self) -> Source:
        """List the files for training and validation."""
        return self.list_images("root", self.root)

    def test_source(self) -> Source:
        """List the files of the test split."""
        assert self.test_root is not None
        return self.list_images("test_root", self.test_root)

    def list_images(self, option: str, root: str) -> Source:
        """List the image files in a folder, sorted; `option` is the key that sets the folder."""
        folder = Path(root).expanduser().absolute()
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}; set dataset.{option} to the folder of your images")
        files = sorted(image_files(folder))
        if not files:
            raise DataError(
                f"{folder} contains no images; set dataset.{option} to a folder of {', '.join(EXTENSIONS)} files"
            )
        return Source(
            str(folder), Files(files, self.class_indices(folder, files)), self.image_size, self.channels, files
        )

    def class_indices(self, folder: Path, files: list[Path]) -> list[int]:
        """Return the class index of each file in a folder; all are 0 if there are no classes.

        Raises:
            DataError: a file is in a folder that is not a class.
        """
        if self.labels is None:
            return [0] * len(files)
        index = {name: i for i, name in enumerate(self.labels.names)}
        names = [path.relative_to(folder).parts[0] if path.parent != folder else LOOSE for path in files]
        if unknown := sorted(set(names) - set(index)):
            raise DataError(
                f"{folder / unknown[0]} is not one of the classes {format_choices(self.labels.names)}; "
                "move its images, or set dataset.classes"
            )
        return [index[name] for name in names]


class Files:
    """Image files with their class indices."""

    def __init__(self, files: list[Path], labels: list[int]):
        self.files = files
        self.labels = labels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.open(self.files[index]), self.labels[index]


def subfolders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the subfolders of a folder, with `LOOSE` if there are images beside them.

    The result is empty if the folder does not exist.
    """
    if not folder.is_dir():
        return ()
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    names = {entry.name for entry in entries if entry.is_dir()}
    loose = names and any(entry.name.lower().endswith(EXTENSIONS) for entry in entries if entry.is_file())
    return tuple(sorted(names | ({LOOSE} if loose else set())))


def image_files(folder: Path) -> Iterator[Path]:
    """Yield every image file in a folder at any depth. Links are followed; hidden files and folders are skipped."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS):
                yield Path(parent, name)
