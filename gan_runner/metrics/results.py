"""What a metric looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import Data, Dataset, Split
from gan_runner.extractors.base import Extractor, Features, LoadedExtractor
from gan_runner.losses.base import GivenScores as GivenScores
from gan_runner.metrics.frechet import Moments, moments
from gan_runner.sampling.critic import score
from gan_runner.tools.cache import kept, key_of
from gan_runner.turn import Quantities, lazy

if TYPE_CHECKING:
    from gan_runner.system import System

CHUNK = 512
"""Images that are generated, or looked at, at a time."""


class Reference(Quantities):
    """What samples are compared with: read when a metric first asks, and kept for the next time.

    Args:
        dataset: the recipe of the data.
        n: how many of the data are compared with samples, at most.
        device: where.
        split: which of them.
        data: this split, where it is at hand already.
        selecting: whether figures choose among checkpoints, as those of a run that goes on do.
    """

    def __init__(
        self,
        dataset: Dataset,
        n: int,
        device: torch.device,
        split: Split = "train",
        data: Data | None = None,
        selecting: bool = False,
    ):
        self.dataset = dataset
        self.n = n
        self.device = device
        self.chosen_split = split
        self.selecting = selecting
        self.data: dict[Split, Data] = {} if data is None else {split: data}
        self.eyes: dict[tuple[Extractor, bool], LoadedExtractor] = {}
        self.known_features: dict[Extractor, Features] = {}
        self.known_moments: dict[Extractor, Moments] = {}

    def split(self, split: Split) -> Data:
        """The data of a split."""
        if split not in self.data:
            self.data[split] = self.dataset.load(self.device, split)
        return self.data[split]

    @lazy
    def real(self) -> Tensor:
        """The data to compare with: (n, *shape)."""
        return self.split(self.chosen_split).real(self.n)

    @property
    def count(self) -> int | None:
        """How many of the data were looked at; None if no metric has asked for any."""
        known = [len(self.real)] if self.computed("real") else []
        known += [len(seen.features) for seen in self.known_features.values()]
        known += [moments.n for moments in self.known_moments.values()]
        return known[0] if known else None

    def chunks(self) -> Iterator[Tensor]:
        """The same, so many at a time: where no metric has asked for all of them, they are not held together."""
        if self.computed("real"):
            return iter(self.real.split(CHUNK))
        return self.split(self.chosen_split).chunks(self.n)

    def load_extractor(self, extractor: Extractor, dataset: Dataset | None = None) -> LoadedExtractor:
        """The feature network of a recipe, made ready once; for another dataset, if one is given."""
        key = (extractor, dataset is None)
        if key not in self.eyes:
            self.eyes[key] = extractor.open(dataset or self.dataset, self.device)
        return self.eyes[key]

    def features(self, extractor: Extractor) -> Tensor:
        """Features (n, d) of the data."""
        if extractor not in self.known_features:
            eye = self.load_extractor(extractor)
            self.known_features[extractor] = Features.concatenate(eye.extract(piece) for piece in self.chunks())
        return self.known_features[extractor].features

    def moments(self, extractor: Extractor) -> Moments:
        """Mean and covariance of the features of the data: kept from run to run."""
        if extractor not in self.known_moments:
            eye = self.load_extractor(extractor)

            def make() -> dict[str, Tensor | int]:
                seen = self.known_features.get(extractor)
                looks = (eye.extract(piece).features for piece in self.chunks())
                found = moments(looks if seen is None else seen.features.split(CHUNK))
                return {"mean": found.mean.cpu(), "covariance": found.covariance.cpu(), "n": found.n}

            content = hashlib.sha256()
            for piece in self.chunks():
                content.update(piece.cpu().numpy().tobytes())
            key = key_of([eye.identity, content.digest()])
            self.known_moments[extractor] = Moments(**kept("statistics", key, make))
        return self.known_moments[extractor]


class Results(Quantities):
    """A game's results at one moment: each is made only when a metric asks for it, and once.

    Args:
        system: what is trained, with `dataset`, `loss`, `game` and `networks`.
        noise: latents (n, latent_dim) of the samples.
        reference: what they are compared with.
    """

    def __init__(self, system: System, noise: Tensor, reference: Reference):
        self.system = system
        self.dataset = system.dataset
        self.loss = system.loss
        self.noise = noise
        self.reference = reference
        self.seen: dict[Extractor, Features] = {}

    @property
    def real(self) -> Tensor:
        """Data to compare with: (n, *shape)."""
        return self.reference.real

    @lazy
    def samples(self) -> Tensor:
        """Generated data (n, *shape), from averaged weights where there are any."""
        return self.system.sample(self.noise)

    def chunks(self) -> Iterator[Tensor]:
        """The same, so many at a time: where no metric has asked for all of them, they are not held together."""
        if self.computed("samples"):
            yield from self.samples.split(CHUNK)
        else:
            yield from (self.system.sample(noise) for noise in self.noise.split(CHUNK))

    def extract(self, extractor: Extractor) -> Features:
        """What a feature network makes of the samples."""
        if extractor not in self.seen:
            eye = self.reference.load_extractor(extractor)
            self.seen[extractor] = Features.concatenate(eye.extract(piece) for piece in self.chunks())
        return self.seen[extractor]

    def feature_chunks(self, extractor: Extractor) -> Iterator[Tensor]:
        """Features (k, d) of the samples, so many at a time: not kept, unless they are already."""
        if extractor in self.seen:
            yield from self.seen[extractor].features.split(CHUNK)
        else:
            eye = self.reference.load_extractor(extractor)
            yield from (eye.extract(piece).features for piece in self.chunks())

    @lazy
    def real_scores(self) -> Tensor:
        """The critic's scores (n,) of the data."""
        return score(self.system, self.real)

    @lazy
    def fake_scores(self) -> Tensor:
        """The critic's scores (n,) of the samples."""
        return score(self.system, self.samples)
