"""Networks for semi-supervised MNIST, after the authors' code (Salimans et al. 2016, arXiv:1606.03498)."""

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
"""Initialise linear layers with U(−a, a), a² = 6 / (inputs + outputs), and zero biases (Glorot & Bengio 2010)."""


class SoftplusGenerator(Generator):
    """z → 500 softplus → 500 softplus → sigmoid. The last layer has weight norm with an initial gain of 1.

    In the paper data lies in [0, 1]; here it lies in [−1, 1], so the output is 2σ(a) − 1 = tanh(a / 2).

    Args:
        latent_dim: length of the latent z.
        shape: shape of one sample.
        bounded: whether data lies in [−1, 1]; otherwise the output is linear.
        width: units in each hidden layer.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of all weights. With `none` only the last layer has weight norm, which is not
            initialised from data.
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
    """ReLU layers with weight norm, and Gaussian noise on the input of each in training mode, then one score.

    Bounded data is mapped to [0, 1] as in the paper. The features are the last hidden layer before noise.

    Args:
        shape: shape of one sample.
        bounded: whether data lies in [−1, 1].
        widths: units of the hidden layers.
        input_noise: σ of the noise on the data, in units of [0, 1].
        hidden_noise: σ of the noise after each hidden layer.
        init_std: standard deviation of the initial weights; the larger it is, the slower their directions change.
        train_gains: whether the gains of the hidden layers are trained after they are initialised from data.
        norm: normalisation of the hidden layers (none in the paper).
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: layer between features and head, such as minibatch discrimination; None for none.
        augment: augmentations of the input in training mode, in this order.
        head: maker of the head; None for a linear layer.
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
    """Gaussian noise on features, then a layer if one is given: (n, in_features) → (n, out_features)."""

    def __init__(self, in_features: int, std: float, then: FeatureLayer | None = None):
        layers = [] if then is None else [then(in_features)]
        super().__init__(GaussianNoise(std), *layers)
        self.out_features = layers[0].out_features if layers else in_features
