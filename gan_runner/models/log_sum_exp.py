"""A head that classifies, and whose score is the log of its classes' total weight."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.models.layers import Conditioned
from gan_runner.models.sizes import at_least_one


class LogSumExp(Conditioned):
    """Features (n, in_features) → log Z (n, 1), Z = Σ exp l of K logits (Salimans et al. 2016, arXiv:1606.03498).

    As the logit of a discriminator (Section 5): D = σ(log Z) = Z / (Z + 1), one minus the share of a
    class K + 1 whose logit is 0.

    Args:
        in_features: that it is given.
        num_classes: K.
    """

    def __init__(self, in_features: int, num_classes: int):
        super().__init__()
        at_least_one(num_classes=num_classes)
        self.logits = nn.Linear(in_features, num_classes)

    def classify(self, features: Tensor) -> Tensor:
        """The logits (n, K) of the classes."""
        return self.logits(features)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """log Z (n, 1)."""
        return self.logits(features).logsumexp(1, keepdim=True)
