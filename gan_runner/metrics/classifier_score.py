"""The inception score, for any classifier: how certain and how diverse its predictions on samples are."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def classifier_score(probabilities: Tensor, splits: int = 10) -> tuple[float, float]:
    """Return exp E KL(p(y|x) ‖ p(y)), mean and standard deviation over splits (Salimans et al. 2016, arXiv:1606.03498,
    Section 4).

    The score ranges from 1, if all samples are classified alike, to the number of classes. As in the authors' code,
    splits are consecutive, their sizes differ by at most one, and p(y) is the marginal of each split.

    Args:
        probabilities: p(y|x) of samples (n, classes); rows sum to one.
        splits: number of splits, from 1 to n.

    Raises:
        ValueError: there are fewer samples than splits.
    """
    n = len(probabilities)
    if not 1 <= splits <= n:
        raise ValueError(f"{n} samples cannot be divided into {splits} splits; choose from 1 to {n} splits")
    edges = [i * n // splits for i in range(splits + 1)]
    scores = []
    for start, end in pairwise(edges):
        p = probabilities[start:end].double()
        marginal = p.mean(0, keepdim=True)
        divergence = (torch.xlogy(p, p) - torch.xlogy(p, marginal)).sum(1)  # 0 log 0 = 0
        scores.append(divergence.mean().exp())
    drawn = torch.stack(scores)
    return drawn.mean().item(), drawn.std(correction=0).item()
