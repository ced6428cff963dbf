"""What a feature network is, and what it sees."""

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
    """What a network makes of n images.

    Attributes:
        features: (n, d).
        logits: of its classes (n, k).
    """

    features: Tensor
    logits: Tensor

    @staticmethod
    def concatenate(batches: Iterable[Features]) -> Features:
        """Several, one after the other."""
        seen = list(batches)
        return Features(torch.cat([part.features for part in seen]), torch.cat([part.logits for part in seen]))


@dataclass(frozen=True)
class LoadedExtractor:
    """A network that is ready to look.

    Attributes:
        extract: images (n, c, h, w) in [−1, 1] → what it makes of them, without a graph.
        identity: the same for networks that see the same, to keep statistics by.
    """

    extract: Callable[[Tensor], Features]
    identity: str


@dataclass(frozen=True)
class Extractor(ABC):
    """The recipe for a feature network."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As it stands in figures."""

    @property
    @abstractmethod
    def resize(self) -> str:
        """What is done to the size of images before they are looked at."""

    def metric_name(self, kind: str) -> str:
        """The name of a figure of this kind: fd (Fréchet distance), kd (kernel distance), score, precision, …"""
        return f"{kind}_{self.name}"

    def check(self, system: System) -> None:
        """Raise ValueError if it cannot look at what these parts generate."""
        if len(system.dataset.shape) != 3:
            raise ValueError("it looks at images, and this data is points; leave it out")

    @abstractmethod
    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Make it ready for images of a dataset.

        Raises:
            DataError: its weights are not there.
        """


@dataclass(frozen=True)
class Pretrained(Extractor):
    """A network whose weights are in a file, or are fetched.

    Args:
        weights: the file.
        download: fetch the usual weights where no file is named.
    """

    weights: str | None = None
    download: bool = False

    @property
    @abstractmethod
    def whose(self) -> str:
        """Whose weights they are, for people."""

    def check(self, system: System) -> None:
        """Besides, its weights must be there.

        Raises:
            DataError: they are not.
        """
        super().check(system)
        self.find()

    def find(self) -> Path | None:
        """The file of its weights, or None where they are to be fetched.

        Raises:
            DataError: no file is named and none may be fetched, or it cannot be opened.
        """
        if self.weights is None:
            if self.download:
                return None
            raise DataError(
                f"the weights of {self.whose} are not part of this package: set extractor.weights=FILE, or "
                "extractor.download=true to fetch them"
            )
        file = Path(self.weights).expanduser()
        try:
            file.open("rb").close()
        except OSError as error:
            raise DataError(
                f"extractor.weights={self.weights} cannot be read ({error.strerror}); name a file of the weights of "
                f"{self.whose}"
            ) from error
        return file


def in_colour(images: Tensor) -> Tensor:
    """(n, 1 or 3, h, w) as (n, 3, h, w)."""
    return images.expand(-1, 3, -1, -1)


def read_weights(file: Path, whose: str) -> tuple[dict[str, Any], str]:
    """A state dict, read without running code, and the file's SHA-256.

    Raises:
        DataError: it is no state dict.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"but a {type(state).__name__}")
    except Exception as error:  # whatever the reader makes of it
        reason = " ".join(str(error).split())[:100]
        raise DataError(
            f"extractor.weights={file} holds no weights ({reason}); name a file of the weights of {whose}"
        ) from error
    return state, hashlib.sha256(file.read_bytes()).hexdigest()
