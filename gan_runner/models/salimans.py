"""The networks of semi-supervised MNIST, as the authors' code has them (Salimans et al. 2016, arXiv:1606.03498)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from torch import nn

from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.gaussian_noise import GaussianNoise
from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.layers.weight_norm import normalize_weight, normalized_weights
from gan_runner.models.maxout import Affine
from gan_runner.models.networks import Augment, Discriminator, FeatureLayer, Generator, Head, elements, linear_weights
from gan_runner.models.sizes import at_least_one

glorot_weights = linear_weights(nn.init.xavier_uniform_)
"""Weights U(−a, a), a² = 6 / (inputs + outputs), biases zero (Glorot & Bengio 2010), in every linear layer."""


class SoftplusGenerator(Generator):
    """z → 500 softplus → 500 softplus → sigmoid. The norm of the last weights of each output is learnt, from 1 on.

    The paper's sigmoid is on [0, 1]; data here is on [−1, 1], so it reads 2σ(a) − 1 = tanh(a / 2).

    Args:
        latent_dim: of z.
        shape: of one sample.
        bounded: whether data lies in [−1, 1]; else nothing is squashed.
        width: units in either hidden layer.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of all weights; none leaves the last layer its norm, which nothing standardises.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition beside each latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool,
        width: int = 500,
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim, width=width)
        output = nn.Linear(width, elements(shape))
        body = Chain(
            nn.Linear(latent_dim + condition_dim, width),
            self.normalization(width),
            nn.Softplus(),
            nn.Linear(width, width),
            self.normalization(width),
            nn.Softplus(),
            output,
            Affine(0.5 if bounded else 1.0),
            nn.Unflatten(1, shape),
        )
        self.assemble(body, latent_dim, bounded, weight_norm, glorot_weights)
        if weight_norm == "none":
            normalize_weight(output, standardized=False)
            for _, normalized in normalized_weights(output):
                nn.init.ones_(normalized.gain)


class NoisyDiscriminator(Discriminator):
    """ReLU layers of normalised weights, with Gaussian noise on the input of each while it trains, then one score.

    Bounded data is brought to [0, 1], where the paper has it. Features are those of the last hidden layer before noise.

    Args:
        shape: of one sample.
        bounded: whether data lies in [−1, 1].
        widths: units of the hidden layers.
        input_noise: σ of the noise on the data, in units of [0, 1].
        hidden_noise: σ of the noise after each hidden layer.
        init_std: of the weights at the start, which says how fast their directions turn.
        train_gains: whether the norms of the hidden layers' weights are trained, once data has set them.
        norm: normalisation of the hidden layers (none in the paper).
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: between the features and the score, as minibatch discrimination; None for none.
        augment: what is done to its input while it trains, in this order.
        head: what scores; None for one linear score.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        bounded: bool = False,
        widths: tuple[int, ...] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        hidden_noise: float = 0.5,
        init_std: float = 0.1,
        train_gains: bool = False,
        norm: Norm = "none",
        weight_norm: WeightNorm = "weight",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
        augment: Augment | None = None,
        head: Head | None = None,
    ):
        super().__init__(norm, reference_size)
        at_least_one(hidden_layers=len(widths), width=min(widths, default=1))
        layers: list[nn.Module] = [nn.Flatten(), Affine(0.5, 0.5) if bounded else nn.Identity()]
        for number, (wide, width) in enumerate(pairwise([elements(shape), *widths])):
            noise = GaussianNoise(hidden_noise if number else input_noise)
            layers += [noise, nn.Linear(wide, width), self.normalization(width), nn.ReLU()]
        self.assemble(
            nn.Sequential(*layers),
            shape,
            widths[-1],
            partial(NoisyFeatures, std=hidden_noise, then=feature_layer),
            weight_norm,
            linear_weights(nn.init.normal_, std=init_std),
            augment=augment,
            head=head,
        )
        if not train_gains:
            for _, normalized in normalized_weights(self.trunk):
                normalized.freeze()


class NoisyFeatures(nn.Sequential):
    """Noise on features, and then a layer if there is one: (n, in_features) → (n, out_features)."""

    def __init__(self, in_features: int, std: float, then: FeatureLayer | None = None):
        layers = [] if then is None else [then(in_features)]
        super().__init__(GaussianNoise(std), *layers)
        self.out_features = layers[0].out_features if layers else in_features
