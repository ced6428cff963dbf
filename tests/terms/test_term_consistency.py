"""Consistency: zero for an invariant critic, and the penalty against its definition."""

import pytest
import torch
from tiny_game import normal, smooth_network, turn_of, turn_of_pairs

from gan_runner.models.layers.diff_augment import translation
from gan_runner.terms.consistency import consistency, fake_consistency

SHAPE = (50, 3, 16, 16)


def centre(x):
    """Score an image by the two pixels in its middle."""
    return x[:, 0, 8, 7:9].sum(1)


@pytest.mark.parametrize("term", [consistency, fake_consistency])
def test_an_invariant_critic_has_no_penalty(term):
    turn = turn_of(lambda x: 7 + 0 * x.flatten(1).sum(1), normal(*SHAPE), normal(*SHAPE))
    assert term(turn, flip=True) == 0
    turn = turn_of(centre, normal(*SHAPE), normal(*SHAPE))
    assert term(turn, shift=0.0, flip=True) == 0  # the score is symmetric
    assert term(turn, shift=1 / 16) > 0.1


@pytest.mark.parametrize(("term", "side"), [(consistency, "real"), (fake_consistency, "fake")])
def test_it_is_the_mean_square_of_the_difference(term, side):
    critic, x = smooth_network(3 * 16 * 16), {"real": normal(*SHAPE), "fake": normal(*SHAPE)}
    turn = turn_of(critic, x["real"], x["fake"])
    assert torch.equal(getattr(turn, side), x[side])  # the same draws as in the term
    torch.manual_seed(1)
    value = term(turn, shift=1 / 8)
    torch.manual_seed(1)
    expected = (critic(x[side]) - critic(translation(x[side], 1 / 8))).square().mean()
    torch.testing.assert_close(value, expected)


def test_half_of_the_images_are_mirrored():
    x = normal(4000, 1, 1, 2)
    turn = turn_of(lambda x: x[:, 0, 0, 0], x, x)
    expected = (x[..., 0] - x[..., 1]).square().mean() / 2
    torch.testing.assert_close(consistency(turn, shift=0.0, flip=True), expected, rtol=0.1, atol=0)


def test_fakes_get_no_gradient_in_the_discriminators_turn():
    turn = turn_of(smooth_network(3 * 16 * 16), normal(*SHAPE), normal(*SHAPE))
    slopes = torch.autograd.grad(
        fake_consistency(turn), list(turn.networks["generator"].parameters()), allow_unused=True
    )
    assert slopes == (None,)


@pytest.mark.parametrize("term", [consistency, fake_consistency])
def test_in_pairs_only_the_image_changes_and_not_its_code(term):
    turn = turn_of_pairs(lambda x, z: z.sum(1), normal(*SHAPE), normal(*SHAPE))
    assert term(turn) == 0
