"""What encoders and their generators descend: how far codes are from the prior, and data from what its codes make.

The density ratios among these terms are estimated by discriminators whose p is the data, or the prior, and whose q is
what the players make (Rosca et al. 2017, arXiv:1706.04987, Section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.autoencoding import AutoencodingTurn, BidirectionalTurn, EncodingTurn
from gan_runner.games.gan import LazyScores
from gan_runner.losses.base import GivenScores, Loss, Scores
from gan_runner.models.encoders import GaussianEncoder
from gan_runner.models.latents import Normal, Sphere, require_latent
from gan_runner.requirements import OwnedNetworks, adds_fakes, has_critic, requires


def has_density(networks: Mapping[str, nn.Module]) -> None:
    """The player's encoder must be Gaussian."""
    if not isinstance(networks.get("encoder"), GaussianEncoder):
        raise ValueError(
            "the distance of q(z|x) to the prior is known where q is Gaussian; choose encoder=gaussian, or another "
            "prior=, such as code_discriminator"
        )


ANOTHER = ", or choose another prior=, such as code_discriminator"
"""What goes with any p(z)."""


def normal_prior(networks: OwnedNetworks) -> None:
    """The prior must be N(0, I)."""
    why = "the distance of q(z|x) to the prior is known where that is N(0, I)"
    require_latent(networks.game.latent, Normal, why=why, otherwise=ANOTHER)


def standard_prior(networks: OwnedNetworks) -> None:
    """Each coordinate of the prior must have mean 0 and variance 1, and its directions be alike."""
    why = "moments of codes are compared with those of N(0, I)"
    require_latent(networks.game.latent, Normal, Sphere, why=why, otherwise=ANOTHER)


@requires(has_density, normal_prior)
def kl_divergence(turn: AutoencodingTurn) -> Tensor:
    """E KL(q(z|x) ‖ N(0, I)) = ½ E Σ (μ² + σ² − 1 − log σ²), in nats (Kingma & Welling 2014, Appendix B)."""
    _, mean, log_std = turn.posterior
    assert log_std is not None
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1).mean()


@requires(standard_prior)
def kl_of_moments(turn: EncodingTurn, of: Literal["data", "fakes"] = "data") -> Tensor:
    """KL(N(m, diag s²) ‖ N(0, I)) for the mean m and variance s² of a batch of codes, the mean over dimensions.

    Ulyanov et al. 2017, arXiv:1704.02304, Eq. 7, where it stands for the divergence of all codes from the prior. The
    sum over dimensions there is a mean here, as in the authors' code, so that weights are those that they give.

    Args:
        turn: of the encoder or of the generator.
        of: whose codes.
    """
    codes = all_gather(turn.codes if of == "data" else turn.fake_codes)
    variance, mean = torch.var_mean(codes, 0, correction=0)
    variance = variance + 1e-8  # a batch of equal codes is far from the prior, and not infinitely
    return 0.5 * (mean.square() + variance - 1 - variance.log()).mean()


def code_reconstruction(turn: EncodingTurn, error: Literal["squared", "cosine"] = "squared") -> Tensor:
    """How far E(G(z)) is from z, the mean over dimensions (Ulyanov et al. 2017, Eq. 13).

    Args:
        turn: of the encoder or of the generator.
        error: squared difference; or one minus the cosine, divided by the dimension as in the authors' code, whence
            their weight of 1,000.
    """
    if error == "squared":
        return (turn.fake_codes - turn.noise).square().mean()
    cosine = nn.functional.cosine_similarity(turn.fake_codes, turn.noise, dim=1)
    return (1 - cosine).mean() / turn.noise.shape[1]


def code_scores(turn: AutoencodingTurn) -> Scores:
    """The scores of codes, those of the global batch: p is the prior, and q what the encoder makes."""
    return LazyScores(lambda: all_gather(turn.prior_scores), lambda: all_gather(turn.code_scores))


def code_discriminator_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, on codes against the prior."""
    return loss.discriminator(code_scores(turn))


def code_encoder_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The generator's half of a loss, on codes: what moves the encoder towards the prior."""
    return loss.generator(code_scores(turn))


@adds_fakes("reconstructions")
def reconstruction_discriminator_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, on reconstructions against data.

    Beside the same of samples, what an optimal critic knows is the ratio of p to the mean of both.
    """
    return loss.discriminator(turn.scores_against(turn.reconstruction_scores))


def reconstruction_generator_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The generator's half of a loss, on reconstructions."""
    return loss.generator(turn.scores_against(turn.reconstruction_scores))


@requires(has_critic)
def feature_reconstruction(turn: AutoencodingTurn) -> Tensor:
    """½ E‖f(x) − f(x̂)‖² for the critic's features f, in nats up to a constant: a learned similarity.

    That is −log N(f(x); f(x̂), I) (Larsen et al. 2016, arXiv:1512.09300, Eqs. 7 and 8).
    """
    return 0.5 * (turn.reconstruction_features - turn.real_features).square().sum(1).mean()


def swapped_loss(turn: BidirectionalTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, with what is real and what is fake taken for each other.

    Generator and encoder descend it together (Donahue et al. 2017, arXiv:1605.09782, Section 3.4, whose "inverse"
    objective this is for the original loss).
    """
    return loss.discriminator(GivenScores(real=turn.scores.fake, fake=turn.scores.real))
