"""Terms of the parts of a game: with several discriminators, losses add up."""

import copy
from functools import partial

import pytest
import torch
from methods import Drawn, batches_in, batches_of, some_steps
from torch import nn
from two_critics import options

from gan_runner.build import build_system
from gan_runner.config.resolve import resolve
from gan_runner.errors import ConfigError
from gan_runner.games.gan import GANTurn
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.sampling.critic import extra_fakes
from gan_runner.terms.at import At
from gan_runner.terms.autoencoding import reconstruction_discriminator_loss
from gan_runner.terms.gradient_penalties import r1
from gan_runner.terms.historical_averaging import HistoricalAveraging

PENALTIES = (
    ("r1", "gradient_penalties.r1"),
    ("lecam", "lecam.LeCam"),
    ("historical_averaging", "historical_averaging.HistoricalAveraging"),
)


def method(*names, **more):
    """Least squares on points, in this game."""
    return ("mlp", "lsgan", None, "points", "model.discriminator.norm=none", *options(names, **more))


def assert_equal_states(state, other):
    assert state.keys() == other.keys()
    for name, value in other.items():
        assert torch.equal(state[name], value), name


@pytest.mark.usefixtures("_float64")
def test_a_game_with_one_part_equals_the_plain_game_exactly(make_system):
    plain = (
        "mlp",
        "lsgan",
        None,
        "points",
        "model.discriminator.norm=none",
        "players.discriminator.weights.adversarial=0.5",
    )
    (state, reports), (other, others) = (some_steps(make_system, m) for m in (method("a"), plain))
    assert_equal_states(state, other)
    for player in ("discriminator", "generator"):
        assert torch.equal(reports[-1][f"{player}/adversarial_a"], others[-1][f"{player}/adversarial"])
    assert torch.equal(
        reports[-1]["discriminator/real_scores_a"].mean(), others[-1]["discriminator/real_scores"].mean()
    )


class TwoGames:
    """Two discriminators on the same fakes, by hand; the generator minimises the sum of its losses."""

    def __init__(self, system):
        self.networks, self.game = system.networks, system.game
        first = [network for name, network in self.networks.items() if name != "generator"]
        self.averages = [HistoricalAveraging({"discriminator": network}) for network in first]
        self.past = [{"moves": 0, "real": 0.0, "fake": 0.0} for _ in first]
        self.critics = first

    def turns(self, batch, owned):
        noise = self.game.latent(len(batch["data"]), batch["data"].device)
        with torch.set_grad_enabled(owned == "generator"):
            fake = self.networks["generator"](noise)
        for critic in self.critics:
            networks = {"generator": self.networks["generator"], "discriminator": critic}
            yield GANTurn(self.game, networks, (owned,), batch).given(noise=noise, fake=fake)

    def discriminator_loss(self, batch):
        loss = torch.zeros(())
        for turn, average, past in zip(self.turns(batch, "discriminator"), self.averages, self.past):
            loss = loss + 0.5 * (LeastSquares().discriminator(turn.scores) + r1(turn) + average(turn))
            past["moves"] += 1
            share = (1 - 0.99) / (1 - 0.99 ** past["moves"])
            past["real"] += share * (turn.real_scores.mean().item() - past["real"])
            past["fake"] += share * (turn.fake_scores.mean().item() - past["fake"])
            lecam = (turn.real_scores - past["fake"]).square().mean() + (
                turn.fake_scores - past["real"]
            ).square().mean()
            loss = loss + 0.5 * lecam
        return loss

    def generator_loss(self, batch):
        return sum(LeastSquares().generator(turn.scores) for turn in self.turns(batch, "generator"))


def descend(loss, parameters, lr=0.01):
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
        parameter.data -= lr * gradient


@pytest.mark.usefixtures("_float64")
def test_two_discriminators_are_the_sum_of_two_games(hydra_config):
    systems = []

    def make(*overrides):
        systems.append(build_system(resolve(hydra_config(*overrides))))
        systems.append(copy.deepcopy(systems[0]))
        return systems[0]

    seen = []
    plain_descent = ("optimizer.momentum=0", "scheduler=constant")
    state, _ = some_steps(recording(make, seen), (*method("a", "b", terms=PENALTIES), *plain_descent), steps=3)
    systems[1].game.prepare(systems[1].networks, Drawn(next(batches_in(torch.float64, systems[1]))), 8)
    by_hand = TwoGames(systems[1])
    critics = [p for critic in by_hand.critics for p in critic.parameters()]
    torch.manual_seed(1)
    for first, second, last in zip(*[iter(seen)] * 3):
        descend(by_hand.discriminator_loss(first), critics)
        descend(by_hand.discriminator_loss(second), critics)
        descend(by_hand.generator_loss(last), list(by_hand.networks["generator"].parameters()))
    for name, value in nn.ModuleDict(by_hand.networks).state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-10, atol=1e-12)


def recording(make, seen):
    """A factory of systems whose players' batches are stored."""

    def made(*overrides):
        system = make(*overrides)
        game = system.game
        turn = type(game).turn

        class Watched(type(game)):
            def turn(self, networks, owned, batch):
                seen.append(batch)
                return turn(self, networks, owned, batch)

        for player in system.players:
            player.game = Watched(game.latent, game.critic, game.names)
        return system

    return made


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("compiled", ["moves", pytest.param("iteration", marks=pytest.mark.slow)])
def test_compiled_parts_update_as_eager_ones_do(make_system, compiled):
    two = method("a", "b", terms=PENALTIES)
    eager, _ = some_steps(make_system, two, steps=4)
    state, _ = some_steps(make_system, two, compiled, steps=4)
    for name, value in eager.items():
        torch.testing.assert_close(state[name], value, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("_float64")
def test_the_generator_can_be_unrolled_in_a_part(make_system):
    ahead = ("unrolled.UnrolledGeneratorLoss", "steps: 0", "terms: {}", "weights: {}")
    unrolled, _ = some_steps(make_system, method("a", "b", generator=ahead), steps=3)
    plain, _ = some_steps(make_system, method("a", "b"), steps=3)
    for name, value in plain.items():
        torch.testing.assert_close(unrolled[name], value)


def test_logged_values_of_parts_end_in_their_names(make_system):
    system = make_system("dataset=ring8", "model=mlp", "loss=lsgan", *options())
    report = system.step(batches_of(system))
    names = [f"{kind}_scores_{part}" for part in "ab" for kind in ("real", "fake")]
    assert {f"discriminator/{name}" for name in names} <= report.keys()
    assert "generator/real_scores_a" not in report  # only quantities that a term reads are computed


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([("c", "consistency.consistency")], "c_a: "),
        ([("kl", "autoencoding.kl_of_moments")], "does not work in this game"),
    ],
)
def test_a_term_that_does_not_fit_a_part_is_refused(make_system, terms, message):
    with pytest.raises(ConfigError, match=message):
        make_system("dataset=ring8", "model=mlp", "loss=lsgan", *options(("a", "b"), terms))


def test_an_unknown_part_is_refused(make_system):
    with pytest.raises(ConfigError, match="adversarial_a: this game has no part c; its parts are: a, b"):
        make_system(
            "dataset=ring8", "model=mlp", "loss=lsgan", *options(), "players.generator.terms.adversarial_a.part=c"
        )


def test_declarations_of_a_term_hold_in_a_part(make_system):
    """In a part, too, a critic that is trained on reconstructions estimates no ratio of samples."""
    system = make_system("dataset=ring8", "model=mlp", "loss=non_saturating", *options())
    assert extra_fakes(system) is None
    player = system.players[0]
    for term in (reconstruction_discriminator_loss, partial(reconstruction_discriminator_loss, loss=system.loss)):
        player.terms = {"adversarial_a": At("a", At("inner", term))}
        assert extra_fakes(system) == "reconstructions"
        player.weights = {"adversarial_a": 0.0}
        assert extra_fakes(system) is None
        player.weights = {"adversarial_a": 1.0}
