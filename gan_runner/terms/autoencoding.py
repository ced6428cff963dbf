"""Terms of encoders and their generators: divergence of codes from the prior, and reconstruction errors.

Discriminators estimate the density ratios p/q in these terms: p is the data, or the prior, and q the distribution of
what the players generate (Rosca et al. 2017, arXiv:1706.04987, Section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.autoencoding import AutoencodingTurn, BidirectionalTurn, EncodingTurn
from gan_runner.games.gan import LazyScores
from gan_runner.losses.base import GivenScores, Loss, Scores
from gan_runner.models.encoders import GaussianEncoder
from gan_runner.models.latents import Normal, Sphere, require_latent
from gan_runner.requirements import OwnedNetworks, adds_fakes, has_critic, requires
from gan_runner.tools.formulas import Symbols, fill, formula


def has_density(networks: Mapping[str, nn.Module]) -> None:
    """Check that the player's encoder is Gaussian."""
    if not isinstance(networks.get("encoder"), GaussianEncoder):
        raise ValueError(
            "the KL divergence of q(z|x) from the prior has a closed form only for a Gaussian encoder; choose "
            "encoder=gaussian, or another prior=, such as code_discriminator"
        )


ANOTHER = ", or choose another prior=, such as code_discriminator"
"""Advice for a prior other than N(0, I): a choice that works with any p(z)."""


def normal_prior(networks: OwnedNetworks) -> None:
    """Check that the prior is N(0, I)."""
    why = "the KL divergence of q(z|x) from the prior has a closed form only for N(0, I)"
    require_latent(networks.game.latent, Normal, why=why, otherwise=ANOTHER)


def standard_prior(networks: OwnedNetworks) -> None:
    """Check that the prior is isotropic, and that each coordinate has mean 0 and variance 1."""
    why = "moments of codes are compared with those of N(0, I)"
    require_latent(networks.game.latent, Normal, Sphere, why=why, otherwise=ANOTHER)


@requires(has_density, normal_prior)
@formula("E[KL(q(z|{real}) ‖ N(0, I))]")
def kl_divergence(turn: AutoencodingTurn) -> Tensor:
    """E KL(q(z|x) ‖ N(0, I)) = ½ E Σ (μ² + σ² − 1 − log σ²), in nats.

    Kingma & Welling 2014, arXiv:1312.6114, Appendix B.
    """
    _, mean, log_std = turn.posterior
    assert log_std is not None
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1).mean()


def moments_of(term: Any, symbols: Symbols) -> str:
    """The formula of `kl_of_moments`, which says whose codes it is about."""
    codes = symbols["codes" if term.of == "data" else "fake_codes"]
    symbols.define("m, s²: mean and variance of a batch of codes in each dimension")
    return f"KL(N(m, s²) of {codes} ‖ N(0, I)) / dim z"


@requires(standard_prior)
@formula(moments_of)
def kl_of_moments(turn: EncodingTurn, of: Literal["data", "fakes"] = "data") -> Tensor:
    """KL(N(m, diag s²) ‖ N(0, I)) for the mean m and variance s² of a batch of codes, as a mean over dimensions.

    Ulyanov et al. 2017, arXiv:1704.02304, Eq. 7, an approximation of the divergence of all codes from the prior. The
    paper sums over dimensions; this is a mean, as in the authors' code, so that their weights apply.

    Args:
        turn: the turn of the encoder or of the generator.
        of: whether to take the codes of data or of fakes.
    """
    codes = all_gather(turn.codes if of == "data" else turn.fake_codes)
    variance, mean = torch.var_mean(codes, 0, correction=0)
    variance = variance + 1e-8  # keeps the divergence finite for a batch of equal codes
    return 0.5 * (mean.square() + variance - 1 - variance.log()).mean()


CODE_ERRORS = {
    "squared": "E[‖{noise} − {fake_codes}‖²] / dim z",
    "cosine": "E[1 − cos({noise}, {fake_codes})] / dim z",
}
"""The formulas of `code_reconstruction`, by its error."""


@formula(lambda term, symbols: fill(CODE_ERRORS[term.error], term, symbols))
def code_reconstruction(turn: EncodingTurn, error: Literal["squared", "cosine"] = "squared") -> Tensor:
    """The error between E(G(z)) and z, a mean over dimensions (Ulyanov et al. 2017, Eq. 13).

    Args:
        turn: the turn of the encoder or of the generator.
        error: the squared difference; or one minus the cosine, divided by the dimension as in the authors' code, which
            explains their weight of 1,000.
    """
    if error == "squared":
        return (turn.fake_codes - turn.noise).square().mean()
    cosine = nn.functional.cosine_similarity(turn.fake_codes, turn.noise, dim=1)
    return (1 - cosine).mean() / turn.noise.shape[1]


def code_scores(turn: AutoencodingTurn) -> Scores:
    """The code discriminator's scores of the global batch: draws from the prior are real, codes of data are fake."""
    return LazyScores(lambda: all_gather(turn.prior_scores), lambda: all_gather(turn.code_scores))


@formula(lambda term, symbols: symbols.loss(term.loss.discriminator, "prior_scores", "code_scores"))
def code_discriminator_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, on draws from the prior and codes of data.

    Makhzani et al. 2015, arXiv:1511.05644, Section 2.
    """
    return loss.discriminator(code_scores(turn))


@formula(lambda term, symbols: symbols.loss(term.loss.generator, "prior_scores", "code_scores"))
def code_encoder_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The generator's half of a loss, on codes of data: it moves the encoder towards the prior.

    Makhzani et al. 2015 give the encoder an update of its own by this loss, after one by the reconstruction error. Here
    the encoder makes one update by the sum of its terms.
    """
    return loss.generator(code_scores(turn))


@adds_fakes("reconstructions")
@formula(lambda term, symbols: symbols.loss(term.loss.discriminator, fake="reconstruction_scores"))
def reconstruction_discriminator_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, on real samples and reconstructions.

    Together with the loss on samples, an optimal critic estimates the ratio of p to the mean of both densities.
    """
    return loss.discriminator(turn.scores_against(turn.reconstruction_scores))


@formula(lambda term, symbols: symbols.loss(term.loss.generator, fake="reconstruction_scores"))
def reconstruction_generator_loss(turn: AutoencodingTurn, loss: Loss) -> Tensor:
    """The generator's half of a loss, on reconstructions."""
    return loss.generator(turn.scores_against(turn.reconstruction_scores))


@requires(has_critic)
@formula("E[½ ‖{real_features} − {reconstruction_features}‖²]")
def feature_reconstruction(turn: AutoencodingTurn) -> Tensor:
    """½ E‖f(x) − f(x̂)‖² for the critic's features f: a learned similarity.

    Up to a constant it is E[−log N(f(x); f(x̂), I)] in nats (Larsen et al. 2016, arXiv:1512.09300, Eqs. 7 and 8).
    There f is a function of one sample. With batch norm in the discriminator it is not: data and reconstructions are
    normalised apart, each by the statistics of its own batch.
    """
    return 0.5 * (turn.reconstruction_features - turn.real_features).square().sum(1).mean()


@formula(lambda term, symbols: symbols.loss(term.loss.discriminator, "fake_scores", "real_scores"))
def swapped_loss(turn: BidirectionalTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, with real and fake exchanged.

    Generator and encoder minimise it together. For the original loss it is the "inverse" objective of Donahue et al.
    2017, arXiv:1605.09782, Section 3.4.
    """
    return loss.discriminator(GivenScores(real=turn.scores.fake, fake=turn.scores.real))
