"""What a critic of energies says, where the right answer is known."""

from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Normal

from gan_runner.datasets.digits import Digits
from gan_runner.datasets.toy import GaussianMixture
from gan_runner.losses.energy import BEGAN, EBGAN
from gan_runner.losses.hinge import Hinge
from gan_runner.metrics.base import directions_of
from gan_runner.metrics.energy import equilibrium, total_variation
from gan_runner.models.gaussian import Gaussian
from gan_runner.requirements import check_requirements


def game(critic, loss, n=20_000):
    """Results of a game of N((0.5, 0), I) against N((−0.5, 0), I) with this critic: points → scores."""
    torch.manual_seed(0)
    dataset, generator = GaussianMixture(means=((0.5, 0.0),), std=1.0), Gaussian(2, (2,), (-0.5, 0.0))
    system = SimpleNamespace(dataset=dataset, networks={"generator": generator}, loss=loss)
    real, samples = dataset.sample(n)[0], generator(torch.randn(n, 2)).detach()
    return SimpleNamespace(
        system=system,
        dataset=dataset,
        loss=loss,
        real=real,
        samples=samples,
        real_scores=critic(real),
        fake_scores=critic(samples),
    )


def test_that_the_optimal_critic_estimates_total_variation():
    figures = total_variation(game(lambda x: -0.5 * (x[:, 0] < 0).float(), EBGAN(0.5)))
    assert figures["total_variation_gap"] < 0.02  # a binomial's error of 20,000 draws


def test_that_a_constant_critic_has_an_error_of_the_total_variation():
    truth = 2 * Normal(0, 1).cdf(torch.tensor(0.5)).item() - 1  # 2 Φ(½ |μ − ν|) − 1
    figures = total_variation(game(lambda x: torch.zeros(len(x)), EBGAN()))
    assert figures["total_variation_gap"] == pytest.approx(truth, abs=1e-3)


def test_balance_and_convergence_of_constant_energies():
    figures = equilibrium(game(lambda x: -torch.full((len(x),), 2.0), BEGAN(0.4), n=10))
    assert figures["balance_gap"] == pytest.approx(0.6)
    assert figures["convergence"] == pytest.approx(2 + (2 - 0.8))


def test_that_unsuitable_systems_are_refused():
    system = game(lambda x: x[:, 0], EBGAN(), n=5).system
    check_requirements(total_variation, system)
    with pytest.raises(ValueError, match="needs the loss BEGAN, and this loss is EBGAN"):
        check_requirements(equilibrium, system)
    system.loss = Hinge()
    with pytest.raises(ValueError, match="needs the loss EBGAN, and this loss is Hinge"):
        check_requirements(total_variation, system)
    system.dataset = Digits()
    with pytest.raises(ValueError, match="choose dataset=gaussian model=gaussian"):
        check_requirements(total_variation, system)


def test_which_is_better():
    assert directions_of(total_variation) == {"total_variation_gap": min}
    assert directions_of(equilibrium) == {"balance_gap": min, "convergence": min}
