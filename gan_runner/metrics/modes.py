"""How many of the data's modes the samples reach."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.datasets import Density
from gan_runner.metrics.figures import figures
from gan_runner.requirements import requires


def known_modes(dataset: object) -> None:
    """The data's modes must be known."""
    if getattr(dataset, "modes", None) is None:
        raise ValueError(
            "this dataset has no known modes; choose dataset=ring8, grid25 or gaussian_mixture, or leave it out"
        )


@figures(modes=max, high_quality=max)
@requires(known_modes)
def mode_coverage(samples: Tensor, real: Tensor, dataset: Density, deviations: float = 3.0) -> dict[str, float]:
    """Modes reached and the share of good samples (Srivastava et al. 2017, arXiv:1705.07761, Section 5.1).

    A sample is good if it lies within `deviations` standard deviations of its nearest mode; a mode is reached
    if a good sample is nearest to it.
    """
    assert dataset.modes is not None
    # Differences, not the expanded square: its rounding would swamp narrow modes far from the origin.
    exact = "donot_use_mm_for_euclid_dist"
    distance, nearest = torch.cdist(samples, dataset.modes.to(samples), compute_mode=exact).min(1)
    good = distance <= deviations * dataset.mode_std
    return {
        "modes": float(len(nearest[good].unique())),
        "high_quality": good.double().mean().item(),
    }
