"""Torch's optimizers without its compiler: the same update to the bit."""

import pytest
import torch
from torch.optim import Optimizer

from gan_runner.optimizers.eager import eager

KINDS = {
    "Adam": {"lr": 0.1},
    "AdamW": {"lr": 0.1, "fused": True},
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "RMSprop": {"lr": 0.1, "foreach": True},
    "RAdam": {"lr": 0.1},
}


def descend(make, steps=5):
    """The weights after some steps on a bowl."""
    weights = [torch.linspace(-1, 2, 6).view(2, 3).requires_grad_(), torch.ones(3, requires_grad=True)]
    optimizer = make(weights)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(weight.pow(4).sum() for weight in weights).backward()
        optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize("kind", KINDS)
def test_the_update_is_torchs_to_the_bit(kind):
    def plain(weights):
        return getattr(torch.optim, kind)(weights, **KINDS[kind])

    for left, right in zip(descend(plain), descend(lambda weights: eager(lambda: plain(weights))), strict=True):
        assert torch.equal(left, right)


def test_hooks_are_called_and_a_scheduler_finds_its_step():
    weight = torch.ones(1, requires_grad=True)
    optimizer = eager(lambda: torch.optim.Adam([weight], lr=0.1))
    called = []
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    weight.grad = torch.ones(1)
    optimizer.step()
    scheduler.step()
    assert called == ["before", "after"]
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_an_optimizer_of_another_package_keeps_its_own_step():
    class Own(Optimizer):
        def step(self):
            return "own"

    optimizer = eager(lambda: Own([torch.ones(1, requires_grad=True)], {}))
    assert "step" not in vars(optimizer)
