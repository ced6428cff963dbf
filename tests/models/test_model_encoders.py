"""Encoders: what they draw, and from where."""

import pytest
import torch

from gan_runner.models.encoders import DeterministicEncoder, GaussianEncoder, ImplicitEncoder
from gan_runner.models.latents import Sphere
from gan_runner.models.mlp import MLPDiscriminator
from gan_runner.models.pairs import PairDiscriminator


def judge(norm="none"):
    return MLPDiscriminator((3,), width=8, depth=1, norm=norm)


def test_a_gaussian_draws_from_what_it_says():
    encoder = GaussianEncoder(judge(), 2)
    codes, mean, log_std = encoder(torch.ones(20_000, 3))
    assert (mean == mean[0]).all()
    codes = codes.detach()
    assert codes.mean(0) == pytest.approx(mean[0].detach(), abs=0.05)
    assert codes.std(0) == pytest.approx(log_std[0].exp().detach(), rel=0.03)


def test_an_implicit_one_draws_and_says_no_density():
    encoder = ImplicitEncoder(judge(), 2)
    codes, _, log_std = encoder(torch.ones(100, 3))
    assert log_std is None
    assert (codes.std(0) > 0).all()
    (gradient,) = torch.autograd.grad(codes.sum(), encoder.of_noise.weight)
    assert gradient.abs().sum() > 0


def test_a_deterministic_one_says_the_same_of_the_same():
    codes, mean, _ = DeterministicEncoder(judge(), 2)(torch.ones(5, 3))
    assert (codes == codes[0]).all()
    assert codes is mean


def test_codes_on_the_sphere_are_where_its_prior_is():
    codes = DeterministicEncoder(judge(), 7, spherical=True)(torch.randn(5, 3)).codes.detach()
    drawn = Sphere(7)(50_000, torch.device("cpu"))
    for points in (codes, drawn):
        assert points.norm(dim=1) == pytest.approx(torch.full((len(points),), 7**0.5), rel=1e-5)
    assert drawn.mean(0) == pytest.approx(torch.zeros(7), abs=0.03)
    assert drawn.var(0) == pytest.approx(torch.ones(7), abs=0.03)


def test_a_reference_batch_is_kept_by_the_trunk():
    """With virtual batch norm what is said of a datum does not depend on its batch-mates."""
    encoder = DeterministicEncoder(judge("virtual"), 2)
    x = torch.randn(6, 3)
    encoder.prepare(x, x)
    assert torch.allclose(encoder(x[:1]).codes, encoder(x).codes[:1], atol=1e-6)


def test_a_pair_is_judged_by_both_of_its_halves():
    pairs = PairDiscriminator(judge(), 2)
    x, z = torch.randn(4, 3), torch.randn(4, 2)
    scores = pairs(x, z)
    assert scores.shape == (4,)
    assert not torch.allclose(scores, pairs(x, z.flip(0)))
    assert not torch.allclose(scores, pairs(x.flip(0), z))
    assert not torch.allclose(scores, pairs(x, 3 * z))  # the length of a code tells something
