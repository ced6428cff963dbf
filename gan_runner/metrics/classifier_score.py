"""How surely and how variedly a classifier sees its classes in samples: the inception score, of any classifier."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def classifier_score(probabilities: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp E KL(p(y|x) ‖ p(y)), mean and standard deviation over splits (Salimans et al. 2016, arXiv:1606.03498,
    Section 4).

    From 1, where every sample is classified alike, to the number of classes. Splits are consecutive, of sizes that
    differ by one at most, and p(y) is that of each split, as in the authors' code.

    Args:
        probabilities: p(y|x) of samples (n, classes), of which each row sums to one.
        splits: from 1 to n.

    Raises:
        ValueError: there are fewer samples than splits.
    """
    n = len(probabilities)
    if not 1 <= splits <= n:
        raise ValueError(f"{n} samples cannot be split in {splits}; choose 1 or more splits, and no more than samples")
    edges = [i * n // splits for i in range(splits + 1)]
    scores = []
    for start, end in pairwise(edges):
        p = probabilities[start:end].double()
        marginal = p.mean(0, keepdim=True)
        divergence = (torch.xlogy(p, p) - torch.xlogy(p, marginal)).sum(1)  # 0 log 0 = 0
        scores.append(divergence.mean().exp())
    drawn = torch.stack(scores)
    return drawn.mean().item(), drawn.std(correction=0).item()
