"""Densities: they integrate to one, are the mixtures they say they are, and are sampled as such."""

import dataclasses
import math
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chi2, ks_2samp
from sklearn.datasets import make_swiss_roll

from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.toy import Density, GaussianMixture, Grid, Ring, SwissRoll
from gan_runner.errors import ConfigError

CPU = torch.device("cpu")
LINE = GaussianMixture(means=((-1.0,), (0.5,), (2.0,)), probabilities=(1.0, 2.0, 5.0), std=0.3, scale=1.5)
PLANE = GaussianMixture(means=((-1.0, 0.0), (1.0, 0.5)), probabilities=(0.3, 0.7), std=0.2)
SPACE = GaussianMixture(means=((0.5, 0.0, -0.5, 0.0, 1.0), (0.0, 0.0, 0.0, 0.5, -1.0)), std=1.0, scale=2.0)
EQUAL = GaussianMixture(means=((0.0, 0.0), (3.0, 0.0), (0.0, 3.0)))
DENSITIES = {
    "ring8": Ring(),
    "grid25": Grid(),
    "swiss_roll": SwissRoll(),
    "one dimension": LINE,
    "two dimensions": PLANE,
    "five dimensions": SPACE,
    "equal": EQUAL,
}
every_density = pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@every_density
def test_the_density_integrates_to_one(density):
    """The trapezoid rule with steps of σ is exact to 10⁻⁸ for a Gaussian."""
    centres, step = density.centres() / density.scale, density.mode_std
    axes = [
        torch.arange(low - 6 * step, high + 7 * step, step)
        for low, high in zip(centres.min(0).values.tolist(), centres.max(0).values.tolist())
    ]
    points = torch.cartesian_prod(*axes).view(-1, len(axes))
    total = sum(density.log_prob(part).double().exp().sum() for part in points.split(4096))
    assert total * step ** len(axes) == pytest.approx(1, abs=1e-4)


@every_density
def test_log_prob_is_the_mixtures_formula(density):
    """log Σ wₖ N(x; μₖ / s, (σ / s)² I), written out."""
    centres = (density.centres() / density.scale).double().numpy()
    weights, sigma, dim = density.weights().double().numpy(), density.std / density.scale, centres.shape[1]
    x = density.sample(50, seeded())[0].double().numpy()
    x = np.concatenate([x, 3 * np.random.default_rng(0).standard_normal((20, dim))])  # far from all modes too
    square = ((x[:, None] - centres) ** 2).sum(2)
    exponent = -square / (2 * sigma**2) - dim / 2 * np.log(2 * np.pi * sigma**2)
    wanted = logsumexp(exponent, axis=1, b=weights)
    assert np.allclose(density.log_prob(torch.as_tensor(x)).numpy(), wanted, rtol=1e-5, atol=1e-5)


@every_density
def test_samples_have_the_mixtures_mean_and_covariance(density):
    n = 20_000
    x, _ = density.sample(n, seeded())
    centres, weights = density.centres() / density.scale, density.weights()
    mean = weights @ centres
    spread = centres - mean
    covariance = spread.T @ (weights[:, None] * spread) + density.mode_std**2 * torch.eye(len(mean))
    deviation = covariance.diagonal().sqrt()
    assert ((x.mean(0) - mean).abs() < 5 * deviation / n**0.5).all()
    measured = x.T.cov().view_as(covariance)
    assert ((measured - covariance).abs() < 5 * 1.5 * deviation.outer(deviation) / n**0.5).all()


@every_density
def test_samples_scatter_about_their_components_by_sigma(density):
    """|x − μₖ|² / σ² is χ² with as many degrees of freedom as dimensions."""
    n = 20_000
    x, component = density.sample(n, seeded(1))
    square = ((x - density.centres()[component] / density.scale) / density.mode_std).square().sum(1)
    dim = x.shape[1]
    assert square.mean() == pytest.approx(dim, abs=5 * (2 * dim / n) ** 0.5)
    assert square.max() < chi2.isf(1e-9, dim)
    frequency = torch.bincount(component, minlength=len(density.centres())) / n
    error = (density.weights() * (1 - density.weights()) / n).sqrt()
    assert ((frequency - density.weights()).abs() < 5.5 * error).all()


def test_ring8_has_eight_modes_on_a_circle():
    modes, radius = Ring().modes, 2 / 1.414
    assert modes.shape == (8, 2)
    assert torch.allclose(modes.norm(dim=1), torch.tensor(radius))
    neighbours = 2 * radius * math.sin(math.pi / 8)
    assert torch.pdist(modes).min() == pytest.approx(neighbours, rel=1e-5)
    assert torch.allclose(modes.sum(0), torch.zeros(2), atol=1e-5)
    assert Ring().mode_std == pytest.approx(0.02 / 1.414)


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_a_ring_has_as_many_modes_as_asked(count):
    assert len(Ring(count=count).modes.mul(1e4).round().unique(dim=0)) == count


def test_grid25_has_twenty_five_modes_a_spacing_apart():
    modes = Grid().modes
    assert modes.shape == (25, 2)
    assert torch.pdist(modes).min() == pytest.approx(2 / 2.828, rel=1e-5)
    assert sorted({round(v * 2.828, 3) for v in modes.flatten().tolist()}) == [-4, -2, 0, 2, 4]
    assert Grid().mode_std == pytest.approx(0.05 / 2.828)


def test_gulrajanis_sets_have_a_spread_of_about_one():
    """Why they are scaled: each coordinate of ring8 and grid25 has unit variance."""
    for density in (Ring(), Grid()):
        assert density.sample(20_000, seeded())[0].std(0).sub(1).abs().max() < 0.02


def sklearns_roll(n, noise=0.25, scale=7.5, seed=0):
    """Gulrajani et al.'s Swiss roll: scikit-learn's from its end, divided by 7.5."""
    return make_swiss_roll(n, noise=noise, random_state=seed)[0][:, [0, 2]] / scale


def views(x):
    """Four one-dimensional looks at points of the plane."""
    return x[:, 0], x[:, 1], np.hypot(*x.T), x.sum(1)


def test_swiss_roll_is_scikit_learns():
    ours = SwissRoll().sample(5000, seeded())[0].numpy()
    assert min(ks_2samp(*pair).pvalue for pair in zip(views(ours), views(sklearns_roll(5000)))) > 1e-3
    for other in (sklearns_roll(5000, scale=7.0), sklearns_roll(5000) * [1, -1]):  # it would be noticed
        assert min(ks_2samp(*pair).pvalue for pair in zip(views(ours), views(other))) < 1e-6


def test_swiss_rolls_density_prefers_scikit_learns_samples_as_much_as_its_own():
    density, n = SwissRoll(), 1000
    ours = density.log_prob(density.sample(n, seeded())[0])
    theirs = density.log_prob(torch.as_tensor(sklearns_roll(n)))
    error = ((ours.var() + theirs.var()) / n).sqrt()
    assert (ours.mean() - theirs.mean()).abs() < 4 * error
    wide = density.log_prob(torch.as_tensor(sklearns_roll(n, noise=0.35)))
    assert ours.mean() - wide.mean() > 10 * error


def test_swiss_roll_has_no_modes_and_no_beads():
    density = SwissRoll()
    assert density.modes is None
    finer = SwissRoll(nodes=20_000)
    t = 1.5 * math.pi * (1 + 2 * torch.linspace(0.3, 0.9, 100, dtype=torch.double))
    along = torch.stack([t * t.cos(), t * t.sin()], 1) / density.scale
    assert torch.allclose(density.log_prob(along), finer.log_prob(along), atol=1e-3)


def test_equal_probabilities_are_the_default():
    assert torch.equal(EQUAL.weights(), torch.full((3,), 1 / 3))


def test_probabilities_are_normalised_and_integers_will_do():
    density = GaussianMixture(means=((0,), (4,)), probabilities=(1, 3), std=1)
    assert torch.equal(density.weights(), torch.tensor([0.25, 0.75]))
    peak = 0.75 / (2 * math.pi) ** 0.5
    assert density.log_prob(torch.tensor([[4.0]])).item() == pytest.approx(math.log(peak), abs=1e-3)
    assert density.sample(3)[0].dtype == torch.float32


def test_a_component_of_probability_zero_is_never_drawn():
    density = GaussianMixture(means=((0.0,), (9.0,)), probabilities=(1.0, 0.0))
    assert density.sample(5000, seeded())[1].max() == 0


@every_density
def test_scaling_divides_samples_and_multiplies_densities(density):
    halved = dataclasses.replace(density, scale=2 * density.scale)
    x = density.sample(20, seeded())[0]
    assert torch.allclose(halved.sample(20, seeded())[0], x / 2)
    dim = x.shape[1]
    assert torch.allclose(halved.log_prob(x / 2), density.log_prob(x) + dim * math.log(2), atol=1e-2)


@every_density
def test_batches_are_functions_of_the_seed_and_the_number(density):
    data = density.load(CPU)
    batches = list(islice(data.stream(0, 8, 3), 6))
    for late, early in zip(islice(data.stream(4, 8, 3), 2), batches[4:]):
        assert torch.equal(late["data"], early["data"])
        assert torch.equal(late["label"], early["label"])
    assert batches[0]["data"].shape == (8, *density.shape)
    assert len(torch.cat([batch["data"] for batch in batches]).unique(dim=0)) == 48
    assert not torch.equal(next(data.stream(0, 8, 4))["data"], batches[0]["data"])


def test_real_samples_are_the_same_every_time_and_not_those_trained_on():
    data = Ring().load(CPU)
    assert torch.equal(data.real(100), data.real(100))
    assert not torch.equal(next(data.stream(0, 100, 0))["data"], data.real(100))


def test_drawing_does_not_touch_the_runs_random_numbers():
    before = torch.get_rng_state()
    data = Grid().load(CPU)
    next(data.stream(0, 8, 0))
    data.real(8)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("kind", "options", "option"),
    [
        (Ring, {"std": 0.0}, "std"),
        (Ring, {"std": -1.0}, "std"),
        (Ring, {"std": math.nan}, "std"),
        (Ring, {"scale": 0.0}, "scale"),
        (Grid, {"scale": math.inf}, "scale"),
        (Ring, {"count": 0}, "count"),
        (Ring, {"radius": 0.0}, "radius"),
        (Ring, {"radius": math.nan}, "radius"),
        (Grid, {"side": 0}, "side"),
        (Grid, {"spacing": 0.0}, "spacing"),
        (SwissRoll, {"nodes": 0}, "nodes"),
        (SwissRoll, {"std": 0.01}, "nodes"),
        (GaussianMixture, {"means": ()}, "means"),
        (GaussianMixture, {"means": ((), ())}, "means"),
        (GaussianMixture, {"means": ((0.0, 1.0), (2.0,))}, "means"),
        (GaussianMixture, {"means": ((0.0,), (math.nan,))}, "means"),
        (GaussianMixture, {"means": ((0.0,), (1.0,)), "probabilities": (1.0,)}, "probabilities"),
        (GaussianMixture, {"means": ((0.0,), (1.0,)), "probabilities": ()}, "probabilities"),
        (GaussianMixture, {"means": ((0.0,), (1.0,)), "probabilities": (0.0, 0.0)}, "probabilities"),
        (GaussianMixture, {"means": ((0.0,), (1.0,)), "probabilities": (2.0, -1.0)}, "probabilities"),
        (GaussianMixture, {"means": ((0.0,), (1.0,)), "probabilities": (1.0, math.nan)}, "probabilities"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(kind, options, option):
    with pytest.raises(ValueError, match=rf"^dataset\.{option}\b[^\n]+$"):
        kind(**options)


def test_that_the_swiss_roll_reports_how_many_nodes_suffice():
    with pytest.raises(ValueError, match="choose 13324 or more"):
        SwissRoll(std=0.01)
    assert SwissRoll(std=0.01, nodes=13324).nodes == 13324


@pytest.mark.parametrize("name", ["ring8", "grid25", "swiss_roll", "gaussian_mixture"])
def test_the_configured_sets_are_the_published_ones(hydra_config, name):
    dataset = build("dataset", resolve(hydra_config(f"dataset={name}", "model=mlp")).dataset)
    assert isinstance(dataset, Density)
    assert not dataset.bounded
    if name in DENSITIES:
        assert dataset == DENSITIES[name]
    batch = next(dataset.load(CPU).stream(0, 5, 0))
    assert batch["data"].shape == (5, 2)


def test_a_mixture_is_set_from_the_command_line(hydra_config):
    options = [
        "dataset.means=[[-1],[0.5],[2]]",
        "dataset.probabilities=[1,2,5]",
        "dataset.std=0.3",
        "dataset.scale=1.5",
    ]
    dataset = build("dataset", resolve(hydra_config("dataset=gaussian_mixture", *options)).dataset)
    x = LINE.sample(20, seeded())[0]
    assert dataset.shape == (1,)
    assert torch.equal(dataset.log_prob(x), LINE.log_prob(x))


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("ring8", "dataset.std=0", "dataset.std must be positive"),
        ("ring8", "dataset.count=2.5", "dataset.count=2.5"),
        ("ring8", "dataset.std=wide", "dataset.std=wide"),
        ("gaussian_mixture", "dataset.means=[[0,0],[1]]", "dataset.means must be points of the same dimension"),
        ("gaussian_mixture", "dataset.means=[0,1]", "dataset.means.0=0"),
        ("gaussian_mixture", "dataset.probabilities=[1,2]", "dataset.probabilities must be 3 numbers"),
        ("gaussian_mixture", "+dataset.weights=[1,2,3]", "GaussianMixture takes no such option"),
        ("swiss_roll", "dataset.nodes=10", "dataset.nodes=10 is too small"),
    ],
)
def test_that_bad_options_are_reported_in_one_line(hydra_config, name, override, message):
    with pytest.raises(ConfigError) as caught:
        build("dataset", resolve(hydra_config(f"dataset={name}", override)).dataset)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
