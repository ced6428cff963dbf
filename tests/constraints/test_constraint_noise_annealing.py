"""Noise annealing: σ falls linearly, for any number of updates per step."""

import pytest
import torch
from torch import nn

from gan_runner.constraints.noise_annealing import NoiseAnnealing
from gan_runner.models.layers.instance_noise import InstanceNoise
from gan_runner.step import train_step


def networks():
    return {"one": nn.Sequential(InstanceNoise((2,), std=0.4)), "two": InstanceNoise((2,), std=0.1)}


def test_sigma_is_linear_in_the_updates_and_then_zero():
    layers = networks()
    anneal = NoiseAnnealing(layers, steps=4, updates=5)
    for t in range(1, 25):
        anneal()
        left = max(0, 1 - t / 20)
        torch.testing.assert_close(layers["one"][0].sigma, torch.tensor(0.4 * left))
        torch.testing.assert_close(layers["two"].sigma, torch.tensor(0.1 * left))


def test_it_continues_from_a_checkpoint():
    first, second = networks(), networks()
    whole, restored = NoiseAnnealing(first, 10), NoiseAnnealing(second, 10)
    for _ in range(4):
        whole()
    restored.load_state_dict(whole.state_dict())
    second["two"].load_state_dict(first["two"].state_dict())
    assert second["two"].sigma == first["two"].sigma
    whole(), restored()
    assert second["two"].sigma == first["two"].sigma == pytest.approx(0.05)


def test_a_run_ends_without_noise(make_system):
    options = ["dataset=ring8", "model=mlp", "regularizer=[instance_noise]", "trainer.steps=3"]
    system = make_system(*options, "players.discriminator.updates=2")
    sigma = system.networks["discriminator"].augment[0].sigma
    seen = [sigma.item()]
    for _ in range(3):
        train_step(system.players, iter([{"data": torch.randn(8, 2)}] * 2))
        seen.append(sigma.item())
    assert seen == pytest.approx([0.1, 0.2 / 3, 0.1 / 3, 0])


def test_no_noise_and_no_steps_are_refused():
    with pytest.raises(ValueError, match="noise annealing needs instance noise"):
        NoiseAnnealing({"one": nn.Linear(2, 2)}, 10)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        NoiseAnnealing(networks(), 0)
