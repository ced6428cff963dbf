"""The interface of feature extractors."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gan_runner.errors import DataError

if TYPE_CHECKING:
    from gan_runner.datasets.base import Dataset
    from gan_runner.system import System


@dataclass(frozen=True)
class Features:
    """Features and logits of n images.

    Attributes:
        features: features (n, d).
        logits: logits (n, k) of the network's classes.
    """

    features: Tensor
    logits: Tensor

    @staticmethod
    def concatenate(batches: Iterable[Features]) -> Features:
        """Concatenate the features of several batches."""
        parts = list(batches)
        return Features(torch.cat([part.features for part in parts]), torch.cat([part.logits for part in parts]))


@dataclass(frozen=True)
class LoadedExtractor:
    """A loaded feature network.

    Attributes:
        extract: images (n, c, h, w) in [−1, 1] → features and logits, without a graph.
        identity: a key for cached statistics; equal for networks with equal features.
    """

    extract: Callable[[Tensor], Features]
    identity: str


@dataclass(frozen=True)
class Extractor(ABC):
    """The description of a feature network, which `open` loads."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the network in names of metrics."""

    @property
    @abstractmethod
    def resize(self) -> str:
        """How images are resized for the network."""

    def metric_name(self, kind: str) -> str:
        """Return the name of a metric of this kind: fd (Fréchet distance), kd (kernel distance), score, precision, …"""
        return f"{kind}_{self.name}"

    def check(self, system: System) -> None:
        """Raise ValueError if the network does not accept the samples of this system."""
        if len(system.dataset.shape) != 3:
            raise ValueError("it needs images, and this data is points; leave it out")

    @abstractmethod
    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Load the network for images of a dataset.

        Raises:
            DataError: its weights are missing.
        """


@dataclass(frozen=True)
class Pretrained(Extractor):
    """A network with pretrained weights from a file or a download.

    Args:
        weights: file of the weights.
        download: download the default weights if no file is given.
    """

    weights: str | None = None
    download: bool = False

    @property
    @abstractmethod
    def description(self) -> str:
        """A description of the network for messages."""

    def check(self, system: System) -> None:
        """Check also that the weights are available.

        Raises:
            ValueError: the data is not images.
            DataError: the weights are missing.
        """
        super().check(system)
        self.find()

    def find(self) -> Path | None:
        """Return the file of the weights, or None if they are downloaded.

        Raises:
            DataError: no file is given and downloads are not allowed, or the file cannot be opened.
        """
        if self.weights is None:
            if self.download:
                return None
            raise DataError(
                f"the weights of {self.description} are not part of this package; set extractor.weights=FILE, or "
                "extractor.download=true to download them"
            )
        file = Path(self.weights).expanduser()
        try:
            file.open("rb").close()
        except OSError as error:
            raise DataError(
                f"extractor.weights={self.weights} cannot be read ({error.strerror}); set it to a file with the "
                f"weights of {self.description}"
            ) from error
        return file


def in_colour(images: Tensor) -> Tensor:
    """Return images (n, 1 or 3, h, w) with three channels: (n, 3, h, w)."""
    return images.expand(-1, 3, -1, -1)


def read_weights(file: Path, description: str) -> tuple[dict[str, Any], str]:
    """Read a state dict without executing code from the file, and return it with the file's SHA-256.

    Raises:
        DataError: the file is not a state dict.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"it contains a {type(state).__name__}")
    except Exception as error:  # broken files raise errors of many types
        reason = " ".join(str(error).split())[:100]
        raise DataError(
            f"extractor.weights={file} contains no weights ({reason}); set it to a file with the weights of "
            f"{description}"
        ) from error
    return state, hashlib.sha256(file.read_bytes()).hexdigest()
