"""Inception v3 as the FID and the Inception score are defined by, from torch-fidelity."""

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
"""What the field calls its figures."""


@dataclass(frozen=True)
class Inception(Pretrained):
    """Inception v3 with the weights of 2015, as TensorFlow had it (Szegedy et al. 2016, arXiv:1512.00567).

    Args:
        weights: a file of torch-fidelity's weights.
        download: fetch them (91 MB) from torch-fidelity's release page where no file is named.
    """

    @property
    def whose(self) -> str:
        """Those that torch-fidelity converted."""
        return "torch-fidelity's Inception (weights-inception-2015-12-05-6726825d.pth, 91 MB)"

    @property
    def name(self) -> str:
        """inception."""
        return "inception"

    @property
    def resize(self) -> str:
        """As in TensorFlow 1."""
        return "bilinear to 299×299 as in TensorFlow 1, of 8-bit images"

    def metric_name(self, kind: str) -> str:
        """Only here is a Fréchet distance the FID."""
        return KNOWN_AS.get(kind, super().metric_name(kind))

    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Load the weights.

        Raises:
            DataError: they are not there, or not Inception's.
        """
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        file, identity = self.find(), "torch-fidelity 2015-12-05"
        if file is not None:
            _, identity = read_weights(file, self.whose)  # torch-fidelity itself would run code that is in it
        try:
            with torch.random.fork_rng(devices=[]):  # weights are drawn before they are read
                network = FeatureExtractorInceptionV3(self.name, ["2048", "logits_unbiased"], file and str(file))
        except Exception as error:
            reason = " ".join(str(error).split())[:100]
            raise DataError(f"Inception's weights cannot be had ({reason}); set extractor.weights=FILE") from error
        network.to(device)

        @torch.no_grad()
        def extract(images: Tensor) -> Features:
            features, logits = network(as_bytes(in_colour(images)))
            return Features(features, logits)

        return LoadedExtractor(extract, identity)
