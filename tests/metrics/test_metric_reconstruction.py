"""What is lost between codes and data: nothing of an identity, by hand of others."""

from types import SimpleNamespace

import pytest
import torch
from conftest import TINY

from gan_runner.datasets.images import ResidentImages
from gan_runner.errors import ConfigError
from gan_runner.metrics.evaluator import Evaluator, build_metrics
from gan_runner.metrics.reconstruction import Reconstruction
from gan_runner.models.encoders import Posterior
from gan_runner.sampling.inference import encode

BYTES = torch.tensor([0, 255, 0, 51], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 2, 2)  # -1, 1, -1, -0.6


def results_of(reconstruct, n=4, images=BYTES):
    data = ResidentImages("greys", images, torch.zeros(len(images)), flip=False)
    dataset = SimpleNamespace(splits=("train", "validation"))
    reference = SimpleNamespace(split={"validation": data}.get, n=n, selecting=False)
    game = SimpleNamespace(encodes=lambda networks: True, encode=lambda networks, x: Posterior(x, x))
    system = SimpleNamespace(
        game=game, networks={}, sampling_networks=dict, device=torch.device("cpu"), sample=reconstruct
    )
    return SimpleNamespace(dataset=dataset, reference=reference, system=system)


def test_what_comes_back_as_it_was_has_lost_nothing():
    metric = Reconstruction()
    found = metric(results_of(lambda x: x))
    assert found == {"reconstruction_absolute": 0, "reconstruction_squared": 0}
    assert metric.conditions == {"samples": None, "real": None, "split": "validation", "reconstructed": 4}


@pytest.mark.parametrize(
    ("reconstruct", "absolute", "squared"),
    [
        (lambda x: x + 0.5, 0.5, 0.25),
        (torch.zeros_like, (1 + 1 + 1 + 0.6) / 4, (1 + 1 + 1 + 0.36) / 4),
        (lambda x: -x, (2 + 2 + 2 + 1.2) / 4, (4 + 4 + 4 + 1.44) / 4),
        (lambda x: x * torch.tensor([[1.0, 0.0], [1.0, 1.0]]), 3.6 / 16, 3.36 / 16),
    ],
)
def test_by_hand(reconstruct, absolute, squared):
    found = Reconstruction()(results_of(reconstruct))
    assert found["reconstruction_absolute"] == pytest.approx(absolute, abs=1e-6)
    assert found["reconstruction_squared"] == pytest.approx(squared, abs=1e-6)


def test_noise_of_an_encoder_that_draws_is_fresh_for_each_piece():
    results = results_of(lambda x: x, n=5000, images=BYTES[:1].expand(5000, 1, 2, 2))
    noise = []
    results.system.game.encode = lambda networks, x: noise.append(torch.rand(1).item()) or Posterior(x, x)
    Reconstruction()(results)
    assert len(set(noise)) == len(noise) > 1


def test_of_a_run_it_is_the_error_of_held_out_images(make_system):
    system = make_system("game=vae", "model=mlp", *TINY["mlp"], "dataset.held_out=40")
    metric = Reconstruction()
    evaluator = Evaluator(system, {"reconstruction": metric}, 30, 0)
    found = evaluator.measure()
    x = system.dataset.load(system.device, "validation").real(30)
    error = system.sample(encode(system, x)) - x
    assert found["reconstruction_absolute"] == pytest.approx(error.abs().mean().item(), rel=1e-5)
    assert found["reconstruction_squared"] == pytest.approx(error.square().mean().item(), rel=1e-5)
    conditions = {"split": "validation", "reconstructed": 30}
    assert evaluator.conditions["reconstruction_squared"] == conditions
    metric.samples = 7
    evaluator.measure()
    assert evaluator.conditions["reconstruction_squared"]["reconstructed"] == 7


def test_that_unsuitable_systems_are_refused(hydra_config, make_system):
    config = hydra_config("metric=[reconstruction]")
    with pytest.raises(ConfigError, match="reconstruction: it needs codes of data, and GAN has no encoder; choose a"):
        build_metrics(config, make_system())
    config.metric.reconstruction.split = "test"
    with pytest.raises(ConfigError, match="this dataset has no split test; set split to train"):
        build_metrics(config, make_system("game=vae", "model=mlp", *TINY["mlp"]))
    with pytest.raises(ValueError, match="samples=0 must be at least 1"):
        Reconstruction(samples=0)
