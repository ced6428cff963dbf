"""Steps of torch's optimizers without its compiler: the updates are bit-identical."""

import pytest
import torch
from torch.optim import Optimizer

from gan_runner.optimizers.eager import eager_step

KINDS = {
    "Adam": {"lr": 0.1},
    "AdamW": {"lr": 0.1, "fused": True},
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "RMSprop": {"lr": 0.1, "foreach": True},
    "RAdam": {"lr": 0.1},
}


def descend(kind, step_of, steps=5):
    """The weights after some steps on a quadratic loss."""
    weights = [torch.linspace(-1, 2, 6).view(2, 3).requires_grad_(), torch.ones(3, requires_grad=True)]
    optimizer = getattr(torch.optim, kind)(weights, **KINDS[kind])
    step = step_of(optimizer)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(weight.pow(4).sum() for weight in weights).backward()
        step()
    optimizer.load_state_dict(optimizer.state_dict())
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize("kind", KINDS)
def test_the_update_is_bit_identical_to_torchs(kind):
    for left, right in zip(descend(kind, lambda optimizer: optimizer.step), descend(kind, eager_step), strict=True):
        assert torch.equal(left, right)


def test_hooks_are_called():
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1)
    called = []
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    weight.grad = torch.ones(1)
    eager_step(optimizer)()
    assert called == ["before", "after"]


def test_no_method_of_the_optimizer_is_replaced():
    optimizer = torch.optim.Adam([torch.ones(1, requires_grad=True)], lr=0.1)
    eager_step(optimizer)
    assert "step" not in vars(optimizer)


def test_an_optimizer_of_another_package_keeps_its_own_step():
    class Own(Optimizer):
        def step(self):
            return "own"

    assert eager_step(Own([torch.ones(1, requires_grad=True)], {}))() == "own"
