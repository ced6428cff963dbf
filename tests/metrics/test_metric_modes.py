"""Mode coverage on points made by hand, and on the data themselves."""

import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from gan_runner.datasets.digits import Digits
from gan_runner.datasets.toy import GaussianMixture, Grid, Ring, SwissRoll
from gan_runner.metrics.base import directions_of
from gan_runner.metrics.modes import mode_coverage
from gan_runner.requirements import check_requirements

RING = Ring(count=8, radius=2.0, std=0.02, scale=1.0)


def coverage(samples, dataset=RING, **knobs):
    found = mode_coverage(SimpleNamespace(samples=samples, dataset=dataset), **knobs)
    assert found.pop("reverse_kl") >= -1e-12
    return found


@pytest.mark.parametrize("dataset", [RING, Ring(), Grid()], ids=lambda dataset: type(dataset).__name__)
def test_exact_modes_are_all_reached(dataset):
    assert coverage(dataset.modes, dataset) == {"modes": len(dataset.modes), "high_quality": 1.0}


def reverse_kl_of(samples, dataset):
    return mode_coverage(SimpleNamespace(samples=samples, dataset=dataset))["reverse_kl"]


def test_reverse_kl_is_that_of_the_shares_of_modes():
    assert reverse_kl_of(RING.modes, RING) == pytest.approx(0, abs=1e-9)
    assert reverse_kl_of(RING.modes[:1].repeat(5, 1), RING) == pytest.approx(math.log(8))
    assert reverse_kl_of(RING.modes[:4], RING) == pytest.approx(math.log(2))
    uneven = GaussianMixture(means=((-1.0,), (1.0,)), probabilities=(0.25, 0.75))
    samples = torch.tensor([[-1.0], [-1.0], [-1.0], [1.0]])  # q = (3/4, 1/4)
    assert reverse_kl_of(samples, uneven) == pytest.approx(0.75 * math.log(3) - 0.25 * math.log(3))


def test_half_of_the_modes():
    assert coverage(RING.modes[::2].repeat(5, 1)) == {"modes": 4, "high_quality": 1.0}


def test_one_far_point_reaches_nothing():
    far = torch.tensor([[20.0, 0.0]])
    assert coverage(torch.cat([RING.modes, far])) == {"modes": 8, "high_quality": 8 / 9}
    assert coverage(far) == {"modes": 0, "high_quality": 0.0}


def test_a_mode_with_only_bad_samples_near_it_is_not_reached():
    centre = torch.zeros(1, 2)
    assert coverage(torch.cat([RING.modes[:3], 1.1 * RING.modes[3:], centre])) == {
        "modes": 3,
        "high_quality": 3 / 9,
    }


@pytest.mark.parametrize("deviations", [1.0, 3.0])
def test_reach_is_a_number_of_standard_deviations_in_any_direction(deviations):
    angle = torch.linspace(0, 2 * math.pi, 12)
    circle = torch.stack([angle.cos(), angle.sin()], 1) * RING.std * deviations
    assert coverage(RING.modes[:1] + 0.99 * circle, deviations=deviations)["high_quality"] == 1
    assert coverage(RING.modes[:1] + 1.01 * circle, deviations=deviations)["high_quality"] == 0


def test_reach_scales_with_the_data():
    scaled = Ring(count=8, radius=2.0, std=0.02, scale=10.0)
    moved = RING.modes + torch.tensor([0.05, 0.0])
    assert coverage(moved / 10, scaled) == coverage(moved) == {"modes": 8, "high_quality": 1.0}
    assert coverage(RING.modes / 10 + 0.05, scaled)["high_quality"] == 0


@pytest.mark.parametrize("dataset", [Ring(), Grid()], ids=lambda dataset: type(dataset).__name__)
def test_the_data_themselves_are_as_good_as_can_be(dataset):
    """Of a Gaussian in the plane, 1 − exp(−k²/2) lies within k standard deviations."""
    samples, _ = dataset.sample(20_000, torch.Generator().manual_seed(0))
    for k in (1.0, 2.0, 3.0):
        expected = 1 - math.exp(-(k**2) / 2)
        error = 4 * math.sqrt(expected * (1 - expected) / 20_000)
        measured = coverage(samples, dataset, deviations=k)
        assert measured["modes"] == len(dataset.modes)
        assert measured["high_quality"] == pytest.approx(expected, abs=error)


def test_that_narrow_modes_far_from_the_origin_are_distinguished():
    dataset = GaussianMixture(means=((1000.0, 1000.0), (1000.5, 1000.0)), std=0.01)
    good = dataset.modes.repeat(50, 1) + torch.tensor([0.02, 0.0])
    assert coverage(good, dataset) == {"modes": 2, "high_quality": 1.0}
    assert coverage(good + torch.tensor([0.02, 0.0]), dataset) == {"modes": 0, "high_quality": 0.0}


def test_data_without_modes_are_refused():
    for dataset in (SwissRoll(), Digits()):
        with pytest.raises(ValueError, match="no known modes; choose dataset=ring8"):
            check_requirements(partial(mode_coverage, deviations=2.0), SimpleNamespace(dataset=dataset))
    check_requirements(partial(mode_coverage, deviations=2.0), SimpleNamespace(dataset=RING))


def test_more_is_better():
    assert directions_of(partial(mode_coverage, deviations=2.0)) == {
        "modes": max,
        "high_quality": max,
        "reverse_kl": min,
    }
