"""How Gaussian codes are: of those that are, and of those that are not."""

import math

import pytest
import torch
from conftest import TINY
from scipy.stats import kstest
from torch import nn

from gan_runner.metrics.evaluator import Evaluator
from gan_runner.metrics.gaussianity import gaussianity, kolmogorov_distances, latent_gaussianity, rejected
from gan_runner.models.encoders import Posterior
from gan_runner.requirements import check_requirements
from gan_runner.sampling.inference import draw_codes, encode, encoder_of, reconstruct

FLOW = ["model=real_nvp", "loss=maximum_likelihood", *(o for o in TINY["real_nvp"] if "discriminator" not in o)]


def test_distances_and_verdicts_are_scipys():
    z = torch.cat([torch.randn(60, 40), 0.2 + torch.randn(60, 40), torch.rand(60, 3)], 1).double()
    tests = [kstest(column.numpy(), "norm") for column in z.T]
    expected = torch.tensor([float(test.statistic) for test in tests], dtype=torch.float64)
    torch.testing.assert_close(kolmogorov_distances(z), expected)
    clear = torch.tensor([abs(test.pvalue - 0.05) > 0.005 for test in tests])
    verdicts = torch.tensor([bool(test.pvalue < 0.05) for test in tests])
    assert clear.sum() > 70
    assert torch.equal(rejected(z)[clear], verdicts[clear])


def test_draws_from_the_prior_are_rejected_as_often_as_a_test_at_five_percent_errs():
    found = gaussianity(torch.randn(300, 4000))
    assert found["latent_rejected"] == pytest.approx(0.05, abs=0.012)
    assert found["latent_mean_square"] == pytest.approx(1, abs=0.01)
    assert found["latent_excess_kurtosis"] == pytest.approx(-6 / 301, abs=0.02)


def test_uniform_ones_of_the_same_variance_are_always_rejected():
    found = gaussianity((torch.rand(2000, 50) - 0.5) * 12**0.5)
    assert found["latent_rejected"] == 1
    assert found["latent_mean_square"] == pytest.approx(1, abs=0.02)
    assert found["latent_excess_kurtosis"] == pytest.approx(-1.2, abs=0.03)


@pytest.mark.parametrize("n", [30, 400])
def test_largest_variance_is_that_of_the_covariance(n):
    z = torch.randn(n, 100, dtype=torch.float64)
    z[:, :2] += 3 * torch.randn(n, 1)
    expected = torch.linalg.eigvalsh(torch.cov(z.T, correction=0))[-1].item()
    assert gaussianity(z)["latent_largest_variance"] == pytest.approx(expected)


def test_codes_of_gaussian_data_by_the_identity_are_gaussian(make_system):
    options = ["dataset=gaussian", f"dataset.means=[{[0.0] * 64}]"]
    system = make_system(*FLOW, *options)
    data = system.dataset.load(system.device, "test").real(300)
    assert torch.equal(encode(system, data), data)
    found = Evaluator(system, {"latents": lambda results: latent_gaussianity(results, n=300)}, 10, 0).measure()
    assert found == pytest.approx(gaussianity(data))
    assert found["latent_rejected"] < 0.15


def test_codes_of_an_encoder_are_those_of_the_game(make_system):
    system = make_system("game=vae", "model=mlp", "dataset=ring8", *TINY["mlp"])
    x = system.dataset.load(system.device, "test").real(20)
    codes = encode(system, x)
    assert codes.shape == (20, 4)
    torch.testing.assert_close(codes, system.game.encode(system.networks, x).mean)
    draws = draw_codes(system, x, 1)
    assert torch.equal(draws, draw_codes(system, x, 1))
    assert not torch.isclose(draws, draw_codes(system, x, 2)).any()


class Ideal(nn.Module):
    """The posterior N(x / 2, I / 2) of x = z + ε, both N(0, I)."""

    def forward(self, x):
        std = 0.5**0.5
        log_std = torch.full_like(x, math.log(std))
        return Posterior(x / 2 + std * torch.randn_like(x), x / 2, log_std)


class Deaf(nn.Module):
    """Draws from the prior, whatever the data is.

    Args:
        dim: of the codes.
    """

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        codes = torch.randn(len(x), self.dim)
        return Posterior(codes, codes)


def share_rejected(system, encoder, n):
    system.networks["encoder"] = encoder
    return Evaluator(system, {"latents": lambda results: latent_gaussianity(results, n=n)}, 10, 0).measure()


def test_codes_by_the_true_posterior_are_rejected_as_often_as_the_test_errs(make_system):
    """Their means are N(0, I / 2), which the test tells from the prior in every dimension."""
    data = ["dataset=gaussian", f"dataset.means=[{[0.0] * 300}]", f"dataset.std={2**0.5}"]
    system = make_system("game=vae", "model=mlp", *data, *TINY["mlp"], "model.latent.dim=300")
    found = share_rejected(system, Ideal(), 2000)
    assert found["latent_rejected"] == pytest.approx(0.05, abs=0.04)
    assert found["latent_mean_square"] == pytest.approx(1, abs=0.01)


def test_draws_for_one_piece_of_the_data_are_not_those_for_another(make_system):
    system = make_system("game=vae", "encoder=implicit", "prior=none", "model=mlp", *TINY["mlp"], "dataset=digits")
    found = share_rejected(system, Deaf(300), 1500)
    assert found["latent_rejected"] == pytest.approx(0.05, abs=0.04)
    assert found["latent_largest_variance"] < 1.2 * (1 + (300 / 1500) ** 0.5) ** 2


def test_images_are_anywhere_in_the_bins_of_their_bytes(make_system):
    """Of a flow that starts at the identity, behind its logit: codes of one byte fill an interval."""
    system = make_system(*FLOW, "dataset=digits", "dataset.image_size=8")
    flow = system.networks["generator"]
    x = torch.full((50, 1, 8, 8), 51 / 127.5 - 1)  # the byte 51
    low, middle, high = (flow.flow.steps[1].inverse(torch.tensor([[b / 128 - 1]]))[0].item() for b in (51, 51.5, 52))
    drawn = draw_codes(system, x, 0)
    assert drawn.unique().numel() > 3000
    assert low - 1e-5 < drawn.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < drawn.max() < high + 1e-5
    torch.testing.assert_close(encode(system, x), torch.full((50, 64), middle))
    torch.testing.assert_close(reconstruct(system, x), x)  # the byte of the middle of its bin


def test_other_priors_are_refused(make_system):
    check_requirements(latent_gaussianity, make_system("game=vae", "model=mlp", *TINY["mlp"]))
    for game in ("game=age", "game=gan_e model.latent._target_=gan_runner.models.latents.Uniform"):
        with pytest.raises(ValueError, match=r"needs latents N\(0, I\), and this game has other latents; leave it out"):
            check_requirements(latent_gaussianity, make_system(*game.split(), "model=mlp", *TINY["mlp"]))


def test_others_have_none(make_system):
    assert encoder_of(make_system("model=mlp", *TINY["mlp"])) is None
