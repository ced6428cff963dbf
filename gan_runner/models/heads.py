"""Heads map the features of a discriminator, and a condition if there is one, to scores.

Features (n, in_features) and conditions (n, condition_dim) → scores (n, 1). Every head works on every trunk and with
every loss.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_runner.models.layers.conditioning import Conditioned
from gan_runner.models.layers.dropout import Dropout
from gan_runner.models.layers.maxout import Maxout
from gan_runner.models.sizes import at_least_one
from gan_runner.tools.formulas import formula


@formula("D(x, {condition}) = w · h(f(x), e({condition})), h and e hidden layers")
class ConcatHead(Conditioned):
    """Scores from features concatenated with an embedding of the condition, through a joint hidden layer.

    Reed et al. 2016, arXiv:1605.05396, Section 4, and Gauthier 2014 concatenate them after the convolutions, too. The
    joint layer is written as the sum of one linear layer of the features and one of the embedding. Each is initialised
    for its own number of inputs, so thousands of features do not outweigh a few labels.

    Args:
        in_features: number of features of a sample.
        condition_dim: length of the condition.
        embedding: units of the hidden layer of the condition.
        width: units of the joint hidden layer.
        rescale: whether conditions are scaled to a root mean square of one first, so that one-hot and dense conditions
            have similar size. Choose False where the length of a condition carries information.
    """

    def __init__(
        self, in_features: int, condition_dim: int, embedding: int = 128, width: int = 256, rescale: bool = True
    ):
        super().__init__()
        at_least_one(embedding=embedding, width=width)
        scaled = nn.RMSNorm(condition_dim, elementwise_affine=False) if rescale else nn.Identity()
        self.embed = nn.Sequential(scaled, nn.Linear(condition_dim, embedding), nn.LeakyReLU(0.2))
        self.of_features = nn.Linear(in_features, width)
        self.of_condition = nn.Linear(embedding, width, bias=False)
        self.score = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Scores (n, 1)."""
        return self.score(self.of_features(features) + self.of_condition(self.embed(condition)))


@formula("D(x, {condition}) = w · h(f(x), e({condition})), h and e maxout layers")
class MaxoutHead(Conditioned):
    """A concatenation head of maxout layers, from the first conditional GAN.

    Mirza & Osindero 2014, arXiv:1411.1784, Section 4.1.

    Args:
        in_features: number of features of a sample.
        condition_dim: length of the condition.
        embedding: maxout units of the condition.
        embedding_pieces: linear pieces of each such unit.
        width: maxout units of the joint layer.
        pieces: linear pieces of each such unit.
        dropout: dropout probability of both layers.
    """

    def __init__(
        self,
        in_features: int,
        condition_dim: int,
        embedding: int = 50,
        embedding_pieces: int = 5,
        width: int = 240,
        pieces: int = 4,
        dropout: float = 0.5,
    ):
        super().__init__()
        self.embed = nn.Sequential(Maxout(condition_dim, embedding, embedding_pieces), Dropout(dropout))
        joint = Maxout(in_features + embedding, width, pieces)
        self.joint = nn.Sequential(joint, Dropout(dropout), nn.Linear(width, 1))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Scores (n, 1)."""
        return self.joint(torch.cat([features, self.embed(condition)], 1))


@formula("D(x, {condition}) = ψ(f(x)) + ⟨V {condition}, f(x)⟩")
class ProjectionHead(Conditioned):
    """Projection: ψ(φ) + ⟨Vy, φ⟩ for features φ and condition y (Miyato & Koyama 2018, arXiv:1802.05637, Eq. 3).

    Args:
        in_features: number of features of a sample.
        condition_dim: length of the condition.
    """

    def __init__(self, in_features: int, condition_dim: int):
        super().__init__()
        self.score = nn.Linear(in_features, 1)
        self.embed = nn.Linear(condition_dim, in_features, bias=False)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Scores (n, 1)."""
        return self.score(features) + (self.embed(condition) * features).sum(1, keepdim=True)


@formula("D(x) = w · f(x), P(y|x) = softmax V f(x)")
class AuxiliaryHead(Conditioned):
    """An unconditional score, and logits of the condition, as in AC-GAN (Odena et al. 2017, arXiv:1610.09585).

    Args:
        in_features: number of features of a sample.
        condition_dim: length of the condition.
    """

    needs_condition: ClassVar[bool] = False

    def __init__(self, in_features: int, condition_dim: int):
        super().__init__()
        self.score = nn.Linear(in_features, 1)
        self.logits = nn.Linear(in_features, condition_dim)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Scores (n, 1)."""
        return self.score(features)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, condition_dim) of the classes, or of each attribute."""
        return self.logits(features)


@formula("D(x) = log Σ exp l(x), P(y|x) = softmax l(x), of {logits.out_features} classes")
class LogSumExpHead(Conditioned):
    """K logits l, and the score log Z with Z = Σ exp l (Salimans et al. 2016, arXiv:1606.03498, Section 5).

    As a logit it gives D = σ(log Z) = Z / (Z + 1): one minus the probability of a class K + 1 whose logit is 0.

    Args:
        in_features: number of features of a sample.
        num_classes: K, the number of classes.
    """

    needs_condition: ClassVar[bool] = False

    def __init__(self, in_features: int, num_classes: int):
        super().__init__()
        at_least_one(num_classes=num_classes)
        self.logits = nn.Linear(in_features, num_classes)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Scores (n, 1)."""
        return self.logits(features).logsumexp(1, keepdim=True)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, K)."""
        return self.logits(features)
