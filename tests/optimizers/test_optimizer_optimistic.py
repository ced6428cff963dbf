"""Optimistic optimizers: the papers' sequences written out, torch's optimizers as special cases, and checkpoints."""

import copy
import math

import pytest
import torch
from torch import nn

from gan_runner.optimizers.optimistic import GradientDescent, OptimisticAdam

GRADIENTS = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
START = torch.arange(4, dtype=torch.float64)


def walk(make, gradients=GRADIENTS, start=START):
    """The path (steps + 1, n) of an optimizer from a start (n,) with given gradients (steps, n)."""
    parameter = nn.Parameter(start.clone())
    optimizer = make([parameter])
    places = [start]
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
        places.append(parameter.detach().clone())
    return torch.stack(places)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_gradient_descent_equals_torchs_sgd_with_its_momenta(momentum):
    ours = walk(lambda params: GradientDescent(params, lr=0.1, momentum=momentum))
    assert_same(ours, walk(lambda params: torch.optim.SGD(params, lr=0.1, momentum=momentum)))


def test_negative_momentum_is_the_papers_step():
    expected = [START, START - 0.1 * GRADIENTS[0]]
    for gradient in GRADIENTS[1:]:
        expected.append(expected[-1] - 0.1 * gradient - 0.5 * (expected[-1] - expected[-2]))
    assert_same(walk(lambda params: GradientDescent(params, lr=0.1, momentum=-0.5)), torch.stack(expected))


def test_optimism_is_twice_the_gradient_minus_the_last_one():
    expected, before = [START], torch.zeros(4)
    for gradient in GRADIENTS:
        expected.append(expected[-1] - 0.2 * gradient + 0.1 * before)
        before = gradient
    assert_same(walk(lambda params: GradientDescent(params, lr=0.1, optimism=1.0)), torch.stack(expected))


def test_under_a_constant_gradient_optimism_is_one_step_ahead():
    slope = torch.ones(7, 1, dtype=torch.float64)
    ahead = walk(lambda params: GradientDescent(params, lr=0.1, optimism=1.0), slope, torch.zeros(1).double())
    assert_same(ahead[1:, 0], -0.1 * torch.arange(2, 9, dtype=torch.float64))


def test_optimistic_adam_is_the_papers_algorithm():
    (beta1, beta2), eps, lr = (0.5, 0.9), 1e-8, 0.01
    place, mean, square, before, expected = START, 0.0, 0.0, torch.zeros(4), [START]
    for t, gradient in enumerate(GRADIENTS, 1):
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        now = (mean / (1 - beta1**t)) / ((square / (1 - beta2**t)).sqrt() + eps)
        place, before = place - 2 * lr * now + lr * before, now
        expected.append(place)
    assert_same(walk(lambda params: OptimisticAdam(params, lr=lr, betas=(beta1, beta2))), torch.stack(expected))


def test_without_optimism_it_is_adam():
    ours = walk(lambda params: OptimisticAdam(params, lr=0.01, betas=(0.5, 0.999), optimism=0.0))
    assert_same(ours, walk(lambda params: torch.optim.Adam(params, lr=0.01, betas=(0.5, 0.999))))


@pytest.mark.parametrize(
    "make",
    [
        lambda params: GradientDescent(params, lr=0.1, momentum=-0.5, optimism=1.0),
        lambda params: OptimisticAdam(params, lr=0.1),
    ],
)
def test_state_survives_a_checkpoint(make, tmp_path):
    parameter = nn.Parameter(START.clone())
    optimizer = make([parameter])
    for gradient in GRADIENTS[:5]:
        parameter.grad = gradient
        optimizer.step()
    torch.save({"optimizer": optimizer.state_dict(), "place": parameter.detach()}, tmp_path / "last.pt")
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    restored = nn.Parameter(state["place"])
    again = make([restored])
    again.load_state_dict(copy.deepcopy(state["optimizer"]))
    for gradient in GRADIENTS[5:]:
        restored.grad = gradient
        again.step()
    assert torch.equal(restored.detach(), walk(make)[-1])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: GradientDescent([START], lr=-0.1), "lr=-0.1"),
        (lambda: GradientDescent([START], lr=0.1, momentum=-1.0), "between -1 and 1"),
        (lambda: OptimisticAdam([START], lr=0.1, betas=(0.5, 1.0)), r"betas=\[0.5, 1.0\]"),
    ],
)
def test_options_out_of_range_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.parametrize("optimizer", ["gradient_descent", "negative_momentum", "optimistic", "optimistic_adam"])
def test_it_trains_a_player_in_its_own_precision(make_system, optimizer):
    system = make_system("dataset=ring8", "model=mlp", f"optimizer={optimizer}")
    nn.ModuleDict(system.networks).double()
    player = system.players[0]
    before = [p.clone() for p in player.parameters]
    player.descend([torch.ones_like(p) for p in player.parameters])
    rate = player.optimizer.param_groups[0]["lr"] * (1 + player.optimizer.param_groups[0]["optimism"])
    for old, new in zip(before, player.parameters):
        assert new.dtype == torch.float64
        assert math.isclose((old - new).mean().item(), rate, rel_tol=1e-7)


def test_loaded_counts_are_on_the_device_of_their_parameters():
    weights = [nn.Parameter(torch.zeros(3, device=device)) for device in ("cpu", "meta")]
    first, second = (OptimisticAdam([weight], lr=0.1) for weight in weights)
    weights[0].grad = torch.ones(3)
    first.step()
    second.load_state_dict(first.state_dict())
    (state,) = second.state.values()
    assert {value.device.type for value in state.values()} == {"meta"}
    assert state["step"].dtype == torch.float64
