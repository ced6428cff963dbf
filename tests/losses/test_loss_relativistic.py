"""Relativistic losses: differences of scores are those of log ratios; the average loss keeps only their order."""

import math

import pytest
import torch
from pointwise import Scores, minimum, optimal_scores

from gan_runner.losses.bernoulli import Minimax
from gan_runner.losses.relativistic import Relativistic, RelativisticAverage

P, Q = torch.tensor([5, 2, 1, 4, 3]), torch.tensor([2, 3, 4, 3, 3])
LOG_RATIO = (P / Q).double().log()


def drawn(score, p=P, q=Q):
    """Scores of real samples and fakes in these proportions."""
    return Scores(score.repeat_interleave(p), score.repeat_interleave(q))


def paired(score):
    """Scores of all pairs of a real sample and a fake."""
    real, fake = drawn(score)
    return Scores(real.repeat_interleave(len(fake)), fake.repeat(len(real)))


def test_optimal_score_is_the_log_ratio_up_to_a_constant():
    loss = Relativistic()
    score = minimum(lambda score: loss.discriminator(paired(score)), 3 + torch.arange(5, dtype=torch.float64))
    off = loss.log_ratio(score) - LOG_RATIO
    torch.testing.assert_close(off, off.mean().expand(5), rtol=0, atol=1e-6)
    assert off.mean() > 1  # the constant comes from the initial scores


def test_optimum_of_the_average_keeps_the_order_of_the_ratios_and_satisfies_its_formula():
    start = torch.zeros(5, dtype=torch.float64)
    score = minimum(lambda score: RelativisticAverage().discriminator(drawn(score)), start)
    p, q = P / P.sum(), Q / Q.sum()
    mean_p, mean_q = p.double() @ score, q.double() @ score
    a, b = p.double() @ (mean_q - score).sigmoid(), q.double() @ (score - mean_p).sigmoid()
    implied = ((score - mean_p).sigmoid() + a) / ((mean_q - score).sigmoid() + b)
    torch.testing.assert_close(implied, (p / q).double(), rtol=1e-6, atol=0)
    assert score.argsort().tolist() == LOG_RATIO.argsort().tolist()
    assert a / (1 + b) < implied.min()
    assert implied.max() < (1 + a) / b


def test_optimal_score_of_the_average_is_not_the_log_ratio():
    start = torch.zeros(5, dtype=torch.float64)
    score = minimum(lambda score: RelativisticAverage().discriminator(drawn(score)), start)
    off = score - LOG_RATIO
    assert off.max() - off.min() > 0.1


@pytest.mark.parametrize("ratio", [100, 1000])
def test_one_percent_of_samples_with_large_ratios_brings_the_average_loss_near_zero(ratio):
    """Test with a total variation of 1 %, where the original discriminator's loss is nearly log 4."""
    p, q = torch.tensor([98 * ratio, ratio, 1]), torch.tensor([98 * ratio, 1, ratio])
    great = 100 * math.log(ratio)
    scores = drawn(torch.tensor([0.0, great, -great], dtype=torch.float64), p, q)
    assert RelativisticAverage().discriminator(scores) < 3 * math.log(ratio) / ratio
    assert Minimax().discriminator(drawn(optimal_scores(Minimax(), p, q), p, q)) > 0.98 * math.log(4)


@pytest.mark.parametrize("loss", [Relativistic(), RelativisticAverage()], ids=str)
def test_a_constant_added_to_every_score_changes_nothing(loss):
    scores = Scores(torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64))
    moved = Scores(scores.real + 5, scores.fake + 5)
    torch.testing.assert_close(loss.discriminator(moved), loss.discriminator(scores))
    torch.testing.assert_close(loss.generator(moved), loss.generator(scores))


@pytest.mark.parametrize("loss", [Relativistic(), RelativisticAverage()], ids=str)
def test_generator_loss_is_the_discriminators_with_real_and_fake_exchanged(loss):
    scores = Scores(torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64))
    torch.testing.assert_close(loss.generator(scores), loss.discriminator(Scores(scores.fake, scores.real)))


def test_hand_values():
    """σ(log 3) = ¾: real scores with mean log 3 and fakes with mean zero, then pairs."""
    real, fake = torch.full((2,), math.log(3)), torch.zeros(2)
    assert Relativistic().discriminator(Scores(real, fake)).item() == pytest.approx(-math.log(3 / 4))
    assert Relativistic().generator(Scores(real, fake)).item() == pytest.approx(-math.log(1 / 4))
    assert RelativisticAverage().discriminator(Scores(real, fake)).item() == pytest.approx(-2 * math.log(3 / 4))
    assert RelativisticAverage().generator(Scores(real, fake)).item() == pytest.approx(-2 * math.log(1 / 4))


def test_each_real_sample_is_compared_with_its_own_fake():
    scores = Scores(torch.tensor([100.0, -100.0]), torch.tensor([0.0, 0.0]))
    assert Relativistic().discriminator(scores).item() == pytest.approx(50)
