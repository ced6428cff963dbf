"""Gradient penalties: norms per sample, closed forms, the points where they act, and the critics that they refuse."""

from functools import partial

import pytest
import torch
from tiny_game import Critic, normal, smooth_network, turn_of, turn_of_pairs

from gan_runner.models.dcgan import DCGANDiscriminator
from gan_runner.models.mlp import MLPDiscriminator
from gan_runner.requirements import check_requirements
from gan_runner.terms.gradient_penalties import dragan, gradient_norms, gradient_penalty, r1, r2, squared_gradient_norms

PENALTIES = [gradient_penalty, dragan, r1, r2]
every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty.__name__)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_norms_are_per_sample(shape):
    x = normal(5, *shape)
    critic = smooth_network(x[0].numel())
    alone = [torch.autograd.functional.jacobian(critic, sample).norm() for sample in x.split(1)]
    torch.testing.assert_close(gradient_norms(critic, x), torch.stack(alone))
    torch.testing.assert_close(squared_gradient_norms(critic, x), torch.stack(alone).square())


def test_norms_of_a_convolutional_critic_are_per_sample():
    critic = DCGANDiscriminator((2, 8, 8), width=4, norm="layer").double()
    x = normal(3, 2, 8, 8)
    alone = [torch.autograd.functional.jacobian(critic, sample).norm() for sample in x.split(1)]
    torch.testing.assert_close(gradient_norms(critic, x), torch.stack(alone))


@pytest.mark.parametrize("target", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("penalty", [gradient_penalty, dragan])
@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_linear_critic_has_the_norm_of_its_weights_everywhere(penalty, target, shape):
    weights = normal(*shape)
    turn = turn_of(lambda x: (x * weights).flatten(1).sum(1), normal(5, *shape), normal(5, *shape))
    expected = (weights.norm() - target).square()
    torch.testing.assert_close(penalty(turn, target=target), expected)


@pytest.mark.parametrize("penalty", [r1, r2])
def test_zero_centred_penalties_of_a_quadratic_critic(penalty):
    curvature, slope = normal(3, 3), normal(3)
    curvature = curvature + curvature.T
    turn = turn_of(lambda x: (x @ curvature * x).sum(1) / 2 + x @ slope, normal(7, 3), 3 * normal(7, 3))
    x = turn.real if penalty is r1 else turn.fake
    expected = (x @ curvature + slope).square().sum(1).mean() / 2
    torch.testing.assert_close(penalty(turn), expected)


@every_penalty
@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)])
def test_penalties_are_differentiable_in_the_weights(penalty, shape):
    real, fake = normal(6, *shape), normal(6, *shape)
    critic = smooth_network(real[0].numel())
    parameters = list(critic.parameters())

    def value():
        torch.manual_seed(1)  # the same points between real and fake every time
        return penalty(turn_of(critic, real, fake))

    slopes = torch.autograd.grad(value(), parameters, materialize_grads=True)
    step = 1e-5
    for parameter, slope in zip(parameters, slopes, strict=True):
        direction, original = torch.randn_like(parameter), parameter.detach().clone()
        values = {}
        for sign in (1, -1):
            parameter.data = original + sign * step * direction
            values[sign] = value().item()
        parameter.data = original
        difference = (values[1] - values[-1]) / (2 * step)
        assert (slope * direction).sum().item() == pytest.approx(difference, rel=1e-6, abs=1e-9)
    assert sum(slope.abs().sum() for slope in slopes) > 1e-3


@every_penalty
def test_a_constant_critic_has_finite_gradients(penalty):
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    value = penalty(turn_of(lambda x: x @ weights, normal(4, 3), normal(4, 3)))
    (slope,) = torch.autograd.grad(value, weights)
    assert slope.isfinite().all()


@every_penalty
def test_penalties_give_the_fakes_no_gradient(penalty):
    turn = turn_of(smooth_network(3), normal(4, 3), normal(4, 3))
    generator = list(turn.networks["generator"].parameters())
    (slope,) = torch.autograd.grad(penalty(turn), generator, allow_unused=True)
    assert slope is None


@pytest.mark.parametrize("shape", [(400,), (4, 10, 10)])
def test_gradient_penalty_acts_on_lines_between_real_and_fake(shape):
    critic = Critic(lambda x: x.flatten(1).sum(1))
    real, fake = normal(300, *shape), normal(300, *shape)
    gradient_penalty(turn_of(critic, real, fake))
    (asked,) = critic.asked
    share = ((asked - real) / (fake - real)).flatten(1)
    torch.testing.assert_close(share, share[:, :1].expand_as(share), rtol=0, atol=1e-9)  # one draw per sample
    share = share[:, 0]
    assert share.min() >= 0
    assert share.max() <= 1
    assert share.mean().item() == pytest.approx(1 / 2, abs=0.07)  # uniform: four standard errors
    assert share.var().item() == pytest.approx(1 / 12, abs=0.02)


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("shape", [(400,), (4, 10, 10)])
def test_dragan_perturbs_to_one_side_of_the_data(shape, scale):
    """x + u · scale · std · U[0, 1)^d with one u ~ U(0, 1) a sample."""
    critic = Critic(lambda x: x.flatten(1).sum(1))
    real = 3 * normal(300, *shape) + 7
    dragan(turn_of(critic, real, real), scale=scale)
    (asked,) = critic.asked
    spread = (real - real.mean()).square().mean().sqrt()
    moved = ((asked - real) / (scale * spread)).flatten(1)
    assert moved.min() >= -1e-12
    assert moved.max() <= 1
    u = moved.amax(1)
    assert u.mean().item() == pytest.approx(1 / 2, abs=0.07)
    assert u.var().item() == pytest.approx(1 / 12, abs=0.02)
    within = moved / u[:, None]
    assert within.mean().item() == pytest.approx(1 / 2, abs=0.01)
    assert within.var().item() == pytest.approx(1 / 12, abs=0.005)


def test_dragan_does_not_move_a_single_number():
    real = normal(1, 1)  # its standard deviation is zero
    turn = turn_of(lambda x: x.square().sum(1), real, real)
    torch.testing.assert_close(dragan(turn, target=0.0), 4 * real.square().sum())


@pytest.mark.parametrize("penalty", [r1, r2])
def test_zero_centred_penalties_act_on_real_samples_or_on_fakes(penalty):
    critic = Critic(lambda x: x.sum(1))
    turn = turn_of(critic, normal(4, 3), normal(4, 3))
    penalty(turn)
    torch.testing.assert_close(critic.asked, [turn.real if penalty is r1 else turn.fake])


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_the_gradient_of_pairs_is_by_sample_and_code(shape):
    """The score ⟨v, x⟩ + ⟨w, z⟩ has the squared norm ‖v‖² + ‖w‖²."""
    v, w = normal(*shape), normal(3)
    turn = turn_of_pairs(lambda x, z: (x * v).flatten(1).sum(1) + z @ w, normal(5, *shape), normal(5, *shape))
    norm = (v.square().sum() + w.square().sum()).sqrt()
    for penalty in (gradient_penalty, dragan):
        torch.testing.assert_close(penalty(turn), (norm - 1).square())
    for penalty in (r1, r2):
        torch.testing.assert_close(penalty(turn), norm.square() / 2)


def test_both_halves_of_a_pair_are_interpolated_alike():
    turn = turn_of_pairs(lambda x, z: x.flatten(1).sum(1) + z.sum(1), normal(50, 2, 4), normal(50, 2, 4))
    gradient_penalty(turn)
    x, z = turn.networks["discriminator"].asked
    way = ((x - turn.real) / (turn.fake - turn.real)).flatten(1)
    of_codes = (z - turn.codes) / (turn.noise - turn.codes)
    torch.testing.assert_close(of_codes, way[:, :3])
    torch.testing.assert_close(way, way[:, :1].expand_as(way))
    assert way[:, 0].std() > 0.2


def others_feel(network, x):
    """Whether the score of a sample changes with another sample of the batch."""
    changed = x.clone()
    changed[0] += 1
    return not torch.allclose(network(x)[1:], network(changed)[1:], rtol=1e-9, atol=1e-12)


NORMS = ["none", "batch", "layer", "instance", "virtual"]
CRITICS = [("dcgan", norm) for norm in NORMS] + [("mlp", norm) for norm in NORMS if norm != "instance"]


@pytest.mark.parametrize(("model", "norm"), CRITICS)
def test_penalties_refuse_critics_that_mix_the_batch(model, norm):
    make = {"dcgan": DCGANDiscriminator, "mlp": MLPDiscriminator}[model]
    network = make((1, 16, 16), width=4, norm=norm, reference_size=3).double()
    network.prepare(normal(3, 1, 16, 16), normal(3, 1, 16, 16))
    mixes = others_feel(network, normal(4, 1, 16, 16))
    assert mixes == (norm == "batch")
    for penalty in PENALTIES:
        if mixes:
            with pytest.raises(ValueError, match=r"model\.discriminator\.norm=none"):
                check_requirements(partial(penalty), {"discriminator": network})
        else:
            check_requirements(partial(penalty), {"discriminator": network})
