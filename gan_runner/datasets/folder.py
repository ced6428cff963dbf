"""A folder of the user's own images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gan_runner.datasets.images import ImageDataset, Source
from gan_runner.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ImageDataset):
    """Every image below a folder, flat or one subfolder a class, of any size, grey or colour.

    Args:
        root: the folder. Files are found at any depth; a file's class is the first folder on the way to it.
        test_root: another, of the same classes, for testing.
    """

    root: str
    test_root: str | None = None

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
        return Source(str(folder), Files(folder, files), self.image_size, self.channels, files)


class Files:
    """Image files with their classes.

    Args:
        folder: where the classes are subfolders.
        files: below it.
    """

    def __init__(self, folder: Path, files: list[Path]):
        self.files = files
        classes = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in files]
        number = {name: i for i, name in enumerate(sorted(set(classes)))}
        self.labels = [number[name] for name in classes]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.open(self.files[index]), self.labels[index]


def image_files(folder: Path) -> Iterator[Path]:
    """Every image below a folder, through links too; hidden files and folders are passed over."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS):
                yield Path(parent, name)
