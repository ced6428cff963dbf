"""Test Real NVP's inverse, its density and its scales."""

import itertools
import math

import pytest
import torch
from torch.autograd.functional import jacobian

from gan_runner.models.flows import ActNorm, Coupling, MultiScale, unsqueeze
from gan_runner.models.real_nvp import RealNVP, alternating, checkerboard, num_scales, rows_of_squares

SHAPES = [(2,), (5,), (1,), (1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 5, 3), (1, 6, 6)]


def random_flow(shape, spread=0.1, **options):
    """A flow with random weights."""
    bounded = options.pop("bounded", len(shape) == 3)
    flow = RealNVP(math.prod(shape), shape, bounded, **{"couplings": 2, "width": 3, "depth": 1, **options})
    for parameter in flow.parameters():
        parameter.data += spread * torch.randn_like(parameter)
    return flow


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_inverts_the_generator(shape):
    flow = random_flow(shape, spread=0.1 if math.prod(shape) < 500 else 0.015)
    z = torch.randn(4, math.prod(shape))
    x = flow.generate(z).detach()
    assert x.shape == (4, *shape)
    back, log_det = flow.inverse(x)
    torch.testing.assert_close(back, z, rtol=1e-8, atol=1e-8)
    assert log_det.shape == (4,)
    assert (x - z.view_as(x)).abs().max() > 0.1


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("weight_norm", ["none", "weight", "spectral", "orthogonal"])
@pytest.mark.parametrize("shape", [(2,), (5,), (1, 4, 4), (2, 4, 6)])
def test_density_follows_the_change_of_variables(shape, weight_norm):
    dim = math.prod(shape)
    flow = random_flow(shape, weight_norm=weight_norm, norm="layer", scales=2 if len(shape) == 3 else None).eval()
    z = 0.5 * torch.randn(dim)
    slopes = jacobian(lambda row: flow.generate(row[None]).flatten(), z)
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum() - torch.linalg.slogdet(slopes).logabsdet
    torch.testing.assert_close(flow.log_prob(flow.generate(z[None]))[0], expected, rtol=1e-8, atol=1e-8)


def test_density_of_points_integrates_to_one():
    flow = random_flow((2,), couplings=4)
    axis = torch.linspace(-15, 15, 300)
    density = flow.log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert (density.sum() * (axis[1] - axis[0]) ** 2).item() == pytest.approx(1, abs=1e-3)


def test_samples_are_generated_images_clamped_to_the_bounds():
    flow = random_flow((1, 8, 8))
    z = 2 * torch.randn(50, 64)
    free, cut = flow.generate(z), flow(z)
    assert free.abs().max() > 1
    assert cut.abs().max() == 1
    assert torch.equal(cut, free.clamp(-1, 1))
    points = random_flow((2,), bounded=False)
    assert torch.equal(points(z[:, :2]), points.generate(z[:, :2]))


def test_initial_latents_of_data_are_standardised():
    flow = RealNVP(2, (2,), False, couplings=4)
    x = torch.randn(500, 2) * torch.tensor([0.1, 5.0]) + 3
    flow.prepare(torch.randn(500, 2), x)
    z, _ = flow.inverse(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(z.var(0, correction=0), torch.ones(2), rtol=0, atol=1e-4)
    assert not any(module.fitting for module in flow.modules() if isinstance(module, ActNorm))


def test_initial_latents_of_images_have_variance_one():
    flow = RealNVP(64, (1, 8, 8), True, couplings=2, width=4, depth=1)
    x = torch.randint(256, (100, 1, 8, 8)) / 127.5 - 1
    flow.prepare(torch.randn(100, 64), x)
    z, _ = flow.inverse(x)
    assert z.square().mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((1, 8, 8), 2), ((1, 16, 16), 3), ((1, 28, 28), 3), ((3, 32, 32), 4), ((3, 64, 64), 5), ((1, 5, 5), 1)],
)
def test_number_of_scales_leaves_a_side_of_four_to_seven(shape, count):
    assert num_scales(shape, None) == count


@pytest.mark.parametrize(
    ("shape", "make"), [((5,), alternating), ((3, 5, 4), checkerboard), ((12, 2, 2), rows_of_squares)]
)
def test_masks_are_complementary_halves(shape, make):
    masks = [make(shape, phase).expand(shape) for phase in (0, 1)]
    assert torch.equal(masks[0] + masks[1], torch.ones(shape))
    assert masks[0].mean().item() == pytest.approx(0.5, abs=0.11)


def test_masks_after_the_squeeze_cut_each_colour_of_the_checkerboard_in_half():
    """Mapped back to pixels, they pair each colour with each row of a square equally often, at every scale."""
    flow = RealNVP(3 * 16 * 16, (3, 16, 16), True, width=2, depth=1)
    scales = [module for module in flow.modules() if isinstance(module, MultiScale)]
    assert [scale.kept for scale in scales] == [(6, 8, 8), (12, 4, 4)]
    for scale in scales:
        channels, height, width = scale.kept
        shape = (channels // 2, 2 * height, 2 * width)
        fine = [step.mask.expand(shape) for step in scale.fine.steps if isinstance(step, Coupling)]
        coarse = [step.mask.expand(2 * channels, height, width) for step in scale.coarse.steps[::2]]
        for colour, rows in itertools.product(fine, map(unsqueeze, (mask[None] for mask in coarse))):
            assert (colour * rows).mean((0, 2, 3)).tolist() == [0.25] * shape[0]


def test_neighbours_on_the_checkerboard_differ():
    mask = checkerboard((1, 4, 4), 0)[0]
    assert (mask[1:] != mask[:-1]).all()
    assert (mask[:, 1:] != mask[:, :-1]).all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"latent_dim": 5}, "one latent for each element .* model.latent.dim=5, or set it to 64"),
        ({"norm": "virtual"}, "with norm=virtual .* no density; choose norm=none or layer"),
        ({"norm": "batch"}, "with norm=batch"),
        ({"condition_dim": 10}, "real_nvp takes no condition"),
        ({"couplings": 0}, "couplings must be at least 1"),
        ({"scales": 5}, "scales=5, but 8×8 px can have 1 to 4 scales"),
        ({"scales": 0}, "scales=0"),
        ({"alpha": 0.7}, "alpha=0.7 must be between"),
    ],
)
def test_invalid_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        RealNVP(**{"latent_dim": 64, "shape": (1, 8, 8), "bounded": True, **options})
