"""How many of the data's modes the samples reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gan_runner.metrics.figures import figures
from gan_runner.metrics.results import Results
from gan_runner.requirements import requires

if TYPE_CHECKING:
    from gan_runner.build import Parts


def known_modes(parts: Parts) -> None:
    """The data's modes must be known."""
    if getattr(parts.dataset, "modes", None) is None:
        raise ValueError(
            "this dataset has no known modes; choose dataset=ring8, grid25 or gaussian_mixture, or leave it out"
        )


@figures(modes=max, high_quality=max)
@requires(known_modes)
def mode_coverage(results: Results, deviations: float = 3.0) -> dict[str, float]:
    """Modes reached and the share of good samples (Srivastava et al. 2017, arXiv:1705.07761, Section 5.1).

    A sample is good if it lies within `deviations` standard deviations of its nearest mode; a mode is reached
    if a good sample is nearest to it.
    """
    modes = results.dataset.modes.to(results.samples)  # type: ignore[attr-defined]
    # Differences, not the expanded square: its rounding would swamp narrow modes far from the origin.
    exact = "donot_use_mm_for_euclid_dist"
    distance, nearest = torch.cdist(results.samples, modes, compute_mode=exact).min(1)
    good = distance <= deviations * results.dataset.mode_std  # type: ignore[attr-defined]
    return {
        "modes": float(len(nearest[good].unique())),
        "high_quality": good.double().mean().item(),
    }
