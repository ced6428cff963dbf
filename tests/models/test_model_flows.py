"""Test that invertible layers have the right inverse, and the determinant that autodiff gives."""

import math

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from gan_runner.models.flows import ActNorm, Bounded, Composition, Coupling, Flatten, MultiScale, squeeze, unsqueeze

pytestmark = pytest.mark.usefixtures("_float64")


def coupling():
    """A multi-scale flow of two channels at 2×4 px with random weights."""
    mask = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    layer = Coupling(mask, nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 4, 1)), 2)
    layer.bound.data.normal_()
    return layer


def act_norm():
    layer = ActNorm(2, spatial=True)
    layer.log_scale.data.normal_()
    layer.shift.data.normal_()
    return layer


def multi_scale():
    coarse = ActNorm(8, spatial=True)
    coarse.log_scale.data.normal_()
    return MultiScale((2, 2, 4), Composition(act_norm(), coupling()), coarse, Flatten((4, 1, 2)))


LAYERS = {
    "coupling": coupling,
    "act_norm": act_norm,
    "steps": lambda: Composition(coupling(), act_norm(), coupling()),
    "multi_scale": multi_scale,
    "flatten": lambda: Flatten((2, 2, 4)),
    "bounded": lambda: Bounded(0.05),
}
ROWS = ("multi_scale", "flatten")


@pytest.mark.parametrize("name", LAYERS)
def test_inverse_and_determinant_agree_with_autodiff(name):
    layer = LAYERS[name]()
    z = torch.randn(3, 16) if name in ROWS else torch.randn(3, 2, 2, 4)
    x = layer(z).detach()
    back, log_det = layer.inverse(x)
    torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)
    jacobians = [jacobian(lambda one: layer.inverse(one[None])[0].flatten(), row).reshape(16, 16) for row in x]
    expected = torch.linalg.slogdet(torch.stack(jacobians)).logabsdet
    torch.testing.assert_close(log_det, expected, rtol=1e-9, atol=1e-9)


def test_coupling_keeps_masked_elements_and_conditions_on_them():
    layer, z = coupling(), torch.randn(3, 2, 2, 4)
    x = layer(z)
    assert torch.equal(x[:, 0], z[:, 0])
    moved = z.clone()
    moved[:, 1] += 1
    slope = (layer(moved) - x)[:, 1]
    torch.testing.assert_close(slope.log(), layer.scale_and_shift(z)[0][:, 1])


def test_log_scales_are_bounded():
    layer = coupling()
    with torch.no_grad():
        layer.network[-1].weight *= 100
        scale, _ = layer.scale_and_shift(1e3 * torch.randn(50, 2, 2, 4))
    assert (scale.abs() <= layer.bound.abs() + 1e-12).all()
    assert scale[:, 1].abs().max() > 0.99 * layer.bound[1].abs()


def test_first_half_of_squeezed_channels_is_a_checkerboard():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    apart = squeeze(x)
    assert apart[0, :, 0, 0].tolist() == [0, 5, 1, 4]
    assert torch.equal(unsqueeze(apart), x)
    rows, columns = apart[0, :2] // 4, apart[0, :2] % 4
    assert ((rows + columns) % 2 == 0).all()


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 4, 6), (2, 6, 2)])
def test_unsqueeze_inverts_squeeze(shape):
    x = torch.randn(5, *shape)
    assert squeeze(x).shape == (5, 4 * shape[0], shape[1] // 2, shape[2] // 2)
    assert torch.equal(unsqueeze(squeeze(x)), x)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_act_norm_standardises_the_initial_batch(shape):
    layer = ActNorm(3, spatial=len(shape) == 3)
    x = 5 + 3 * torch.randn(200, *shape)
    x[:, 2] = 7.0
    layer.fit(x)
    z, _ = layer.inverse(x)
    over = [0, *range(2, z.dim())]
    torch.testing.assert_close(z.mean(over), torch.zeros(3))
    torch.testing.assert_close(z.var(over, correction=0), torch.tensor([1.0, 1.0, 0.0]))


def test_bounded_exceeds_both_ends_by_the_same_amount():
    layer = Bounded(0.05)
    far = 2 * 0.05 / 0.9
    assert layer(torch.tensor([-50.0, 50.0])).tolist() == pytest.approx([-1 - far, 1 + far])
    z, _ = layer.inverse(torch.tensor([[-1.0], [1.0]]))
    assert z.flatten().tolist() == pytest.approx([math.log(0.05 / 0.95), math.log(0.95 / 0.05)])


@pytest.mark.parametrize("alpha", [0.0, 0.5, -1.0])
def test_bounded_refuses_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match=r"alpha=.* must be between 0 and 0\.5"):
        Bounded(alpha)
