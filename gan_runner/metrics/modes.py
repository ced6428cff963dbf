"""How many of the data's modes the samples reach, and how evenly."""

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
    """The data's modes must be known."""
    if modes_of(system.dataset) is None:
        raise ValueError(
            "this dataset has no known modes; choose dataset=ring8, grid25 or gaussian_mixture, or leave it out"
        )


def reverse_kl(modes: Tensor, weights: Tensor) -> float:
    """KL(q ‖ p) in nats, q being the shares of the modes (n,) that samples were assigned to, and p the data's weights.

    It is −log of the weight of a single mode where all samples are of that mode, and 0 where q = p; what the data is
    known to never do makes it infinite (Srivastava et al. 2017, arXiv:1705.07761, Section 4.2).
    """
    q = torch.bincount(modes, minlength=len(weights)).double() / len(modes)
    p = weights.to(q).double()
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).sum().item()


@metric(modes=max, high_quality=max, reverse_kl=min, requires=(needs_known_modes,))
def mode_coverage(results: Results, deviations: float = 3.0) -> dict[str, float]:
    """Modes reached and the share of good samples (Srivastava et al. 2017, arXiv:1705.07761, Section 5.1).

    A sample is good if it lies within `deviations` standard deviations of its nearest mode; a mode is reached
    if a good sample is nearest to it. For the reverse KL each sample, good or not, is of the mode nearest to it.
    """
    data = results.dataset
    assert isinstance(data, HasModes)
    assert data.modes is not None
    modes = data.modes.to(results.samples)
    # Differences, not the expanded square: its rounding would swamp narrow modes far from the origin.
    exact = "donot_use_mm_for_euclid_dist"
    distance, nearest = torch.cdist(results.samples, modes, compute_mode=exact).min(1)
    good = distance <= deviations * data.mode_std
    return {
        "modes": float(len(nearest[good].unique())),
        "high_quality": good.double().mean().item(),
        "reverse_kl": reverse_kl(nearest, data.weights()),
    }


def needs_stacked_digits(system: System) -> None:
    """The data must be stacked digits."""
    if not isinstance(system.dataset, StackedDigits):
        raise ValueError("it tells the modes of stacked digits; choose dataset=stacked_mnist, or leave it out")


@dataclass(frozen=True)
class ClassifiedModes:
    """Modes of stacked digits, as a classifier reads them, a channel each (Srivastava et al. 2017, Section 4.2).

    Args:
        classifier: of the digits, trained on their own labels.
    """

    classifier: Extractor

    streaming: ClassVar[bool] = True
    directions: ClassVar = {"modes": max, "reverse_kl": min}
    requirements: ClassVar = (needs_stacked_digits,)

    @property
    def conditions(self) -> dict[str, Any]:
        """By whom modes are told."""
        return {"classifier": self.classifier.name}

    def prepare(self, reference: Reference) -> None:
        """Open the classifier."""
        dataset: Any = reference.dataset
        reference.load_extractor(self.classifier, dataset.digits)

    def __call__(self, results: Results) -> dict[str, float]:
        """How many of 1,000, and KL(q ‖ p) in nats."""
        dataset: Any = results.dataset
        eye = results.reference.load_extractor(self.classifier, dataset.digits)
        modes = torch.cat(
            [dataset.mode(eye.extract(dataset.split_channels(piece)).logits.argmax(1)) for piece in results.chunks()]
        )
        weights = results.reference.split("train").mode_weights()  # type: ignore[attr-defined]
        return {"modes": float(len(modes.unique())), "reverse_kl": reverse_kl(modes, weights)}
