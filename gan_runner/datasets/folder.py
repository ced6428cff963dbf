"""A folder of the user's own images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gan_runner.datasets.images import ImageDataset, Source
from gan_runner.errors import DataError

Image.init()
EXTENSIONS = frozenset(Image.registered_extensions())


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ImageDataset):
    """Every image below a folder, flat or one subfolder a class, of any size, grey or colour.

    Args:
        root: the folder. Files are found at any depth; a file's class is the first folder on the way to it.
    """

    root: str

    def source(self) -> Source:
        """List the files, sorted; hidden ones are passed over."""
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise DataError(
                f"there is no folder {folder.absolute()}; set dataset.root to the folder that holds your images"
            )
        files = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in EXTENSIONS
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
        if not files:
            raise DataError(
                f"{folder.absolute()} holds no images; set dataset.root to a folder of .png, .jpg or .webp files"
            )
        return Source(folder.name or str(folder), Files(folder, files), self.image_size, self.channels)


class Files:
    """Image files with their classes.

    Args:
        folder: where the classes are subfolders.
        files: below it.
    """

    def __init__(self, folder: Path, files: list[Path]):
        self.files = files
        parents = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in files]
        self.classes = sorted(set(parents))
        self.labels = [self.classes.index(parent) for parent in parents]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path = self.files[index]
        try:
            with Image.open(path) as image:
                image.load()
                return image, self.labels[index]
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} cannot be read as an image ({error}); mend or remove it") from error
