"""The Inception v3 network of FID and the Inception score, from torch-fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.images import as_bytes
from gan_runner.errors import DataError
from gan_runner.extractors.base import Features, LoadedExtractor, Pretrained, in_colour, read_weights

if TYPE_CHECKING:
    from gan_runner.datasets.base import Dataset

KNOWN_AS = {"fd": "fid", "kd": "kid", "score": "inception_score"}
"""Established names of metrics with Inception."""


@dataclass(frozen=True)
class Inception(Pretrained):
    """Inception v3 with TensorFlow's weights of 2015 (Szegedy et al. 2016, arXiv:1512.00567).

    Args:
        weights: file of torch-fidelity's weights.
        download: download the weights (91 MB) from torch-fidelity's release page if no file is given.
    """

    @property
    def description(self) -> str:
        """A description of the network for messages."""
        return "torch-fidelity's Inception (weights-inception-2015-12-05-6726825d.pth, 91 MB)"

    @property
    def name(self) -> str:
        """The name of the network in names of metrics."""
        return "inception"

    @property
    def resize(self) -> str:
        """How images are resized: as in TensorFlow 1."""
        return "bilinear to 299×299 as in TensorFlow 1, of 8-bit images"

    def metric_name(self, kind: str) -> str:
        """Return the established name, such as fid, which is defined for Inception only."""
        return KNOWN_AS.get(kind, super().metric_name(kind))

    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Load the network.

        Raises:
            DataError: the weights are missing, or belong to another network.
        """
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        file, identity = self.find(), "torch-fidelity 2015-12-05"
        if file is not None:
            _, identity = read_weights(
                file, self.description
            )  # checks the file, since torch-fidelity would execute its code
        try:
            with torch.random.fork_rng(devices=[]):  # the constructor draws initial weights
                network = FeatureExtractorInceptionV3(self.name, ["2048", "logits_unbiased"], file and str(file))
        except Exception as error:
            reason = " ".join(str(error).split())[:100]
            raise DataError(f"Inception's weights cannot be loaded ({reason}); set extractor.weights=FILE") from error
        network.to(device)

        @torch.no_grad()
        def extract(images: Tensor) -> Features:
            features, logits = network(as_bytes(in_colour(images)))
            return Features(features, logits)

        return LoadedExtractor(extract, identity)
