"""Q(c|x): a network that infers codes from features of a discriminator (Chen et al. 2016, arXiv:1606.03657, Sec. 6)."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.models.layers.normalization import Norm, WeightNorm, reparametrize
from gan_runner.models.networks import Network
from gan_runner.models.sizes import at_least_one


class Recognition(Network):
    """Features (n, num_features) of the discriminator → the parameters of Q(c|x) for all codes, (n, num_parameters).

    Args:
        num_features: number of features of the discriminator.
        num_parameters: number of parameters of Q for all codes together.
        width: units in each hidden layer.
        depth: number of hidden layers; 0 for a linear map of the features.
        leak: slope of the leaky ReLU below zero.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.

    Raises:
        ValueError: a size is below one, or the depth is below zero.
    """

    is_scored = False
    """No score depends on it, so gradient penalties and weight clipping do not apply."""

    def __init__(
        self,
        num_features: int,
        num_parameters: int,
        width: int = 128,
        depth: int = 1,
        leak: float = 0.01,
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
    ):
        super().__init__(norm, reference_size)
        at_least_one(width=width)
        if depth < 0:
            raise ValueError(f"depth must be at least 0, not {depth}")
        layers: list[nn.Module] = []
        for features in [num_features, *[width] * depth][:depth]:
            layers += [nn.Linear(features, width, bias=norm == "none"), self.normalization(width), nn.LeakyReLU(leak)]
        body = nn.Sequential(*layers, nn.Linear(width if depth else num_features, num_parameters))
        reparametrize(body, weight_norm)
        self.body = self.with_reference(body, (num_features,))

    def forward(self, features: Tensor) -> Tensor:
        """Logits, or means and log standard deviations, of all codes in order: (n, num_parameters)."""
        return self.body(features).to(features.dtype)
