"""Images of the user's own, in a folder."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image
from torch import Tensor

from gan_runner.datasets.images import ImageDataset, Source, fixed_choice
from gan_runner.datasets.labels import Labels, as_classes, format_choices
from gan_runner.errors import DataError
from gan_runner.tools.cache import key_of
from gan_runner.tools.ownership import is_own

log = logging.getLogger("gan_runner")

LOOSE = "."
"""The class of images that are directly in the folder, beside the subfolders of the other classes."""

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)

UNREAD_EXTENSIONS = (
    *(".heic", ".heif", ".jxl", ".jp2", ".tga", ".psd", ".svg", ".eps", ".exr", ".hdr", ".dcm", ".nii"),
    *(".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".npy", ".npz"),
)
"""Images of other kinds: a warning counts them."""

SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
"""Names of folders that usually are splits and not classes."""

NOT_DATA = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
"""Folders that archive programs and file systems add."""

LABELS_FILE = "dataset.json"
"""The labels of all images of a folder, as NVIDIA's `dataset_tool.py` writes them (StyleGAN2-ADA and later)."""

CONTENT_BYTES = 2**16
"""Bytes of a file that a digest reads."""


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ImageDataset):
    """All images in a folder, of any size, grey or colour. Subfolders are classes.

    Args:
        root: the folder. Files are found at any depth. The class of a file is the first subfolder on its path; if the
            folder has a `dataset.json`, it is the number that this file gives it.
        test_root: a folder with the same classes for the test split.
        classes: names of the classes; None takes all that have an image in `root`, sorted.
    """

    root: str
    test_root: str | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        as_classes(self.classes)  # rejects empty and duplicate names
        found = self.found if self.classes is None else ()
        if "train" in found and set(found) <= SPLITS:
            raise DataError(
                f"the folders in {self.root} look like splits, not like classes ({', '.join(found)}); set "
                f"dataset.root={Path(self.root) / 'train'} and perhaps dataset.test_root, or, if they are classes, "
                f"dataset.classes=[{','.join(found)}]"
            )

    @property
    def labels(self) -> Labels | None:
        """The classes; None if there are none, or if `classes` is not set and the folder is missing."""
        return as_classes(self.classes or self.found or None)

    @cached_property
    def found(self) -> tuple[str, ...]:
        """The names of the classes in `root`, in order; empty if there are none, or no such folder."""
        folder = absolute(self.root)
        names = {*classes_of(folder, self.listing)} - {LOOSE}
        if read_labels(folder) is not None:
            return tuple(sorted(names, key=int))
        return tuple(sorted({*classes_of(folder, self.listing)})) if names else ()

    @cached_property
    def listing(self) -> list[Path]:
        """The image files in `root`, sorted; empty if there is no such folder."""
        return sorted(image_files(absolute(self.root)))

    @property
    def has_test(self) -> bool:
        """Whether there is a folder for the test split."""
        return self.test_root is not None

    def source(self) -> Source:
        """List the files for training and validation.

        Raises:
            DataError: there is no image, or a class has none.
        """
        folder = absolute(self.root)
        source = self.list_images("root", folder, self.listing)
        present = {*classes_of(folder, self.listing)}
        if empty := [name for name in (self.labels.names if self.labels else ()) if name not in present]:
            raise DataError(f"{folder} has no image of the class {empty[0]}; add some, or set dataset.classes")
        return source

    def test_source(self) -> Source:
        """List the files of the test split."""
        assert self.test_root is not None
        folder = absolute(self.test_root)
        return self.list_images("test_root", folder, sorted(image_files(folder)))

    def list_images(self, option: str, folder: Path, files: list[Path]) -> Source:
        """Return the image files of a folder with their labels; `option` is the key that sets the folder."""
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}; set dataset.{option} to the folder of your images")
        if not files:
            raise DataError(
                f"{folder} contains no images; set dataset.{option} to a folder of {', '.join(EXTENSIONS)} files"
            )
        labels = self.class_indices(folder, files)
        return FileSource(str(folder), files, labels, self.image_size, self.channels)

    def class_indices(self, folder: Path, files: Sequence[Path]) -> list[int]:
        """Return the class index of each file in a folder; all are 0 if there are no classes.

        Raises:
            DataError: a file is not of one of the classes.
        """
        if self.labels is None:
            return [0] * len(files)
        index = {name: i for i, name in enumerate(self.labels.names)}
        names = classes_of(folder, files)
        if unknown := sorted(set(names) - set(index)):
            raise DataError(
                f"{folder / unknown[0]} is not one of the classes {format_choices(self.labels.names)}; "
                "move its images, or set dataset.classes"
            )
        return [index[name] for name in names]


class Files:
    """Image files with their class indices."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int]):
        self.files = files
        self.labels = labels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.open(self.files[index]), self.labels[index]


class FileSource(Source):
    """Image files with their class indices.

    Args:
        name: name for messages.
        paths: the files.
        labels: the class index of each.
        size: side of the result in pixels.
        channels: channels of the result.
    """

    def __init__(self, name: str, paths: Sequence[Path], labels: Sequence[int], size: int, channels: int):
        super().__init__(name, Files(paths, labels), size, channels, paths)
        self.paths = paths
        self.labels = labels

    def only(self, indices: Tensor) -> FileSource:
        """Return a subset of the images, ordered by index; `indices` are (k,)."""
        chosen = indices.sort().values.tolist()
        paths, labels = [self.paths[i] for i in chosen], [self.labels[i] for i in chosen]
        return FileSource(self.name, paths, labels, self.size, self.channels)

    def digest(self) -> str:
        """Return sixteen hex digits that identify the images by their paths below their common folder, sizes, labels.

        Of a fixed choice of files, the beginning of the content counts, too.

        Raises:
            DataError: a file cannot be read.
        """
        folder = os.path.commonpath([path.parent for path in self.paths])
        try:
            parts: list[str | bytes] = [
                f"{os.path.relpath(path, folder)} {path.stat().st_size} {label}"
                for path, label in zip(self.paths, self.labels)
            ]
            for index in fixed_choice(len(self), 256).tolist():
                with self.paths[index].open("rb") as file:
                    parts.append(file.read(CONTENT_BYTES))
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read ({error.strerror}); repair or remove it") from error
        return key_of(parts)


def absolute(folder: str) -> Path:
    """Return the absolute path of a folder, which may begin with ~."""
    return Path(folder).expanduser().absolute()


def classes_of(folder: Path, files: Sequence[Path]) -> list[str]:
    """Return the class of each file in a folder: its label in `dataset.json`, else its first subfolder, else `LOOSE`.

    All are `LOOSE` if the labels of `dataset.json` are not classes.

    Raises:
        DataError: `dataset.json` has no label for a file.
    """
    labels, places = read_labels(folder), [path.relative_to(folder) for path in files]
    if labels is None:
        return [place.parts[0] if len(place.parts) > 1 else LOOSE for place in places]
    if not labels:
        return [LOOSE] * len(places)
    if missing := [place for place in places if place.as_posix() not in labels]:
        raise DataError(f"{folder / LABELS_FILE} has no label for {missing[0]}; add it, or remove the image")
    return [labels[place.as_posix()] for place in places]


def read_labels(folder: Path) -> dict[str, str] | None:
    """Return the labels by file name in `dataset.json`; None if there is no such file with `labels`.

    Labels that are null, or vectors as those of cameras, are not classes: the result is then empty.

    Raises:
        DataError: the file is broken.
    """
    path = folder / LABELS_FILE
    try:
        content = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if not isinstance(content, dict) or "labels" not in content:
            return None
        labels = dict(content["labels"] or [])
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read as labels ({error}); repair or remove it") from error
    if labels and all(type(label) is int for label in labels.values()):
        return {name: str(label) for name, label in labels.items()}
    return {}


def subfolders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the subfolders of a folder; none if it does not exist."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and is_visible(entry.name)))


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name may be data."""
    return not name.startswith(".") and name not in NOT_DATA


def image_files(folder: Path) -> Iterator[Path]:
    """Yield every image file in a folder at any depth; a warning counts images of kinds that cannot be read.

    Hidden files and folders, those of `NOT_DATA` and the directories of runs and sweeps are skipped. Links are
    followed, but a folder is not read again that lies in this one or contains it.

    Raises:
        DataError: a folder cannot be read, or a link leads nowhere.
    """
    unread: Counter[str] = Counter()
    for path in visible_files(folder):
        if path.suffix.lower() in EXTENSIONS:
            yield path
        elif path.suffix.lower() in UNREAD_EXTENSIONS:
            unread[path.suffix.lower()] += 1
    if unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in unread.items())
        log.warning("%s has images that cannot be read and are left out (%s); convert them to PNG", folder, kinds)


def visible_files(folder: Path) -> Iterator[Path]:
    """Yield every regular file that `image_files` does not skip."""
    top = os.path.realpath(folder)
    trails: dict[str, tuple[str, ...]] = {
        str(folder): (top,)
    }  # of each folder to visit, the true paths of it and of those above it
    for parent, folders, names in os.walk(folder, onerror=refuse_folder, followlinks=True):
        trail = trails.pop(parent)
        if parent != str(folder) and is_own(Path(parent)):
            folders.clear()
            continue
        for name in folders:
            path = os.path.join(parent, name)
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(trail[-1], name)
            if is_visible(name) and real not in trail and not (os.path.islink(path) and is_read_below(top, real)):
                trails[path] = (*trail, real)
        folders[:] = [name for name in folders if os.path.join(parent, name) in trails]
        for name in filter(is_visible, names):
            path = os.path.join(parent, name)
            if os.path.isfile(path):
                yield Path(path)
            elif not os.path.exists(path):
                raise DataError(f"{path} is a link to {os.readlink(path)}, which does not exist; repair or remove it")


def is_read_below(top: str, folder: str) -> bool:
    """Whether the folder lies in `top` and no name on its path is hidden."""
    return os.path.commonpath([top, folder]) == top and all(map(is_visible, Path(folder).relative_to(top).parts))


def refuse_folder(error: OSError) -> None:
    """Raise DataError for a folder that exists and cannot be read."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); change its permissions") from error
