"""Turns with another critic: what depends on the critic is computed again, and everything else is shared."""

import copy
from dataclasses import dataclass

import pytest
import torch
from conftest import TINY
from methods import INFOGAN, TEXT, batches_of, prepared

from gan_runner.games.gan import GAN, GANTurn
from gan_runner.models.latents import Normal
from gan_runner.models.mlp import MLPDiscriminator, MLPGenerator
from gan_runner.turn import Part, lazy

POINTS = ("dataset=ring8", "model=mlp", *TINY["mlp"])
GAMES = {
    "conditional": POINTS,
    "infogan": (*POINTS, *INFOGAN),
    "semi_supervised": (*POINTS, "game.labelled.count=80"),
    "text_to_image": (*TEXT[1:], "model=mlp", *TINY["mlp"]),
    "alpha_gan": (*POINTS, "encoder=implicit"),
    "vae_gan": (*POINTS, "encoder=gaussian"),
    "ali": POINTS,
}
"""Games with a critic, with encoders that draw."""


def quantities_of(turn):
    """Names of the quantities that a turn may have."""
    return {name for kind in type(turn).__mro__ for name, value in vars(kind).items() if isinstance(value, lazy)}


def tensors_in(value):
    """All tensors of a quantity; an object that computes its tensors later has none."""
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return [tensor for each in values for tensor in tensors_in(each)]


def computed_alone(turn, name):
    """The tensors of one quantity, with the random numbers of seed 0; none if no network has what it needs."""
    torch.manual_seed(0)
    try:
        return tensors_in(getattr(turn, name))
    except (KeyError, AttributeError, RuntimeError):
        return []


def other(critic):
    """A copy with other weights."""
    found = copy.deepcopy(critic)
    for parameter in found.parameters():
        parameter.data += torch.randn_like(parameter)
    return found


@pytest.mark.parametrize("game", GAMES)
def test_a_turn_with_another_critic_shares_what_does_not_depend_on_the_critic(make_system, game):
    system = prepared(make_system(f"game={game}", *GAMES[game]))
    name_of_critic = system.game.critic
    batch, critic = next(batches_of(system)), other(system.networks[name_of_critic])

    def turn(**changed):
        return system.game.turn({**system.networks, **changed}, ("generator",), batch)

    names, shared = sorted(quantities_of(turn())), set()
    for name in names:
        own, others = (computed_alone(t, name) for t in (turn(), turn(**{name_of_critic: critic})))
        if own and all(map(torch.equal, own, others)):
            shared.add(name)
    assert {"real", "noise", "fake"} <= shared
    for in_copy_first in (False, True):
        plain = turn()
        replaced = plain.replace(name_of_critic, critic)
        for one in (replaced, plain) if in_copy_first else (plain, replaced):
            for name in names:
                computed_alone(one, name)
        for name in names:
            pairs = list(zip(computed_alone(plain, name), computed_alone(replaced, name)))
            assert all((a is b) == (name in shared) for a, b in pairs), name
            assert name not in shared or all(a.requires_grad == b.requires_grad for a, b in pairs)
            if name not in shared:
                assert not any(torch.equal(a, b) for a, b in pairs), name


class PartTurn(GANTurn):
    """A turn that draws noise of its own, and reads the critic of the whole game."""

    @lazy
    def whole_scores(self):
        return self.whole.fake_scores + self.noise.sum()


@dataclass(frozen=True)
class PartGame(GAN):
    def turn(self, networks, owned, batch):
        return PartTurn(self, networks, owned, batch)


@dataclass(frozen=True)
class TwoCritics(GAN):
    @lazy
    def parts(self):
        networks = {"generator": "generator", "discriminator": "discriminator_b"}
        return {"b": Part(PartGame(self.latent), networks)}


def two_critics():
    """A turn of a game with a second critic in a part, and another critic."""
    a, b, c = (MLPDiscriminator((2,), width=4) for _ in range(3))
    networks = {"generator": MLPGenerator(2, (2,), False, width=4), "discriminator": a, "discriminator_b": b}
    return TwoCritics(Normal(2)).turn(networks, ("generator",), {"data": torch.randn(5, 2)}), c


def test_parts_share_their_noise_and_fakes_with_those_of_a_turn_with_another_critic():
    turn, critic = two_critics()
    replaced = turn.replace("discriminator", critic)
    own, others = turn.part("b"), replaced.part("b")
    assert others.noise is own.noise
    assert others.fake is own.fake
    assert others.fake_scores is own.fake_scores
    assert not torch.equal(others.whole_scores, own.whole_scores)
    assert torch.equal(others.whole_scores, critic(turn.fake) + own.noise.sum())


def test_replacing_the_critic_of_a_part_leaves_the_critic_of_the_whole_game():
    turn, critic = two_critics()
    own = turn.part("b")
    replaced = own.replace("discriminator", critic)
    assert replaced.noise is own.noise
    assert replaced.whole_scores is own.whole_scores
    assert torch.equal(replaced.fake_scores, critic(own.fake))
    assert replaced.whole.fake is turn.fake
    assert replaced.owned == ("generator", "discriminator")


def test_a_quantity_given_by_hand_survives():
    turn, critic = two_critics()
    turn.given(fake=torch.ones(5, 2), extra="anything")
    replaced = turn.replace("discriminator", critic)
    assert replaced.fake is turn.fake
    assert replaced.extra == "anything"
    assert torch.equal(replaced.fake_scores, critic(turn.fake))
