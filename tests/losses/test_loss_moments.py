"""MMD as a loss: estimates, gradients, and invalid options."""

import pytest
import torch

from gan_runner.losses.kernels import RBF, biased_mmd2, unbiased_mmd2
from gan_runner.losses.moments import MMD

KERNEL = RBF((1.0,))


def normal(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64)


def test_estimates_are_those_of_the_kernels():
    x, y = normal(6, 2), 1 + normal(5, 2)
    torch.testing.assert_close(MMD(KERNEL).distance(x, y), biased_mmd2(KERNEL, x, y))
    torch.testing.assert_close(MMD(KERNEL, unbiased=True).distance(x, y), unbiased_mmd2(KERNEL, x, y))
    torch.testing.assert_close(MMD(KERNEL, root=True).distance(x, y), biased_mmd2(KERNEL, x, y).sqrt())


def test_equal_samples_have_zero_distance_and_gradient():
    x = normal(6, 2)
    for root in (False, True):
        fake = x.clone().requires_grad_()
        value = MMD(KERNEL, root=root).distance(x, fake)
        (slope,) = torch.autograd.grad(value, fake)
        assert value.item() == pytest.approx(0, abs=1e-5)
        assert slope.abs().max() < 1e-6


def test_root_has_a_larger_gradient_near_zero():
    x = normal(6, 2)
    pulls = []
    for root in (False, True):
        fake = (x + 1e-2).requires_grad_()
        (slope,) = torch.autograd.grad(MMD(KERNEL, root=root).distance(x, fake), fake)
        pulls.append(slope.norm())
    assert pulls[1] > 10 * pulls[0]


def test_minimising_it_fits_a_gaussian_to_the_data():
    data = 2 + 0.5 * normal(200, 1)
    parameters = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([parameters], lr=0.05)
    z = normal(200, 1).flip(0)
    for _ in range(150):
        fake = parameters[0] + parameters[1] * z
        optimizer.zero_grad()
        MMD(KERNEL, median=True).distance(data, fake).backward()
        optimizer.step()
    assert parameters[0].item() == pytest.approx(data.mean().item(), abs=0.05)
    assert parameters[1].abs().item() == pytest.approx(data.std().item(), abs=0.05)


def test_witness_is_positive_at_data_and_negative_at_fakes():
    real, fake = normal(50, 1) - 2, normal(50, 1) + 2
    values = MMD(KERNEL).witness(torch.tensor([[-2.0], [2.0], [50.0]]).double(), real, fake)
    assert values[0] > 0 > values[1]
    assert values[2].abs() < 1e-9


def test_unbiased_estimate_has_no_root():
    with pytest.raises(ValueError, match="may be negative, so it has no root"):
        MMD(KERNEL, unbiased=True, root=True)
