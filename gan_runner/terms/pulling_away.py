"""The pulling-away term: the generator keeps its samples apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.moment_matching import MomentMatchingTurn
from gan_runner.requirements import has_critic, requires, several_samples
from gan_runner.tools.formulas import formula
from gan_runner.tools.precision import full_precision


@requires(has_critic, several_samples)
@formula(
    "E[cos²(S(G(z)), S(G(z′)))]",
    "S(G(z)) = {fake_features}, the features of the critic; z ≠ z′ of one batch",
)
def pulling_away(turn: MomentMatchingTurn) -> Tensor:
    """The mean squared cosine between the features of two fakes (Zhao et al. 2017, arXiv:1609.03126, Eq. 6).

    1 / n(n − 1) Σ_{i ≠ j} (SᵢᵀSⱼ / ‖Sᵢ‖‖Sⱼ‖)² over the critic's features S (n, num_features); n ≥ 2.
    """
    features = normalize(all_gather(turn.fake_features), dim=1)
    n = len(features)
    with full_precision(features):
        cosines = features @ features.T
    others = 1 - torch.eye(n, device=features.device, dtype=features.dtype)
    return (cosines.square() * others).sum() / (n * (n - 1))
