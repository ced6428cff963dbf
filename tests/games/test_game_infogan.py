"""InfoGAN: which players maximise the mutual information, Q's inputs and outputs, and that codes are learnt."""

import math

import pytest
import torch
from conftest import TINY
from methods import batches_of, prepared
from torch import nn

from gan_runner.errors import ConfigError
from gan_runner.games.infogan import InfoGAN
from gan_runner.models.codes import Categorical, Uniform
from gan_runner.models.latents import Normal
from gan_runner.sampling.inference import infer_codes
from gan_runner.step import train_step
from gan_runner.terms.mutual_information import mutual_information

POINTS = ["dataset=ring8", "model=mlp", *TINY["mlp"], "model.q.width=8"]
CODES = {"c": Categorical(3), "u": Uniform(1)}


class Says(nn.Module):
    """A network Q whose logits are the first three features, and whose mean is the fourth."""

    def forward(self, features):
        return features[:, :4]


class Trunk(nn.Module):
    def features(self, x):
        return x


def turn_of(fake, rows, owned=("discriminator", "q")):
    """A turn in which these fakes (n, 4) were made from these rows."""
    networks = {"generator": nn.Identity(), "discriminator": Trunk(), "q": Says()}
    turn = InfoGAN(Normal(2), codes=CODES).turn(networks, owned, {"data": torch.zeros_like(fake)})
    turn.given(noise=rows, fake=fake)
    return turn


def test_the_term_equals_the_bound_by_hand_and_each_code_is_logged():
    """Q is right with probability e^2 / (e^2 + 2) about c, and off by 0.5 about u, whose Q has σ = 1."""
    rows = torch.tensor([[0.0, 0, 1, 0, 0, 0.3], [0, 0, 0, 0, 1, -0.2]])
    fake = torch.tensor([[2.0, 0, 0, 0.8], [0, 0, 2, -0.7]])
    turn = turn_of(fake, rows)
    of_c = 2 - math.log(math.exp(2) + 2) + math.log(3)
    of_u = -0.5 * 0.25 - 0.5 * math.log(2 * math.pi) + math.log(2)
    assert mutual_information(turn).item() == pytest.approx(of_c + of_u, abs=1e-6)
    assert turn.report()["mutual_information_c"].item() == pytest.approx(of_c, abs=1e-6)
    assert turn.report()["mutual_information_u"].item() == pytest.approx(of_u, abs=1e-6)


def test_rows_are_latents_and_codes_and_equal_for_equal_seeds(make_system):
    system = make_system("game=infogan", *POINTS)
    rows = system.noise(500, 3)
    assert rows.shape == (500, 4 + 12)
    assert torch.equal(rows, system.noise(500, 3))
    assert system.networks["generator"].condition_dim == 12
    codes = system.game.joint.split(system.game.codes_in(rows))
    assert (codes["c1"].sum(1) == 1).all()
    assert codes["c2"].abs().max() <= 1
    assert system.sample(rows[:7]).shape == (7, 2)
    assert infer_codes(system, torch.randn(7, 2)).shape == (7, 12)


def gradients_with(system, player, batch, shift):
    """The gradients of a player's parameters except Q's, after a change of Q's weights."""
    with torch.no_grad():
        for parameter in system.networks["q"].parameters():
            parameter.add_(shift)
    torch.manual_seed(5)
    _, gradients = player.move(batch)
    own = {id(p): g for p, g in zip(player.parameters, gradients)}
    return [own[id(p)] for name in player.owned if name != "q" for p in system.networks[name].parameters()]


@pytest.mark.parametrize(("game", "steers"), [("infogan", True), ("gan_with_codes", False)])
@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_q_influences_both_players_of_infogan_and_neither_of_the_plain_gan(make_system, game, steers, name):
    system = prepared(make_system(f"game={game}", *POINTS))
    player, batch = next(p for p in system.players if p.name == name), next(batches_of(system))
    before, after = (gradients_with(system, player, batch, shift) for shift in (0.0, 0.3))
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(same) != steers


def test_q_as_its_own_player_learns_and_changes_no_other_weight(make_system):
    system = prepared(make_system("game=gan_with_codes", *POINTS))
    recogniser = system.players[2]
    assert recogniser.owned == ("q",)
    before = {name: p.clone() for name, p in nn.ModuleDict(system.networks).named_parameters()}
    recogniser.descend(recogniser.move(next(batches_of(system)))[1])
    moved = {name for name, p in nn.ModuleDict(system.networks).named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if name.startswith("q.")}


def test_samples_determine_their_codes_only_with_the_term(make_system):
    information = {}
    for game in ("infogan", "gan_with_codes"):
        wide = ["model.generator.width=32", "model.discriminator.width=32", "optimizer.lr=3e-3", "scheduler=constant"]
        system = prepared(make_system(f"game={game}", *POINTS, *wide, "model.q.width=32"))
        batches = batches_of(system, 64)
        for _ in range(60):
            train_step(system.players, batches)
        rows = system.noise(1000, 0)
        outputs = infer_codes(system, system.sample(rows))
        information[game] = system.game.joint.information(outputs, system.game.codes_in(rows))["c1"].item()
    assert information["infogan"] > 0.6
    assert information["gan_with_codes"] < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["loss=ebgan", "game=gan_with_codes"], "choose a loss with a discriminator"),
        (["game=infogan", "method=projection"], "leave out method="),
        (["game=infogan", "model=gaussian", "dataset=gaussian"], "model.generator takes no codes"),
        (["game=infogan", "game.codes.c1=3"], "c1=3 is not a code; give it a _target_"),
        (["game=infogan", "~game.codes"], "at least one code"),
        (["game=infogan", "game.codes.c2.high=-1"], "low=-1 must be less than high=-1"),
        (["game=infogan", "model.q.depth=-1"], "depth must be at least 0, not -1"),
    ],
)
def test_incompatible_options_are_refused(make_system, options, message):
    with pytest.raises(ConfigError, match=message):
        make_system(*options)


def test_a_traversal_keeps_the_latents_and_the_other_codes(make_system):
    system = make_system("game=infogan", *POINTS)
    rows = system.noise(3, 0)
    shown = system.game.traversal(rows, "c3", 5).unflatten(0, (3, 5))
    assert torch.equal(shown[:, :, :-1], rows[:, :-1].unsqueeze(1).expand(3, 5, 15))
    torch.testing.assert_close(shown[:, :, -1], torch.linspace(-2, 2, 5).expand(3, 5))
