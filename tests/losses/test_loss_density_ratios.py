"""Density-ratio estimators: their optima and bounds. LSIF as an f-divergence is in test_loss_f_divergences."""

import math

import pytest
import torch
from gaussians import gaussian, kl, log_ratio, slopes
from pointwise import OnlyFake, Scores, fake_slopes, minimum, optimal_scores
from torch.nn.functional import softplus

from gan_runner.losses.density_ratios import KLIEP, LSIF

P, Q = torch.tensor([5, 2, 1], dtype=torch.float64), torch.tensor([1, 1, 6], dtype=torch.float64)
KL = (P / 8 * (P / Q).log()).sum()


def drawn(score):
    """Scores of eight real samples and eight fakes in the proportions P and Q."""
    return Scores(score.repeat_interleave(P.long()), score.repeat_interleave(Q.long()))


def test_lsif_is_half_the_squared_error_of_the_ratio_up_to_a_constant():
    for _ in range(5):
        score = torch.randn(3, dtype=torch.float64)
        error = (Q / 8 * (softplus(score) - P / Q) ** 2).sum() / 2
        at_truth = LSIF().discriminator(drawn(LSIF().optimal_score((P / Q).log())))
        torch.testing.assert_close(LSIF().discriminator(drawn(score)) - at_truth, error)


def test_lsif_fits_the_ratio():
    torch.testing.assert_close(softplus(optimal_scores(LSIF(), P, Q)), P / Q, rtol=1e-10, atol=0)


@pytest.mark.parametrize(("log_ratio", "score"), [(-40.0, -40.0), (math.log(40), 40.0)])
def test_lsif_ratio_is_precise_at_both_ends(log_ratio, score):
    assert LSIF().log_ratio(torch.tensor(score)).item() == pytest.approx(log_ratio, rel=1e-6)
    assert LSIF().optimal_score(torch.tensor(log_ratio)).item() == pytest.approx(score, rel=1e-6)


def test_kliep_is_the_bound_of_donsker_and_varadhan():
    """E_p[s] − log E_q[exp s] ≤ KL(p‖q), with equality at the log ratio, up to any constant."""
    for constant in (-3.0, 0.0, 40.0):
        bound = -KLIEP().discriminator(drawn((P / Q).log() + constant))
        torch.testing.assert_close(bound, KL)
    for _ in range(20):
        assert -KLIEP().discriminator(drawn((P / Q).log() + 0.1 * torch.randn(3, dtype=torch.float64))) < KL


def test_kliep_optimum_is_the_log_ratio_up_to_a_constant():
    score = minimum(lambda score: KLIEP().discriminator(drawn(score)), torch.arange(3, dtype=torch.float64))
    off = KLIEP().log_ratio(score) - (P / Q).log()
    torch.testing.assert_close(off, off.mean().expand(3), rtol=0, atol=1e-6)


def test_a_constant_changes_no_gradient_of_kliep():
    score = torch.randn(5, dtype=torch.float64)
    torch.testing.assert_close(fake_slopes(KLIEP(), score + 7), fake_slopes(KLIEP(), score))
    torch.testing.assert_close(KLIEP().discriminator(drawn(score[:3] + 7)), KLIEP().discriminator(drawn(score[:3])))


def test_kliep_generator_minimises_kl():
    """Test on the quantiles of a Gaussian, by its mean and scale, with the critic at the log ratio."""
    noise = gaussian(0.0, 1.0).icdf((torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000)
    pull = slopes(lambda q: KLIEP().generator(OnlyFake(log_ratio(q.loc + q.scale * noise) + 3)))
    torch.testing.assert_close(pull, slopes(lambda q: kl(gaussian(0.0, 1.0), q)), rtol=1e-3, atol=0)


def test_kliep_does_not_overflow():
    ends = torch.tensor([-1000.0, 1000.0])
    assert KLIEP().generator(OnlyFake(ends)).item() == pytest.approx(-1000 + math.log(2))
    assert fake_slopes(KLIEP(), ends).tolist() == [0, -2]
