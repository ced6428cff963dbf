"""Test the distributions, draws and paths of priors."""

import pytest
import torch
from scipy.stats import kstest

from gan_runner.models.latents import Normal, Sphere, Uniform, spherical_interpolation

CPU = torch.device("cpu")
PRIORS = {
    "normal": (Normal(3), "norm", ()),
    "uniform": (Uniform(3), "uniform", (-1, 2)),
    "unit": (Uniform(3, 0.0, 1.0), "uniform", (0, 1)),
}


@pytest.mark.parametrize(("prior", "distribution", "parameters"), PRIORS.values(), ids=PRIORS)
def test_draws_follow_the_distribution_independently_in_each_dimension(prior, distribution, parameters):
    z = prior(5000, CPU, torch.Generator().manual_seed(0))
    assert z.shape == (5000, 3)
    for column in z.T:
        assert kstest(column.numpy(), distribution, parameters).pvalue > 1e-3
    correlations = torch.corrcoef(z.T) - torch.eye(3)
    assert correlations.abs().max() < 0.06  # four standard errors


@pytest.mark.parametrize("prior", [Normal(4), Uniform(4)])
def test_draws_depend_only_on_the_generator_given(prior):
    first, second = (prior(6, CPU, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, prior(6, CPU, torch.Generator().manual_seed(8)))


@pytest.mark.parametrize("prior", [Normal(4), Uniform(4), Sphere(4)])
def test_paths_include_both_ends_and_a_zero_shift_changes_nothing(prior):
    first, second = (prior(6, CPU, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    path = prior.path(first, second, 9).unflatten(0, (6, 9))
    torch.testing.assert_close(path[:, 0], first)
    torch.testing.assert_close(path[:, -1], second)
    torch.testing.assert_close(prior.path(second, first, 9).unflatten(0, (6, 9)).flip(1), path)
    torch.testing.assert_close(prior.shift(first, torch.zeros(6, 4)), first)


def test_paths_stay_in_the_support_of_the_prior():
    first, second = Sphere(5)(7, CPU), Sphere(5)(7, CPU)
    along = Sphere(5).path(first, second, 6)
    torch.testing.assert_close(along.norm(dim=1), torch.full((42,), 5**0.5))
    torch.testing.assert_close(Sphere(5).shift(first, 3 * second).norm(dim=1), torch.full((7,), 5**0.5))
    quarter = Normal(2).path(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 3)
    torch.testing.assert_close(quarter[1], torch.full((2,), 2**0.5))
    corners = Uniform(2).path(torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, 1.0]]), 5)
    assert corners.tolist() == [[-1, 1], [-0.5, 1], [0, 1], [0.5, 1], [1, 1]]  # never out of the square


def test_lengths_on_a_path_lie_between_those_of_its_ends():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(200, 3, generator=generator) for _ in range(2))
    second[:100] = (
        -3 * first[:100] + 10.0 ** -torch.arange(100).unsqueeze(1).div(12) * second[:100]
    )  # ever more opposite
    lengths = Normal(3).path(first, second, 50).norm(dim=1).view(200, 50)
    ends = torch.stack([first.norm(dim=1), second.norm(dim=1)])
    assert (lengths <= ends.amax(0).unsqueeze(1) * (1 + 1e-5)).all()
    around = lengths[100:]
    assert (around >= ends[:, 100:].amin(0).unsqueeze(1) * (1 - 1e-5)).all()
    torch.testing.assert_close(around, ends[0, 100:, None].lerp(ends[1, 100:, None], torch.linspace(0, 1, 50)))


def test_paths_without_a_unique_arc_are_linear():
    """Test one dimension, opposite directions, paths from the origin, and equal ends."""
    for first, second in (
        ([1.0], [-2.0]),
        ([3.0, 0.0], [-1.0, 0.0]),
        ([0.0, 0.0], [0.0, 2.0]),
        ([1.0, 2.0], [1.0, 2.0]),
    ):
        a, b = torch.tensor([first]), torch.tensor([second])
        torch.testing.assert_close(
            spherical_interpolation(torch.cat([a, b]), 7), a.lerp(b, torch.linspace(0, 1, 7).unsqueeze(1))
        )


def test_path_between_equal_lengths_is_slerp():
    """sin((1 − t) θ) / sin θ a + sin(t θ) / sin θ b (Shoemake 1985), in double precision."""
    first, second = (Sphere(6)(40, CPU).double() for _ in range(2))
    angle = torch.nn.functional.cosine_similarity(first, second).acos().view(-1, 1, 1)
    share = torch.linspace(0, 1, 9, dtype=torch.float64).view(1, -1, 1)
    arc = (((1 - share) * angle).sin() * first[:, None] + (share * angle).sin() * second[:, None]) / angle.sin()
    torch.testing.assert_close(Normal(6).path(first, second, 9), arc.flatten(0, 1), rtol=1e-6, atol=1e-6)
