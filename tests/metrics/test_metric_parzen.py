"""Parzen windows: scikit-learn's, and closed forms."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity

from gan_runner.metrics.parzen import choose_sigma, log_likelihood, parzen


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("chunk", [9, 1000])
def test_log_likelihood_is_scikit_learns(sigma, chunk):
    x, samples = torch.rand(40, 200), torch.rand(60, 200)
    # One leaf: between several, scikit-learn bounds densities, and far from the samples its bounds cancel.
    reference = KernelDensity(bandwidth=sigma, leaf_size=60).fit(samples.double()).score_samples(x.double())
    values = log_likelihood(x, samples, sigma, chunk)
    assert values.shape == (40,)
    torch.testing.assert_close(values, torch.as_tensor(reference), rtol=1e-12, atol=1e-9)


def test_window_of_one_sample_is_a_gaussian():
    x, centre, sigma = torch.randn(30, 7).double(), torch.randn(1, 7).double(), 0.4
    expected = torch.distributions.Normal(centre, sigma).log_prob(x).sum(1)
    torch.testing.assert_close(log_likelihood(x, centre, sigma), expected)


def test_windows_that_do_not_meet_cost_the_logarithm_of_their_number():
    """At one of m samples far apart the others give nothing: −log m − d/2 log 2πσ²."""
    samples = 100 * torch.eye(6).double()
    expected = -math.log(6) - 3 * math.log(2 * math.pi * 0.25)
    assert log_likelihood(samples, samples, 0.5).tolist() == pytest.approx([expected] * 6, rel=1e-11)


def test_far_away_it_is_finite_and_of_the_nearest():
    x, samples = torch.full((1, 784), 10.0), torch.zeros(3, 784)
    expected = -784 * 100 / (2 * 0.01) - 392 * math.log(2 * math.pi * 0.01)
    assert log_likelihood(x, samples, 0.1).item() == pytest.approx(expected, rel=1e-12)


def test_density_integrates_to_one():
    grid = torch.linspace(-12, 12, 4001).double().unsqueeze(1)
    density = log_likelihood(grid, torch.randn(20, 1), 0.7).exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1, rel=1e-6)


def test_best_sigma_of_one_window_is_the_deviation():
    """Σ ‖x‖² / nd = σ² maximises the likelihood of x under N(0, σ²I)."""
    x, sigmas = 0.4 * torch.randn(2000, 10), [float(s) for s in np.logspace(-1, 0, 10)]
    assert choose_sigma(x, torch.zeros(1, 10), sigmas) == min(sigmas, key=lambda s: abs(math.log(s / 0.4)))


def test_chosen_sigma_is_that_of_the_greatest_mean():
    x, samples, sigmas = torch.randn(50, 3), torch.randn(80, 3), [0.1, 0.3, 1.0, 3.0]
    means = [log_likelihood(x, samples, sigma).mean().item() for sigma in sigmas]
    assert choose_sigma(x, samples, sigmas, chunk=7) == sigmas[means.index(max(means))]


def test_every_point_of_validation_counts_alike_however_they_are_chunked():
    x, sigmas = torch.cat([torch.zeros(49, 1), torch.full((1, 1), 2.0)]), [0.3, 1.4]  # E x² = 0.08; alone, the last: 4
    assert choose_sigma(x, torch.zeros(1, 1), sigmas, chunk=49) == choose_sigma(x, torch.zeros(1, 1), sigmas) == 0.3


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_sigma_must_be_positive(sigma):
    with pytest.raises(ValueError, match="sigma must be positive"):
        log_likelihood(torch.zeros(2, 2), torch.zeros(2, 2), sigma)
    with pytest.raises(ValueError, match="sigma must be positive"):
        choose_sigma(torch.zeros(2, 2), torch.zeros(2, 2), [])


def test_of_a_generator_it_is_that_of_test_images_on_the_unit_interval():
    """The window's width is the one that validation images like best; training images have no say."""
    splits = {"validation": torch.rand(30, 1, 3, 3) * 2 - 1, "test": torch.rand(40, 1, 3, 3) * 2 - 1}
    samples = torch.rand(60, 1, 3, 3) * 2 - 1
    held = {name: SimpleNamespace(real=lambda n, images=images: images[:n]) for name, images in splits.items()}
    reference = SimpleNamespace(split=held.get, selecting=False)
    found = parzen(SimpleNamespace(samples=samples, reference=reference), [0.05, 0.2, 0.8], validation=20, test=35)
    x, y, validation = ((images.flatten(1) + 1) / 2 for images in (splits["test"][:35], samples, splits["validation"]))
    assert found["parzen_sigma"] == choose_sigma(validation[:20], y, [0.05, 0.2, 0.8])
    values = log_likelihood(x, y, found["parzen_sigma"])
    assert found["parzen_nats"] == pytest.approx(values.mean().item(), rel=1e-12)
    assert found["parzen_standard_error"] == pytest.approx(values.std().item() / 35**0.5, rel=1e-12)
    by_hand = [
        math.log(
            sum(math.exp(-((a - b) ** 2).sum() / (2 * s**2)) / (2 * math.pi * s**2) ** 4.5 for b in y.double()) / 60
        )
        for s in [found["parzen_sigma"]]
        for a in x.double()
    ]
    assert found["parzen_nats"] == pytest.approx(sum(by_hand) / 35, rel=1e-9)


def test_that_a_run_on_mnist_reports_the_parzen_value_and_its_conditions(gan_run, tmp_path, data_root):
    line = ["dataset=mnist", f"dataset.root={data_root}", "dataset.held_out=500", "trainer.steps=1"]
    line += ["metric=[parzen]", "metric.parzen.validation=50", "metric.parzen.test=70", "trainer.batch_size=4"]
    line += ["model.generator.width=4", "model.discriminator.width=4", "observer.evaluation.samples=40"]
    line += ["objective=parzen_nats"]
    code, _, err = gan_run(*line, "trainer.sample_every=0", "logger.mode=disabled", "hydra.run.dir=run")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert set(summary["measured_on"]) == {"parzen_nats", "parzen_standard_error", "parzen_sigma"}
    assert summary["measured_on"]["parzen_nats"] == {"step": summary["step"], "samples": 40, "split": "validation"}
    assert summary["final"]["metric/parzen_sigma"] in [10 ** (i / 9 - 1) for i in range(10)]
