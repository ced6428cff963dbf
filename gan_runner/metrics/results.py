"""The input of metrics: samples, real samples, features and scores, each computed on first use."""

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
from gan_runner.tools.activity import Activity
from gan_runner.tools.cache import key_of, load_or_make
from gan_runner.turn import Quantities, lazy

if TYPE_CHECKING:
    from gan_runner.system import System

CHUNK = 512
"""Images per chunk."""


class Reference(Quantities):
    """The real samples that fakes are compared with, loaded on first use and kept for later evaluations.

    Args:
        dataset: the dataset.
        n: maximal number of real samples.
        device: device of the data.
        split: split of the data.
        data: data of this split, if it is loaded already.
        selecting: whether the values select a checkpoint, as during training.
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
        self.seen: set[Split] = set()
        self.loaded: dict[tuple[Extractor, bool], LoadedExtractor] = {}
        self.known_features: dict[Extractor, Features] = {}
        self.known_moments: dict[Extractor, Moments] = {}

    def split(self, split: Split) -> Data:
        """Return the data of a split; `seen` notes which splits are read."""
        self.seen.add(split)
        if split not in self.data:
            with Activity(f"reading the data of split {split}"):
                self.data[split] = self.dataset.load(self.device, split)
        return self.data[split]

    @lazy
    def real(self) -> Tensor:
        """The real samples (n, *shape)."""
        return self.split(self.chosen_split).real(self.n)

    @property
    def count(self) -> int | None:
        """The number of real samples that metrics have read; None if they have read none."""
        known = [len(self.real)] if self.computed("real") else []
        known += [len(features.features) for features in self.known_features.values()]
        known += [moments.n for moments in self.known_moments.values()]
        return known[0] if known else None

    def chunks(self) -> Iterator[Tensor]:
        """Yield the real samples in chunks, without keeping all in memory unless a metric has read them all."""
        if self.computed("real"):
            return iter(self.real.split(CHUNK))
        return self.split(self.chosen_split).chunks(self.n)

    def load_extractor(self, extractor: Extractor, dataset: Dataset | None = None) -> LoadedExtractor:
        """Load a feature network once, for the dataset or for another one."""
        key = (extractor, dataset is None)
        if key not in self.loaded:
            self.loaded[key] = extractor.open(dataset or self.dataset, self.device)
        return self.loaded[key]

    def features(self, extractor: Extractor) -> Tensor:
        """Return the features (n, d) of the real samples."""
        if extractor not in self.known_features:
            network = self.load_extractor(extractor)
            self.known_features[extractor] = Features.concatenate(map(network.extract, self.chunks()))
        return self.known_features[extractor].features

    def moments(self, extractor: Extractor) -> Moments:
        """Return mean and covariance of the features of the real samples, cached on disk for later runs."""
        if extractor not in self.known_moments:
            network = self.load_extractor(extractor)

            def compute() -> dict[str, Tensor | int]:
                known = self.known_features.get(extractor)
                chunks = (network.extract(chunk).features for chunk in self.chunks())
                found = moments(chunks if known is None else known.features.split(CHUNK))
                return {"mean": found.mean.cpu(), "covariance": found.covariance.cpu(), "n": found.n}

            content = hashlib.sha256()
            for chunk in self.chunks():
                content.update(chunk.cpu().numpy().tobytes())
            key = key_of([network.identity, content.digest()])
            self.known_moments[extractor] = Moments(**load_or_make("statistics", key, compute))
        return self.known_moments[extractor]


class Results(Quantities):
    """The results of a system at one training step; each quantity is computed once, on first use.

    Args:
        system: the trained system, with `dataset`, `loss`, `game` and `networks`.
        noise: latents (n, latent_dim) of the samples, followed by conditions and codes.
        reference: the real samples to compare with.
    """

    def __init__(self, system: System, noise: Tensor, reference: Reference):
        self.system = system
        self.dataset = system.dataset
        self.loss = system.loss
        self.noise = noise
        self.reference = reference
        self.known_features: dict[Extractor, Features] = {}

    @property
    def real(self) -> Tensor:
        """The real samples (n, *shape)."""
        return self.reference.real

    @lazy
    def samples(self) -> Tensor:
        """Generated samples (n, *shape), by averaged weights if there are any."""
        return self.system.sample(self.noise)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the generated samples in chunks, without keeping all in memory unless a metric has read them all."""
        if self.computed("samples"):
            yield from self.samples.split(CHUNK)
        else:
            with Activity("drawing samples", len(self.noise), "samples") as activity:
                yield from activity.count(self.system.sample(noise) for noise in self.noise.split(CHUNK))

    def extract(self, extractor: Extractor) -> Features:
        """Return features and logits of the generated samples."""
        if extractor not in self.known_features:
            network = self.reference.load_extractor(extractor)
            self.known_features[extractor] = Features.concatenate(map(network.extract, self.chunks()))
        return self.known_features[extractor]

    def feature_chunks(self, extractor: Extractor) -> Iterator[Tensor]:
        """Yield the features (k, d) of the generated samples in chunks, without keeping them."""
        if extractor in self.known_features:
            yield from self.known_features[extractor].features.split(CHUNK)
        else:
            network = self.reference.load_extractor(extractor)
            yield from (network.extract(chunk).features for chunk in self.chunks())

    @lazy
    def real_scores(self) -> Tensor:
        """The critic's scores (n,) of the data."""
        return score(self.system, self.real)

    @lazy
    def fake_scores(self) -> Tensor:
        """The critic's scores (n,) of the samples."""
        return score(self.system, self.samples)
