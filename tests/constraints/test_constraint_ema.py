"""The moving average: its recursion written out, copied buffers, and checkpoints."""

import pytest
import torch
from torch import nn

from gan_runner.constraints.ema import EMA
from gan_runner.models.dcgan import DCGANGenerator


def make_networks():
    return {
        "generator": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double(),
        "other": nn.Linear(2, 2).double(),
    }


def wander(networks):
    """Change the weights at random, and make a forward pass that updates running statistics."""
    with torch.no_grad():
        for network in networks.values():
            for parameter in network.parameters():
                parameter += torch.randn_like(parameter)
        networks["generator"](torch.randn(8, 3, dtype=torch.float64))


def weights(networks):
    return torch.cat([p.detach().flatten() for network in networks.values() for p in network.parameters()])


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.5, 0.999])
def test_recursion_with_its_warm_up(decay):
    torch.manual_seed(0)
    networks = make_networks()
    ema, expected = EMA(networks, decay), weights(networks)
    for t in range(40):
        wander(networks)
        present = weights(networks)
        ema()
        held = min(decay, (1 + t) / (10 + t))
        expected = held * expected + (1 - held) * present
        torch.testing.assert_close(weights(ema.averages), expected)
        assert torch.equal(weights(networks), present)


def test_a_scheduled_decay_is_that_of_each_step():
    networks = make_networks()
    ema, expected = EMA(networks, lambda step: 0.1 * step), weights(networks)
    decay = ema.decay.double()
    for step in range(8):
        decay.move_to(step)
        for t in (2 * step, 2 * step + 1):  # two updates per step
            wander(networks)
            ema()
            held = min(0.1 * step, (1 + t) / (10 + t))
            expected = held * expected + (1 - held) * weights(networks)
            torch.testing.assert_close(weights(ema.averages), expected)


def test_average_of_a_constant_is_that_constant():
    networks = make_networks()
    ema = EMA(networks, 0.9)
    wander(networks)
    for _ in range(200):
        ema()
    torch.testing.assert_close(weights(ema.averages), weights(networks))


def test_buffers_are_copied():
    networks = make_networks()
    ema = EMA(networks, 0.9)
    for _ in range(3):
        wander(networks)
        ema()
    kept, present = ema.averages["generator"][1], networks["generator"][1]
    assert torch.equal(kept.running_mean, present.running_mean)
    assert torch.equal(kept.running_var, present.running_var)
    assert kept.num_batches_tracked == 3
    wander(networks)  # and they are copies
    assert kept.num_batches_tracked == 3


def test_samples_come_from_the_averages():
    networks = make_networks()
    ema = EMA(networks, 0.9)
    assert not any(p.requires_grad for p in ema.parameters())
    assert not any(module.training for module in ema.averages.modules())
    assert networks["generator"].training
    assert all(p.requires_grad for p in networks["generator"].parameters())


def test_averages_and_count_survive_a_checkpoint(tmp_path):
    torch.manual_seed(0)
    networks = make_networks()
    ema = EMA(networks, 0.9)
    for _ in range(5):
        wander(networks)
        ema()
    torch.save(ema.state_dict(), tmp_path / "ema.pt")
    restored = EMA(networks, 0.9)
    restored.load_state_dict(torch.load(tmp_path / "ema.pt", weights_only=True))
    assert restored.updates == 5
    for _ in range(3):
        wander(networks)
        ema()
        restored()
        assert torch.equal(weights(restored.averages), weights(ema.averages))


@pytest.mark.parametrize("norm", ["batch", "virtual"])
@pytest.mark.parametrize("weight_norm", ["none", "spectral"])
def test_average_of_an_unchanged_generator_gives_equal_samples(norm, weight_norm):
    torch.manual_seed(0)
    generator = DCGANGenerator(4, (1, 8, 8), width=4, norm=norm, weight_norm=weight_norm, reference_size=3)
    ema = EMA({"generator": generator}, 0.9)
    generator.prepare(torch.randn(3, 4), torch.randn(3, 1, 8, 8))
    generator(torch.randn(8, 4))
    ema()
    noise = torch.randn(5, 4)
    torch.testing.assert_close(ema.averages["generator"](noise), generator.eval()(noise))


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0, float("nan")])
def test_decay_outside_its_interval_is_refused(decay):
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        EMA(make_networks(), decay)
