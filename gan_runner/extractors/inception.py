"""Inception v3 as the FID and the Inception score are defined by, from torch-fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.errors import DataError
from gan_runner.extractors.base import Extractor, Eye, Seen, as_bytes, in_colour, read_weights

if TYPE_CHECKING:
    from gan_runner.datasets import Dataset

KNOWN_AS = {"fd": "fid", "kd": "kid", "score": "inception_score"}
"""What the field calls its figures."""


@dataclass(frozen=True)
class Inception(Extractor):
    """Inception v3 with the weights of 2015, as TensorFlow had it (Szegedy et al. 2016, arXiv:1512.00567).

    Args:
        weights: a file of torch-fidelity's weights.
        download: fetch them (91 MB) from torch-fidelity's release page where no file is named.
    """

    weights: str | None = None
    download: bool = False

    @property
    def name(self) -> str:
        """inception."""
        return "inception"

    @property
    def resize(self) -> str:
        """As in TensorFlow 1."""
        return "bilinear to 299×299 as in TensorFlow 1, of 8-bit images"

    def figure(self, kind: str) -> str:
        """Only here is a Fréchet distance the FID."""
        return KNOWN_AS.get(kind, super().figure(kind))

    def open(self, dataset: Dataset, device: torch.device) -> Eye:
        """Load the weights."""
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        if self.weights is None and not self.download:
            raise DataError(
                "Inception's weights are not part of this package: set extractor.weights=FILE to torch-fidelity's "
                "weights-inception-2015-12-05-6726825d.pth, or extractor.download=true to fetch them (91 MB)"
            )
        identity = "torch-fidelity 2015-12-05"
        if self.weights is not None:
            _, identity = read_weights(self.weights, "torch-fidelity's Inception")
        try:
            network = FeatureExtractorInceptionV3(self.name, ["2048", "logits_unbiased"], self.weights)
        except Exception as error:
            reason = " ".join(str(error).split())[:100]
            raise DataError(f"Inception's weights cannot be had ({reason}); set extractor.weights=FILE") from error
        network.to(device)

        @torch.no_grad()
        def look(images: Tensor) -> Seen:
            features, logits = network(as_bytes(in_colour(images)))
            return Seen(features, logits)

        return Eye(look, identity)
