"""An independent critic finds distances that are known, and leaves the run alone."""

import pytest
import torch

from gan_runner.metrics.independent_critic import independent_wasserstein, make_critic, typical_distance
from gan_runner.models.dcgan import DCGANDiscriminator
from gan_runner.models.mlp import MLPDiscriminator


def translated(shift, n=1000, dim=2, scale=1.0):
    """Training and test sets of N(shift, scale² I) and N(0, scale² I), whose W₁ is ‖shift‖."""
    sets = [scale * torch.randn(n, dim) for _ in range(4)]
    return sets[0] + shift, sets[1], sets[2] + shift, sets[3]


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_of_a_translation_it_is_the_distance_in_any_unit(scale):
    shift = scale * torch.tensor([1.2, 1.6])
    value = independent_wasserstein(*translated(shift, scale=scale), steps=150)
    assert value == pytest.approx(2 * scale, rel=0.15)


def test_a_great_distance_is_not_overestimated_by_what_slope_the_penalty_allows():
    """Without units of their own, the best slope under λ = 10 would be 1 + 50 / 20."""
    value = independent_wasserstein(*translated(torch.tensor([30.0, 40.0])), steps=100)
    assert value == pytest.approx(50, rel=0.1)


def test_of_one_distribution_it_is_next_to_nothing():
    assert abs(independent_wasserstein(*translated(torch.zeros(2)), steps=200)) < 0.1


def test_that_overfitting_does_not_increase_the_distance():
    """Twenty points a set are far apart, in 20 dimensions, but their distributions are one."""
    points = [torch.randn(20, 20) for _ in range(2)]
    unseen = [torch.randn(2000, 20) for _ in range(2)]
    by_heart = independent_wasserstein(*points, *points, steps=150)
    assert by_heart > 2
    assert abs(independent_wasserstein(*points, *unseen, steps=150)) < 0.1 * by_heart


def test_of_images_it_is_the_distance():
    """Adding 0.3 to each of 64 pixels moves an image by 0.3 · 8."""
    images = [0.5 * torch.rand(500, 1, 8, 8) for _ in range(4)]
    value = independent_wasserstein(images[0] + 0.3, images[1], images[2] + 0.3, images[3], steps=100)
    assert value == pytest.approx(2.4, rel=0.15)


def test_sets_of_one_and_the_same_point_are_at_no_distance():
    x = torch.ones(10, 2)
    assert independent_wasserstein(x, x, x, x, steps=2) == 0


def test_that_a_seed_fixes_the_value_and_leaves_the_random_state():
    sets = translated(torch.ones(2), n=50)
    state = torch.get_rng_state()
    with torch.no_grad():
        first = independent_wasserstein(*sets, steps=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert independent_wasserstein(*sets, steps=5) == first != independent_wasserstein(*sets, steps=5, seed=1)


def test_typical_distance_is_over_all_pairs():
    x, y = torch.randn(30, 1, 2, 2), torch.randn(20, 1, 2, 2) + 1
    pairs = torch.cdist(x.flatten(1).double(), y.flatten(1).double())
    assert typical_distance(x, y).item() == pytest.approx(pairs.square().mean().sqrt().item(), rel=1e-9)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((2,), MLPDiscriminator), ((1, 28, 28), DCGANDiscriminator), ((3, 9, 9), MLPDiscriminator)],
)
def test_critic_suits_the_data(shape, kind):
    critic = make_critic(shape)
    assert isinstance(critic, kind)
    assert critic(torch.zeros(3, *shape)).shape == (3,)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="steps must be at least 1"):
        independent_wasserstein(*translated(torch.zeros(2), n=4), steps=0)
