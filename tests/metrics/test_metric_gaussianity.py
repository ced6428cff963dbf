"""How Gaussian codes are: of those that are, and of those that are not."""

import pytest
import torch
from conftest import TINY
from scipy.stats import kstest

from gan_runner.evaluation import Evaluator
from gan_runner.metrics import latent_gaussianity
from gan_runner.metrics.gaussianity import figures_of, normal_distances, rejected

FLOW = ["model=real_nvp", "loss=maximum_likelihood", *(o for o in TINY["real_nvp"] if "discriminator" not in o)]


def test_distances_and_verdicts_are_scipys():
    z = torch.cat([torch.randn(60, 40), 0.2 + torch.randn(60, 40), torch.rand(60, 3)], 1).double()
    tests = [kstest(column.numpy(), "norm") for column in z.T]
    expected = torch.tensor([float(test.statistic) for test in tests], dtype=torch.float64)
    torch.testing.assert_close(normal_distances(z), expected)
    clear = torch.tensor([abs(test.pvalue - 0.05) > 0.005 for test in tests])
    verdicts = torch.tensor([bool(test.pvalue < 0.05) for test in tests])
    assert clear.sum() > 70
    assert torch.equal(rejected(z)[clear], verdicts[clear])


def test_draws_from_the_prior_are_rejected_as_often_as_a_test_at_five_percent_errs():
    found = figures_of(torch.randn(300, 4000))
    assert found["latent_rejected"] == pytest.approx(0.05, abs=0.012)
    assert found["latent_mean_square"] == pytest.approx(1, abs=0.01)
    assert found["latent_excess_kurtosis"] == pytest.approx(-6 / 301, abs=0.02)


def test_uniform_ones_of_the_same_variance_are_always_rejected():
    found = figures_of((torch.rand(2000, 50) - 0.5) * 12**0.5)
    assert found["latent_rejected"] == 1
    assert found["latent_mean_square"] == pytest.approx(1, abs=0.02)
    assert found["latent_excess_kurtosis"] == pytest.approx(-1.2, abs=0.03)


@pytest.mark.parametrize("n", [30, 400])
def test_largest_variance_is_that_of_the_covariance(n):
    z = torch.randn(n, 100, dtype=torch.float64)
    z[:, :2] += 3 * torch.randn(n, 1)
    expected = torch.linalg.eigvalsh(torch.cov(z.T, correction=0))[-1].item()
    assert figures_of(z)["latent_largest_variance"] == pytest.approx(expected)


def test_codes_of_gaussian_data_by_the_identity_are_gaussian(make_parts):
    options = ["dataset=gaussian", f"dataset.means=[{[0.0] * 64}]"]
    parts = make_parts(*FLOW, *options)
    data = parts.dataset.load(parts.device, "test").real(300)
    assert torch.equal(parts.encode(data), data)
    found = Evaluator(parts, {"latents": lambda results: latent_gaussianity(results, n=300)}, 10, 0).measure()
    assert found == pytest.approx(figures_of(data))
    assert found["latent_rejected"] < 0.15


def test_codes_of_an_encoder_are_those_of_the_game(make_parts):
    parts = make_parts("game=vae", "model=mlp", "dataset=ring8", *TINY["mlp"])
    x = parts.dataset.load(parts.device, "test").real(20)
    codes = parts.encode(x)
    assert codes.shape == (20, 4)
    torch.testing.assert_close(codes, parts.game.encode(parts.networks, x))


def test_others_have_none(make_parts):
    assert make_parts("model=mlp", *TINY["mlp"]).encoder is None
