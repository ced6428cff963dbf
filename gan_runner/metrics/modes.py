"""Mode coverage: how many modes of the data the samples reach, and how evenly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gan_runner.datasets.base import HasModes, modes_of
from gan_runner.datasets.stacked import StackedDigits
from gan_runner.extractors.base import Extractor
from gan_runner.metrics.base import metric
from gan_runner.metrics.results import Reference, Results

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_known_modes(system: System) -> None:
    """Require data with known modes."""
    if modes_of(system.dataset) is None:
        raise ValueError(
            "this dataset has no known modes; choose dataset=ring8, grid25 or gaussian_mixture, or leave it out"
        )


def reverse_kl(modes: Tensor, weights: Tensor) -> float:
    """Return KL(q ‖ p) in nats, where q are the frequencies of the samples' modes (n,), and p the weights of the data's
    modes (Srivastava et al. 2017, arXiv:1705.07761, Section 4.2).

    It is 0 if q = p, −log of the weight if all samples are in one mode, and infinite if a sampled mode has weight 0.
    """
    q = torch.bincount(modes, minlength=len(weights)).double() / len(modes)
    p = weights.to(q).double()
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).sum().item()


@metric(modes=max, high_quality=max, reverse_kl=min, requires=(needs_known_modes,))
def mode_coverage(results: Results, deviations: float = 3.0) -> dict[str, float]:
    """Number of modes reached and fraction of high-quality samples (Srivastava et al. 2017, arXiv:1705.07761, Section
    5.1).

    A sample has high quality if it is within `deviations` standard deviations of its nearest mode. A mode is reached if
    it is the nearest one of a high-quality sample. The reverse KL assigns every sample to its nearest mode.
    """
    data = results.dataset
    assert isinstance(data, HasModes)
    assert data.modes is not None
    modes = data.modes.to(results.samples)
    # By differences: the expanded square would lose narrow modes far from the origin to rounding.
    exact = "donot_use_mm_for_euclid_dist"
    distance, nearest = torch.cdist(results.samples, modes, compute_mode=exact).min(1)
    high_quality = distance <= deviations * data.mode_std
    return {
        "modes": float(len(nearest[high_quality].unique())),
        "high_quality": high_quality.double().mean().item(),
        "reverse_kl": reverse_kl(nearest, data.weights()),
    }


def needs_stacked_digits(system: System) -> None:
    """Require stacked digits."""
    if not isinstance(system.dataset, StackedDigits):
        raise ValueError("it needs stacked digits; choose dataset=stacked_mnist, or leave it out")


@dataclass(frozen=True)
class ClassifiedModes:
    """Modes of stacked digits, recognised by a classifier of each channel (Srivastava et al. 2017, Section 4.2).

    Args:
        classifier: a classifier of single digits, trained on their labels.
    """

    classifier: Extractor

    streaming: ClassVar[bool] = True
    directions: ClassVar = {"modes": max, "reverse_kl": min}
    requirements: ClassVar = (needs_stacked_digits,)

    @property
    def conditions(self) -> dict[str, Any]:
        """The classifier."""
        return {"classifier": self.classifier.name}

    def prepare(self, reference: Reference) -> None:
        """Load the classifier."""
        dataset: Any = reference.dataset
        reference.load_extractor(self.classifier, dataset.digits)

    def __call__(self, results: Results) -> dict[str, float]:
        """Return the number of modes, at most 1,000, and KL(q ‖ p) in nats."""
        dataset: Any = results.dataset
        network = results.reference.load_extractor(self.classifier, dataset.digits)
        logits = (network.extract(dataset.split_channels(chunk)).logits for chunk in results.chunks())
        modes = torch.cat([dataset.mode(digits.argmax(1)) for digits in logits])
        weights = results.reference.split("train").mode_weights()  # type: ignore[attr-defined]
        return {"modes": float(len(modes.unique())), "reverse_kl": reverse_kl(modes, weights)}
